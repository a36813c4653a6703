"""Strings and integers to indices of a vocabulary, and back."""

from __future__ import annotations

from typing import Any

from ferrnn._src.layers.index_lookup import IndexLookup


class StringLookup(IndexLookup):
    """Strings to their indices in a vocabulary, which is given or learned by `adapt`.

    With `mask_token`, that string has the index 0; then come `num_oov_indices` for strings that are
    not in the vocabulary, then the vocabulary. `output_mode` is "int", "one_hot" (a vector for each
    string), "multi_hot", "count" or "tf_idf" (a vector for the strings along the last axis). With
    `invert`, indices become strings.

    >>> import numpy as np
    >>> lookup = StringLookup(vocabulary=["a", "b"])
    >>> lookup(np.array([["b", "c"], ["a", "b"]])).tolist()
    [[2, 0], [1, 2]]
    >>> StringLookup(vocabulary=lookup.get_vocabulary(), invert=True)(np.array([2, 0])).tolist()
    ['b', '[UNK]']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",  # noqa: S107 - a token of a text, not a password
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        oov_method: str = "floormod",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype="string",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            oov_method=oov_method,
            salt=salt,
            encoding=encoding,
            name=name,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding}


class IntegerLookup(IndexLookup):
    """Integers to their indices in a vocabulary, as `StringLookup` does for strings.

    With several `num_oov_indices`, a number that is not in the vocabulary gets the index of its
    remainder.

    >>> import numpy as np
    >>> lookup = IntegerLookup(output_mode="count")
    >>> lookup.adapt(np.array([[5, 5, 7], [7, 9, 7]]))
    >>> lookup.get_vocabulary(), lookup(np.array([[5, 5, 8]])).tolist()
    ([-1, 7, 5, 9], [[1.0, 0.0, 2.0, 0.0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ValueError(
                "Only `vocabulary_dtype='int64'` is supported at this time. Received: "
                f"vocabulary_dtype={vocabulary_dtype}"
            )
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype=vocabulary_dtype,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            oov_method=oov_method,
            salt=salt,
            name=name,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_dtype": self.vocabulary_dtype}
