"""Words as numbers: Keras 2's tokenizer, which programs for text still use."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.tree.types import Array

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
Analyzer: TypeAlias = "Callable[[str], Sequence[str]] | None"


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text; characters in `filters` separate them as `split` does.

    >>> text_to_word_sequence("This is, a (short) text!")
    ['this', 'is', 'a', 'short', 'text']
    """
    text = input_text.lower() if lower else input_text
    parted = text.translate({ord(character): split for character in filters})
    return [word for word in parted.split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer = None,
) -> list[int]:
    """A number from 1 to `n - 1` for each word, by its hash; two words may get the same one.

    `hash_function` is "md5", a function, or None for Python's `hash`, which changes from one run of
    Python to the next.

    >>> hashing_trick("one two one", 50, "md5")
    [9, 19, 9]
    """
    found: Callable[[str], int] = hash if hash_function is None else _md5
    if callable(hash_function):
        found = hash_function
    elif hash_function not in (None, "md5"):
        raise ValueError(
            f"`hash_function` must be 'md5', a function or None, received {hash_function!r}"
        )
    words = analyzer(text) if analyzer else text_to_word_sequence(text, filters, lower, split)
    return [found(word) % (n - 1) + 1 for word in words]


def one_hot(
    input_text: str,
    n: int,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer = None,
) -> list[int]:
    """`hashing_trick` with Python's `hash`: class numbers, not vectors, despite the name.

    >>> len(one_hot("one two one", 50))
    3
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers the words of texts, the most frequent one first, from 1; 0 is left for padding.

    Only the `num_words - 1` most frequent ones are kept when texts become sequences. `char_level`
    counts characters instead of words. `oov_token`, if given, replaces unknown words.

    >>> tokenizer = Tokenizer(num_words=4, oov_token="?")
    >>> tokenizer.fit_on_texts(["the cat sat", "the cat ran", "the dog"])
    >>> tokenizer.texts_to_sequences(["The cat flew"])
    [[2, 3, 1]]
    >>> tokenizer.sequences_to_texts([[2, 3, 1]])
    ['the cat ?']
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Analyzer = None,
        document_count: int = 0,
    ) -> None:
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.document_count = document_count
        self.word_counts: Counter[str] = Counter()
        self.word_docs: Counter[str] = Counter()
        self.index_docs: Counter[int] = Counter()
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: str | list[str]) -> Sequence[str]:
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Counts the words of texts (or of lists of words), and renumbers them."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            self.word_counts.update(words)
            self.word_docs.update(set(words))
        # Equally frequent words stay in the order of their first occurrence.
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        known = ordered if self.oov_token is None else [self.oov_token, *ordered]
        self.word_index = dict(zip(known, range(1, len(known) + 1), strict=True))
        self.index_word = {index: word for word, index in self.word_index.items()}
        for word, documents in self.word_docs.items():
            self.index_docs[self.word_index[word]] = documents

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Counts documents of numbers, for `sequences_to_matrix` with "tfidf"."""
        self.document_count += len(sequences)
        for sequence in sequences:
            self.index_docs.update(set(sequence))

    def _kept(self, index: int | None) -> int | None:
        """The number of a word, or that of `oov_token`, or None."""
        if index is not None and not (self.num_words and index >= self.num_words):
            return index
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """The numbers of the words of each text, without unknown words."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """As `texts_to_sequences`, one after the other."""
        for text in texts:
            kept = (self._kept(self.word_index.get(word)) for word in self._words(text))
            yield [index for index in kept if index is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of each sequence of numbers, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """As `sequences_to_texts`, one after the other."""
        for sequence in sequences:
            known = (int(index) if index in self.index_word else None for index in sequence)
            kept = (self._kept(index) for index in known)
            yield " ".join(self.index_word[index] for index in kept if index is not None)

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> Array:
        """`sequences_to_matrix` of the texts' sequences."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> Array:
        """A row `[words]` for each sequence: "binary", "count", "freq" or "tfidf" of numbers."""
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"Unknown vectorization mode: {mode}")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        if not self.num_words and not self.word_index:
            raise ValueError(
                "Specify a dimension (`num_words` argument), or fit on some text data first."
            )
        width = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences, strict=True):
            for index, count in Counter(i for i in sequence if i < width).items():
                row[index] = self._weight(index, count, len(sequence), mode)
        return matrix

    def _weight(self, index: int, count: int, length: int, mode: str) -> float:
        if mode == "tfidf":
            rarity = np.log(1 + self.document_count / (1 + self.index_docs.get(index, 0)))
            return float((1 + np.log(count)) * rarity)
        return {"binary": 1.0, "count": float(count), "freq": count / length}[mode]

    def get_config(self) -> dict[str, Any]:
        """The settings, and the counts as JSON."""
        settings = ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        counted = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {
            **{name: getattr(self, name) for name in settings},
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in counted},
        }

    def to_json(self, **options: Any) -> str:
        """Settings and counts as JSON for `tokenizer_from_json`; options go to `json.dumps`."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **options)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """A tokenizer from what `to_json` returned, here or in Keras.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["one two"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'one': 1, 'two': 2}
    """
    config = json.loads(json_string)["config"]
    names = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    counted = {name: json.loads(config.pop(name)) for name in names}
    made = Tokenizer(**config)
    made.word_counts = Counter(counted["word_counts"])
    made.word_docs = Counter(counted["word_docs"])
    made.index_docs = Counter({int(key): value for key, value in counted["index_docs"].items()})
    made.index_word = {int(key): value for key, value in counted["index_word"].items()}
    made.word_index = counted["word_index"]
    return made
