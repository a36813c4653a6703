"""Tokens to indices of a vocabulary and back: the base of `StringLookup` and `IntegerLookup`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx
from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.encoding import checked_mode, encoded, encoded_shape, refuse_sparse
from ferrnn._src.layers.fingerprints import bucket_of, checked_key
from ferrnn._src.layers.lookup_arguments import check_hashing, check_mode, check_sizes
from ferrnn._src.layers.vocabulary import (
    Counts,
    as_tokens,
    is_row,
    refuse_repeated,
    refuse_reserved,
    tokens_of_file,
    tokens_of_text,
)
from ferrnn._src.tree.columns import read_column
from ferrnn._src.tree.types import Array

_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_ASSET = "vocabulary.txt"


class IndexLookup(Layer):
    """A table of tokens; `mask_token` has the index 0, then come those of unknown tokens.

    The base of `StringLookup` and `IntegerLookup`, which define the type of tokens.
    """

    supports_masking = False

    def __init__(
        self,
        *,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary_dtype: str,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        sparse: bool,
        pad_to_max_tokens: bool,
        oov_method: str,
        salt: Any,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        refuse_sparse(sparse)
        super().__init__(**kwargs)
        mode = checked_mode(output_mode, _MODES, type(self).__name__)
        check_sizes(max_tokens, num_oov_indices, pads=pad_to_max_tokens)
        check_mode(mode, output_mode, vocabulary, idf_weights, invert=invert)
        self._hashes = vocabulary_dtype == "string" or oov_method == "farmhash"
        self._key = checked_key(salt, type(self).__name__)
        check_hashing(oov_method, salt, hashes=self._hashes)
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, oov_token
        self.vocabulary_dtype, self.invert, self.output_mode = vocabulary_dtype, bool(invert), mode
        self.pad_to_max_tokens, self.oov_method = bool(pad_to_max_tokens), oov_method
        self.encoding = encoding
        self.input_vocabulary = None if isinstance(vocabulary, str) else vocabulary
        self.input_idf_weights = idf_weights
        self.idf_weights: Array | None = None
        given = vocabulary is not None
        self._fixed = given if has_input_vocabulary is None else has_input_vocabulary
        self._frozen_size = vocabulary_size
        self._tokens: list[Any] = []
        self._index = self._indexed([])
        self._counts = Counts()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # The vocabulary.

    @property
    def _mask_places(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _special(self) -> list[Any]:
        """The special tokens before the vocabulary."""
        return [self.mask_token] * self._mask_places + [self.oov_token] * self.num_oov_indices

    def vocabulary_size(self) -> int:
        """The number of tokens, including the mask token and those for unknown tokens."""
        return len(self._special) + len(self._tokens)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their indices, with or without the special tokens."""
        return [*(self._special if include_special_tokens else ()), *self._tokens]

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary: a list or array of tokens, or the path of a file with one per line.

        The special tokens may come first, all of them or none. `idf_weights`, one for each token,
        are for `output_mode="tf_idf"`.
        """
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(
                "`idf_weights` must be set if `output_mode` is 'tf_idf', and not otherwise. "
                f"Received: output_mode={self.output_mode!r} and idf_weights={idf_weights}"
            )
        if isinstance(vocabulary, str):
            given = tokens_of_file(vocabulary, self.vocabulary_dtype)
        else:
            given = as_tokens(vocabulary, self.vocabulary_dtype, self.encoding)
        if not given:
            raise ValueError(f"Cannot set an empty vocabulary. Received: vocabulary={vocabulary}")
        special = self._special
        found = bool(special) and given[: len(special)] == special
        tokens = given[len(special) :] if found else given
        refuse_repeated(tokens)
        reserved = [("mask", self.mask_token), *([("OOV", self.oov_token)] * self.invert)]
        refuse_reserved(tokens, reserved, special)
        size = len(special) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                "Attempted to set a vocabulary larger than the maximum vocab size. Received "
                f"vocabulary size is {size}; `max_tokens` is {self.max_tokens}."
            )
        weights = None if idf_weights is None else np.asarray(idf_weights, np.float64)
        if weights is not None and weights.shape != (len(given),):
            raise ValueError(
                "`idf_weights` must be the same length as vocabulary. The shape of idf_weights is "
                f"{weights.shape}; len(vocabulary) is {len(given)}"
            )
        self._take(tokens)
        if weights is not None:
            self._take_weights(weights, 0 if found else len(special))

    def _take(self, tokens: list[Any]) -> None:
        size = len(self._special) + len(tokens)
        fixed = not (self.output_mode == "int" or self.pad_to_max_tokens)
        if fixed and self._frozen_size not in (None, size):
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, the "
                "vocabulary size cannot be changed after the layer is called. Old vocab size is "
                f"{self._frozen_size}, new vocab size is {size}"
            )
        self._tokens = tokens
        self._index = self._indexed(tokens)
        self._frozen_size = size

    def _indexed(self, tokens: list[Any]) -> dict[Any, int]:
        index = {token: at for at, token in enumerate(tokens, len(self._special))}
        if self.mask_token is not None:
            index[self.mask_token] = 0 if self.output_mode == "int" else -1
        return index

    def _take_weights(self, weights: Array, front: int) -> None:
        """Weights of tokens; `front` special tokens get the mean, padding at the end gets zero."""
        made = [*[float(weights.mean())] * front, *weights.tolist()]
        if self.pad_to_max_tokens and self.max_tokens is not None:
            made += [0.0] * (self.max_tokens - len(made))
        self.idf_weights = np.array(made, floatx())

    # Learning it.

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learns the vocabulary from `data`, with the most frequent tokens first.

        `data` is an array or a list whose first axis counts documents, or an iterable of such
        batches, of which `steps` are taken.
        """
        self.reset_state()
        data = read_column(data)
        if isinstance(data, list | tuple) or hasattr(data, "__array__"):
            self.update_state([each if is_row(each) else [each] for each in data])
        else:
            for batch in itertools.islice(data, steps):
                self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Counts the tokens of a batch of documents; a flat list of tokens is one document."""
        nested = is_row(data) and any(map(is_row, data))
        rows = data if nested else [data]
        self.count([as_tokens(row, self.vocabulary_dtype, self.encoding) for row in rows])

    def count(self, documents: Iterable[Sequence[Any]]) -> None:
        """Counts the tokens of documents."""
        if self._fixed:
            raise ValueError(
                f"Cannot adapt layer '{self.name}' after setting a static vocabulary via "
                "`vocabulary` argument or `set_vocabulary()` method."
            )
        self._counts.add(documents)

    def finalize_state(self) -> None:
        """Makes the vocabulary from the counts."""
        if self._fixed or not self._counts.tokens:
            return
        special = self._special
        limit = None if self.max_tokens is None else max(self.max_tokens - len(special), 0)
        tokens = self._counts.most_common(limit, [self.mask_token, self.oov_token])
        self._take(tokens)
        if self.output_mode == "tf_idf":
            self._take_weights(self._counts.rarity(tokens), len(special))
        self.reset_state()

    def reset_state(self) -> None:
        """Discards the counts."""
        self._counts = Counts()

    # Looking up.

    @property
    def compute_dtype(self) -> str:
        """The dtype of tokens."""
        return self.vocabulary_dtype

    variable_dtype = compute_dtype

    def build(self, input_shape: Any = None) -> None:
        """Makes no weights, as there are none."""

    def cast_inputs(self, inputs: Any) -> Array:
        """`inputs` as an array of tokens, or of indices with `invert`."""
        array = inputs if type(inputs) is np.ndarray else np.asarray(inputs)
        strings = self.vocabulary_dtype == "string" and not self.invert
        if array.dtype.kind not in ("UOST" if strings else "iub"):
            if not strings and array.dtype.kind == "f" and not (array % 1).any():
                return array.astype(np.int64)
            wanted = "strings" if strings else "integers"
            raise TypeError(
                f"`inputs` of layer {self.name!r} must hold {wanted}, received the dtype "
                f"{array.dtype}"
            )
        return array

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Indices, vectors of them, or tokens; the inputs have no gradient."""
        self.warn_if_empty(self.name)
        if self.invert:
            return self._tokens_at(inputs), _no_gradient
        tokens = as_tokens(inputs, self.vocabulary_dtype, self.encoding)
        found = np.array(self.indices(tokens), np.int64).reshape(inputs.shape)
        return self.encode(found), _no_gradient

    def warn_if_empty(self, layer: str) -> None:
        """Warns that every token is unknown, unless unknown tokens have several indices."""
        refused = self.output_mode != "int" and self._depth() is None
        if not self._tokens and self.num_oov_indices < 2 and not refused:
            warn(
                f"layer {layer!r} has no vocabulary yet, so every token is unknown: call `adapt` "
                "with data, or pass `vocabulary`, before using it"
            )

    def indices(self, tokens: Sequence[Any]) -> list[int]:
        """The index of each token; -1 for a token to be ignored."""
        known, start = self._index, self._mask_places
        if self.num_oov_indices > 1:
            buckets = self.num_oov_indices
            if not self._hashes:
                return [known.get(each, each % buckets + start) for each in tokens]
            others = {each for each in tokens if each not in known}
            hashed = {each: bucket_of(each, buckets, self._key) + start for each in others}
            return [hashed[each] if each in hashed else known[each] for each in tokens]
        unknown = start if self.num_oov_indices else -2
        found = list(map(known.get, tokens, itertools.repeat(unknown)))
        if unknown == -2 and unknown in found:
            missing = [each for each, at in zip(tokens, found, strict=True) if at == unknown]
            raise ValueError(
                "When `num_oov_indices=0` all inputs should be in vocabulary, found OOV values "
                f"{missing[:8]}, consider setting `num_oov_indices=1`."
            )
        return found

    def encode(self, indices: Array) -> Array:
        """Indices in the form of `output_mode`."""
        if self.output_mode == "int":
            return indices
        depth = self._depth()
        if depth is None:
            raise RuntimeError(
                f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`, you "
                "must set the layer's vocabulary before calling it. Either pass a `vocabulary` "
                "argument to the layer, or call `adapt` with some sample data."
            )
        if self.output_mode != "tf_idf":
            return encoded(indices, self.output_mode, depth, floatx())
        counted = encoded(indices, "count", depth, floatx())
        return counted if self.idf_weights is None else counted * self.idf_weights

    def _depth(self) -> int | None:
        return self.max_tokens if self.pad_to_max_tokens else self._frozen_size

    def _tokens_at(self, indices: Array) -> Array:
        words = self.get_vocabulary()
        inside = [words[at] if 0 <= at < len(words) else self.oov_token for at in indices.flat]
        kind = object if self.vocabulary_dtype == "string" else np.int64
        return np.array(inside, kind).reshape(indices.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self._depth())

    def compute_output_dtype(self) -> str:
        if self.output_mode != "int":
            return floatx()
        return self.vocabulary_dtype if self.invert else "int64"

    # Files and configuration.

    def get_weights(self) -> list[Array]:
        """The tokens that were learned, for `set_weights` of a layer of the same configuration."""
        if not self._tokens:
            return []
        kind = str if self.vocabulary_dtype == "string" else np.int64
        return [np.array(self._tokens, kind), *self.named_arrays().values()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets what `get_weights` of a layer of the same configuration returned."""
        if not len(weights):
            super().set_weights(weights)
            return
        wanted = 2 if self.output_mode == "tf_idf" else 1
        if len(weights) != wanted:
            raise ValueError(
                f"`weights` of layer {self.name!r} must hold {wanted} arrays, those of "
                f"`get_weights`, received {len(weights)}"
            )
        self._take(as_tokens(weights[0], self.vocabulary_dtype, self.encoding))
        if wanted == 2:
            self.set_named_arrays({"idf_weights": weights[1]})

    def named_arrays(self) -> dict[str, Array]:
        return {} if self.idf_weights is None else {"idf_weights": self.idf_weights}

    def set_named_arrays(self, arrays: Mapping[str, Array]) -> None:
        if self.output_mode == "tf_idf" and "idf_weights" in arrays:
            self.idf_weights = np.asarray(arrays["idf_weights"], floatx())

    def text_assets(self) -> dict[str, str]:
        if self.input_vocabulary is not None:  # it is in the configuration
            return {}
        return {_ASSET: "\n".join(map(str, self.get_vocabulary()))}

    def set_text_assets(self, assets: Mapping[str, str]) -> None:
        if self.input_vocabulary is not None or _ASSET not in assets:
            return
        tokens = tokens_of_text(assets[_ASSET], self.vocabulary_dtype)
        special = self._special
        if tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        refuse_repeated(tokens)
        self._take(tokens)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": False,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": plain_list(self.input_idf_weights),
            "vocabulary": plain_list(self.input_vocabulary),
            "vocabulary_size": self._frozen_size,
            "oov_method": self.oov_method,
            "salt": None if self._key is None else list(self._key),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer; the configuration may hold a vocabulary, but not the path of one."""
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(  # noqa: TRY004 - the file is at fault
                f"the configuration of a {cls.__name__} names the file {config['vocabulary']!r} as "
                "its vocabulary, but files outside the model are not read"
            )
        return cls(**config)


def plain_list(values: Any) -> Any:
    """An array as a list; any other value unchanged."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def _no_gradient(d_outputs: Any, grads: Any) -> None:
    """The vjp of outputs without derivatives: the inputs have no gradient."""
