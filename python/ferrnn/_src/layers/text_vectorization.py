"""Texts to indices of their tokens."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.objects import object_of, written
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.encoding import checked_mode, refuse_sparse
from ferrnn._src.layers.index_lookup import plain_list
from ferrnn._src.layers.lookups import StringLookup
from ferrnn._src.layers.vocabulary import as_tokens
from ferrnn._src.tree.columns import read_column
from ferrnn._src.tree.types import Array

_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLITS = ("whitespace", "character")
_PUNCTUATION = string.punctuation.encode()
# Whitespace at which `str.split` splits, but `bytes.split` does not.
_SEPARATORS = re.compile("[\x1c-\x1f]")


class TextVectorization(Layer):
    """Texts `[batch]` or `[batch, 1]` to the indices of their tokens, `[batch, tokens]`.

    A text is standardized ("lower_and_strip_punctuation", "lower", "strip_punctuation", all for
    ASCII only, a function of an array of strings, or None), split ("whitespace", "character", a
    function that returns a list of tokens for each text, or None), and combined into `ngrams`: all
    up to a length, or those of the lengths in a tuple. The vocabulary is given or learned
    by `adapt`; index 0 is padding, 1 stands for unknown tokens. "int" outputs are padded or cut to
    `output_sequence_length`; for the other `output_mode`s see `StringLookup`.

    >>> layer = TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["The cat sat.", "The dog."])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'sat', 'dog', 'cat']
    >>> layer(["the cat", "A dog sat"]).tolist()
    [[2, 5, 0, 0], [1, 4, 3, 0]]
    """

    supports_masking = False

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[..., Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[..., Any] | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_sparse(sparse)
        if ragged:
            raise ValueError("`ragged=True` can only be used with the TensorFlow backend.")
        for argument, value, known in (
            ("standardize", standardize, _STANDARDS),
            ("split", split, _SPLITS),
        ):
            if value is not None and not callable(value) and value not in known:
                raise ValueError(
                    f"Unknown value for `{argument}` argument of layer TextVectorization. Expected "
                    f"None, a callable, or one of {known}. Received: {argument}={value!r}"
                )
        mode = checked_mode(output_mode, _MODES, "TextVectorization")
        if not _is_ngrams(ngrams):
            raise ValueError(
                "`ngrams` must be None, an integer, or a tuple of integers. "
                f"Received: ngrams={ngrams}"
            )
        if not isinstance(output_sequence_length, int | None) or (
            mode != "int" and output_sequence_length is not None
        ):
            raise ValueError(
                "`output_sequence_length` must be either None or an integer when `output_mode` is "
                "'int'; `output_sequence_length` must not be set if `output_mode` is not 'int'. "
                "Received: "
                f"output_sequence_length={output_sequence_length}, output_mode={output_mode!r}"
            )
        of_lookup = {
            key: kwargs.pop(key)
            for key in ("has_input_vocabulary", "vocabulary_size")
            if key in kwargs
        }
        super().__init__(name=name, **kwargs)
        self._standardize, self._split, self._ngrams = standardize, split, ngrams
        self._output_mode, self._length = mode, output_sequence_length
        self._encoding = encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=mode,
            encoding=encoding,
            **of_lookup,
        )

    # The vocabulary.

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learns the vocabulary from `data`, with the most frequent tokens first.

        `data` is an array or a list of texts, or an iterable of batches of texts, of which `steps`
        are taken.
        """
        self.reset_state()
        data = read_column(data)
        if isinstance(data, list | tuple) or hasattr(data, "__array__"):
            self.update_state(data)
        else:
            for batch in itertools.islice(data, steps):
                self.update_state(batch[0] if isinstance(batch, tuple) else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Counts the tokens of a batch of texts."""
        self._lookup_layer.count(self._documents(self.cast_inputs(data)))

    def finalize_state(self) -> None:
        """Makes the vocabulary from the counts."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Discards the counts."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in the order of their indices, with or without the special tokens."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary: a list or array of tokens, or the path of a file with one a line."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def vocabulary_size(self) -> int:
        """The number of tokens, including those for padding and unknown tokens."""
        return self._lookup_layer.vocabulary_size()

    # From texts to tokens.

    @property
    def compute_dtype(self) -> str:
        """The dtype of texts."""
        return "string"

    variable_dtype = compute_dtype

    def build(self, input_shape: Any = None) -> None:
        """Makes no weights, as there are none."""

    def cast_inputs(self, inputs: Any) -> Array:
        """`inputs` as an array of strings."""
        array = np.asarray(inputs)
        if array.dtype.kind not in "UOST":
            raise TypeError(
                f"`inputs` of layer {self.name!r} must hold strings, received the dtype "
                f"{array.dtype}"
            )
        return array

    def _documents(self, texts: Array) -> list[list[str]]:
        """The tokens of each text, or of each row of tokens if nothing is split."""
        if self._split is not None and texts.ndim > 1 and texts.shape[-1] != 1:
            raise ValueError(
                "When using `TextVectorization` to tokenize strings, the input rank must be 1 or "
                f"the last shape dimension must be 1. Received: inputs.shape={texts.shape} with "
                f"rank={texts.ndim}"
            )
        words = self._standardized(texts)
        if self._split is None:
            count = texts.shape[-1] if texts.ndim > 1 else 1
            rows = [words[at : at + count] for at in range(0, len(words), max(count, 1))]
        elif self._split == "whitespace":
            rows = list(map(_words, words))
        elif self._split == "character":
            rows = list(map(list, words))
        else:
            assert callable(self._split)
            rows = [as_tokens(row, "string") for row in self._split(np.array(words, str))]
        return rows if self._ngrams is None else [self._ngrams_of(row) for row in rows]

    def _standardized(self, texts: Array) -> list[str]:
        flat = as_tokens(texts, "string", self._encoding)
        how = self._standardize
        if how is None:
            return flat
        if callable(how):
            return as_tokens(how(np.array(flat, str).reshape(texts.shape)), "string")
        removed = b"" if how == "lower" else _PUNCTUATION
        raw = (text.encode().translate(None, removed) for text in flat)
        if how != "strip_punctuation":
            raw = (text.lower() for text in raw)
        return [text.decode() for text in raw]

    def _ngrams_of(self, tokens: list[str]) -> list[str]:
        widths = self._ngrams
        lengths = range(1, widths + 1) if isinstance(widths, int) else widths or ()
        return [
            " ".join(tokens[at : at + length])
            for length in lengths
            for at in range(len(tokens) - length + 1)
        ]

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Indices `[..., tokens]`, or vectors `[..., tokens of the vocabulary]`."""
        lookup = self._lookup_layer
        lookup.warn_if_empty(self.name)
        rows = self._documents(inputs)
        lengths = np.array([len(row) for row in rows], np.int64)
        longest = int(lengths.max(initial=0))
        padding = 0 if self._output_mode == "int" else -1
        indices = np.full((len(rows), longest), padding, np.int64)
        present = np.arange(longest) < lengths[:, None]
        indices[present] = lookup.indices(list(itertools.chain.from_iterable(rows)))
        if self._length is not None:
            indices = indices[:, : self._length]
            missing = self._length - indices.shape[1]
            indices = np.pad(indices, ((0, 0), (0, missing)))
        kept = inputs.shape[:-1] if inputs.ndim > 1 else inputs.shape
        outputs = lookup.encode(indices.reshape(*kept, indices.shape[1]))
        return outputs, lambda d_outputs, grads: None

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = tuple(input_shape)
        kept = shape[:-1] if len(shape) > 1 else shape
        length = shape[-1] if self._split is None and len(shape) > 1 else None
        if self._output_mode == "int":
            return (*kept, length if self._length is None else self._length)
        return self._lookup_layer.compute_output_shape((*kept, length))

    def compute_output_dtype(self) -> str:
        return self._lookup_layer.compute_output_dtype()

    # Files and configuration.

    def get_weights(self) -> list[Array]:
        """The vocabulary, for `set_weights` of a layer of the same configuration."""
        return self._lookup_layer.get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets what `get_weights` of a layer of the same configuration returned.

        >>> layer = TextVectorization()
        >>> layer.adapt(["the cat"])
        >>> again = TextVectorization.from_config(layer.get_config())
        >>> again.set_weights(layer.get_weights())
        >>> again(["cat the"]).tolist() == layer(["cat the"]).tolist()
        True
        """
        self._lookup_layer.set_weights(weights)

    def named_arrays(self) -> dict[str, Array]:
        return self._lookup_layer.named_arrays()

    def set_named_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._lookup_layer.set_named_arrays(arrays)

    def text_assets(self) -> dict[str, str]:
        return self._lookup_layer.text_assets()

    def set_text_assets(self, assets: Mapping[str, str]) -> None:
        self._lookup_layer.set_text_assets(assets)

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer
        return {
            **super().get_config(),
            "max_tokens": lookup.max_tokens,
            "standardize": written(self._standardize),
            "split": written(self._split),
            "ngrams": self._ngrams,
            "output_mode": self._output_mode,
            "output_sequence_length": self._length,
            "pad_to_max_tokens": lookup.pad_to_max_tokens,
            "sparse": False,
            "ragged": False,
            "vocabulary": plain_list(lookup.input_vocabulary),
            "idf_weights": plain_list(lookup.input_idf_weights),
            "encoding": self._encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A new layer; `custom_objects` names the functions that standardize and split."""
        config = dict(config)
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(  # noqa: TRY004 - the file is at fault
                f"the configuration of a TextVectorization names the file {config['vocabulary']!r} "
                "as its vocabulary, but files outside the model are not read"
            )
        for argument in ("standardize", "split"):
            if isinstance(config.get(argument), Mapping):
                with custom_object_scope(custom_objects):
                    config[argument] = object_of(config[argument])
        if isinstance(config.get("ngrams"), list):
            config["ngrams"] = tuple(config["ngrams"])
        return cls(**config)


def _words(text: str) -> list[str]:
    r"""Splits at ASCII whitespace, as TensorFlow does.

    >>> _words("two\tparts\u00a0here\x1fnow")
    ['two', 'parts\xa0here\x1fnow']
    """
    if text.isascii() and not _SEPARATORS.search(text):
        return text.split()
    return [part.decode() for part in text.encode().split()]


def _is_ngrams(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, int)
        or (isinstance(value, tuple) and all(isinstance(each, int) for each in value))
    )
