"""Reads users' `X`: rows of steps, arrays or lists of sequences, dataframes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ferrnn._src.estimators.frames import array_of, is_frame
from ferrnn._src.estimators.sequences import Sequences
from ferrnn._src.tree.types import Array

# The form of an estimator's samples.
ROWS, SEQUENCES = "rows", "sequences"


def read(estimator: Any, samples: Any, *, reset: bool) -> Sequences:
    """`X` as sequences, checked against those of `fit`; with `reset`, recorded on the estimator.

    Raises:
        ValueError: It has another number of features, values that are not finite, or no samples.
        TypeError: It does not hold numbers.
    """
    parts = _parts(samples)
    if parts is None:
        return _rows(estimator, samples, reset=reset)
    options = {"input_name": "X", "estimator": estimator, "dtype": [np.float64, np.float32]}
    if isinstance(parts, np.ndarray):
        parts = check_array(parts, allow_nd=True, **options)
        if 0 in parts.shape:
            raise ValueError(
                "`X` must be sequences of at least one step and one feature [samples, steps, "
                f"features], received the shape {parts.shape}"
            )
    first = parts[0]
    if reset or estimator._given == SEQUENCES or _columns(first) != 1:
        validate_data(estimator, first, skip_check_array=True, reset=reset)
    if reset:
        estimator._given = SEQUENCES
    if isinstance(parts, np.ndarray):
        return Sequences(parts)
    names = _names(first)
    made = []
    for at, part in enumerate(parts):
        if _names(part) != names:
            raise ValueError(
                f"the frames in `X` must have the same columns: expected {names}, received "
                f"{_names(part)} in number {at}"
            )
        made.append(_sequence(part, at, _columns(first), options))
    return Sequences(made)


def _sequence(part: Any, at: int, features: int, options: dict[str, Any]) -> Array:
    """The sequence number `at` of `X` as an array."""
    if not len(part):
        raise ValueError(
            f"`X` must hold sequences of at least one step, received none in number {at}"
        )
    array: Array = check_array(array_of(part) if is_frame(part) else part, **options)
    if array.shape[1] != features:
        raise ValueError(
            "the sequences in `X` must have the same number of features: expected "
            f"{features}, received {array.shape[1]} in number {at}"
        )
    return array


def _rows(estimator: Any, samples: Any, *, reset: bool) -> Sequences:
    """Each row as a sequence of one feature."""
    values = array_of(samples) if is_frame(samples) else samples
    array = check_array(values, input_name="X", estimator=estimator, dtype=[np.float64, np.float32])
    if not reset and estimator._given == SEQUENCES:
        if estimator.n_features_in_ != 1:
            raise ValueError(
                f"`X` must be sequences of {estimator.n_features_in_} features, an array [samples, "
                f"steps, {estimator.n_features_in_}] or a list of arrays [steps, "
                f"{estimator.n_features_in_}], as in `fit`, received the shape {np.shape(samples)}"
            )
    else:
        validate_data(estimator, samples, skip_check_array=True, reset=reset)
    if reset:
        estimator._given = ROWS
    return Sequences(array[:, :, np.newaxis])


def _parts(samples: Any) -> Array | list[Any] | None:
    """`X` as an array or a list of sequences, or None if it is rows of numbers."""
    if is_frame(samples):
        return None
    if isinstance(samples, np.ndarray) and samples.dtype != object:
        return samples if samples.ndim == 3 else None
    if hasattr(samples, "__array__") and len(getattr(samples, "shape", ())) == 3:
        return np.asarray(samples)
    if not isinstance(samples, list | tuple | np.ndarray) or np.ndim(samples[:0]) != 1:
        return None
    return _listed(list(samples))


def _listed(samples: list[Any]) -> list[Any] | None:
    """The members of a list as sequences `[steps, features]`, or None if they are rows."""
    if not samples or not all(map(_is_sequence, samples)):
        return None
    ranks = {2 if is_frame(each) else _rank(each) for each in samples}
    if ranks == {1}:
        rows = len({len(each) for each in samples}) == 1
        return None if rows else [np.asarray(each).reshape(-1, 1) for each in samples]
    if ranks != {2}:
        raise ValueError(
            "the members of `X` must be sequences [steps, features], or [steps] of one feature, "
            f"received members with {sorted(ranks)} axes"
        )
    return [each if is_frame(each) else np.asarray(each) for each in samples]


def _is_sequence(value: Any) -> bool:
    return is_frame(value) or isinstance(value, list | tuple) or np.ndim(value) > 0


def _rank(value: Any) -> int:
    if isinstance(value, list | tuple):
        return 1 + (_rank(value[0]) if len(value) else 0)
    return np.ndim(value)


def _columns(part: Any) -> int:
    return int(np.shape(part)[1])


def _names(part: Any) -> list[str] | None:
    if not is_frame(part):
        return None
    return [str(name) for name in getattr(part, "column_names", None) or part.columns]
