"""Checks for contradictory arguments of lookup layers, with Keras' errors."""

from __future__ import annotations

from typing import Any


def check_sizes(max_tokens: Any, num_oov_indices: int, *, pads: bool) -> None:
    """Raises ValueError for a table that is too small, or of unknown size but to be padded."""
    if max_tokens is not None and max_tokens <= 1:
        raise ValueError(
            f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"
        )
    if pads and max_tokens is None:
        raise ValueError(
            "If pad_to_max_tokens is True, must set `max_tokens`. "
            f"Received: max_tokens={max_tokens}"
        )
    if num_oov_indices < 0:
        raise ValueError(
            "`num_oov_indices` must be greater than or equal to 0. "
            f"Received: num_oov_indices={num_oov_indices}"
        )


def check_mode(mode: str, given: Any, vocabulary: Any, idf_weights: Any, *, invert: bool) -> None:
    """Raises ValueError for token weights in a mode without them, and the reverse.

    `given` is the mode as the caller passed it.
    """
    if invert and mode != "int":
        raise ValueError(
            f"`output_mode` must be `'int'` when `invert` is true. Received: output_mode={given}"
        )
    if idf_weights is not None and mode != "tf_idf":
        raise ValueError(
            "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. "
            f"Received: idf_weights={idf_weights} and output_mode={given}"
        )
    if mode == "tf_idf" and vocabulary is not None and idf_weights is None:
        raise ValueError(
            "When specifying the `vocabulary` argument, in TF-IDF output mode, the "
            "`idf_weights` argument must also be provided."
        )


def check_hashing(oov_method: str, salt: Any, *, hashes: bool) -> None:
    """Raises ValueError for an unknown method, and for a salt where nothing is hashed."""
    if oov_method not in ("floormod", "farmhash"):
        raise ValueError(
            f"`oov_method` must be 'floormod' or 'farmhash'. Received: oov_method={oov_method!r}"
        )
    if salt is not None and not hashes:
        raise ValueError(
            "`salt` can only be used when `oov_method='farmhash'`. Received: "
            f"oov_method={oov_method!r}"
        )
