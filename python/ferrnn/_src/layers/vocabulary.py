"""Vocabularies of lookup layers: learned from data, read from files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array


def is_row(value: Any) -> bool:
    """Whether it is a sequence of tokens, not a single token."""
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def as_tokens(given: Any, kind: str, encoding: str = "utf-8") -> list[Any]:
    """Strings or integers as a flat list of Python objects.

    >>> as_tokens(np.array([[b"a", b"b"]]), "string"), as_tokens([3, 4], "int64")
    (['a', 'b'], [3, 4])
    """
    flat = np.asarray(given).ravel().tolist()
    if kind == "string":
        return [each.decode(encoding) if isinstance(each, bytes) else str(each) for each in flat]
    return [int(each) for each in flat]


def tokens_of_file(path: str, kind: str) -> list[Any]:
    """The vocabulary in a text file with one token per line."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"Vocabulary file {path} does not exist.")
    return tokens_of_text(file.read_text(encoding="utf-8"), kind)


def tokens_of_text(text: str, kind: str) -> list[Any]:
    r"""The tokens of a text, one per line; empty lines at the end are ignored.

    >>> tokens_of_text("\n[UNK]\na\n\n", "string"), tokens_of_text("7\n5", "int64")
    (['', '[UNK]', 'a'], [7, 5])
    """
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return lines if kind == "string" else [int(line) for line in lines]


def refuse_repeated(tokens: Sequence[Hashable]) -> None:
    """Raises ValueError for a vocabulary with repeated tokens."""
    if len(set(tokens)) < len(tokens):
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        raise ValueError(
            "The passed vocabulary has at least one repeated term. Please uniquify your dataset. "
            f"The repeated terms are: {repeated}"
        )


def refuse_reserved(
    tokens: Sequence[Any], reserved: Iterable[tuple[str, Any]], special: Sequence[Any]
) -> None:
    """Raises ValueError for reserved tokens in the vocabulary, except `special` at the start."""
    for name, token in reserved:
        if token is not None and token in tokens:
            raise ValueError(
                f"Found reserved {name} token {token!r} at unexpected location in `vocabulary`. "
                "Either remove all mask and OOV tokens, or include them only at the start of the "
                f"vocabulary in precisely this order: {special}."
            )


class Counts:
    """Counts of tokens, and of the documents that contain them.

    >>> counts = Counts()
    >>> counts.add([["b", "a", "b"], ["c", "b"]])
    >>> counts.most_common(2, without=[]), counts.rarity(["b", "a"]).round(4).tolist()
    (['b', 'c'], [0.5108, 0.6931])
    """

    def __init__(self) -> None:
        self.tokens: Counter[Any] = Counter()
        self.in_documents: Counter[Any] = Counter()
        self.documents = 0

    def add(self, documents: Iterable[Sequence[Any]]) -> None:
        """Counts the tokens of documents, each a sequence of tokens."""
        for document in documents:
            self.tokens.update(document)
            self.in_documents.update(set(document))
            self.documents += 1

    def most_common(self, limit: int | None, without: Iterable[Any]) -> list[Any]:
        """The tokens by decreasing frequency, and for equal frequency in reverse order."""
        left_out = set(without)
        pairs = [(count, token) for token, count in self.tokens.items() if token not in left_out]
        return [token for _, token in sorted(pairs, reverse=True)][:limit]

    def rarity(self, tokens: Iterable[Any]) -> Array:
        """`log(1 + documents / (1 + documents with the token))` for each token."""
        return np.array(
            [math.log(1.0 + self.documents / (1.0 + self.in_documents[each])) for each in tokens]
        )
