"""Arrays of samples, alone or in lists and dicts, checked, split and weighted."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.tree.columns import is_column, read_column
from ferrnn._src.tree.ragged import REMEDY, refuse_ragged
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.tree.types import Array

# Inputs, targets and weights: each an array, arrays in lists, tuples and dicts, or None.
Batch: TypeAlias = "tuple[Any, Any, Any]"


def as_samples(value: Any, name: str) -> Any:
    """`value` as an array of samples `[samples, ...]`, or a structure of them; None stays None.

    >>> as_samples(np.zeros((3, 2)), "x").shape
    (3, 2)
    >>> as_samples({"a": np.zeros(3), "b": np.zeros((3, 2))}, "x")["a"].shape
    (3,)
    """
    if value is None or (type(value) is np.ndarray and value.ndim and value.dtype.kind in "fiub"):
        return value
    if isinstance(value, list | tuple | dict) and _holds_arrays(value):
        parts = list(value.values()) if isinstance(value, dict) else list(value)
        if len(parts) == 1 and isinstance(value, list | tuple):
            return as_samples(parts[0], name)
        if isinstance(value, dict):
            return {key: as_samples(part, name) for key, part in value.items()}
        made = [as_samples(part, name) for part in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return _array(value, name)


def are_plain(x: Any, y: Any) -> bool:
    """Whether inputs and targets are arrays of numbers that go together as they are.

    >>> are_plain(np.zeros((3, 2)), np.zeros(3)), are_plain(np.zeros((3, 2)), np.zeros(4))
    (True, False)
    """
    if not type(x) is type(y) is np.ndarray or not (x.ndim and y.ndim):
        return False
    return len(x) == len(y) and x.dtype.kind in "fiub" and y.dtype.kind in "fiub"


def checked_inputs(x: Any) -> Any:
    """`x` as samples; optional inputs may be None, but not all inputs.

    >>> checked_inputs({"a": np.zeros(2), "b": None})["b"] is None
    True
    """
    inputs = as_samples(x, "x")
    if type(inputs) is np.ndarray:
        return inputs
    if inputs is None or all(leaf is None for leaf in flatten(inputs)):
        raise ValueError(
            "`x` must be an array of samples, received None: it is not optional, at least one "
            "input must be given"
        )
    return inputs


def _holds_arrays(value: Any) -> bool:
    leaves = flatten(value)
    return bool(leaves) and all(
        leaf is None or hasattr(leaf, "__array__") or is_column(leaf) for leaf in leaves
    )


def _array(value: Any, name: str) -> Array:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = np.asarray(value)
    value = read_column(value)
    parts = value.items() if isinstance(value, Mapping) else ()
    for what, part in (
        (f"`{name}`", value),
        *((f"`{name}[{key!r}]`", each) for key, each in parts),
    ):
        refuse_ragged(part, what)
    if isinstance(value, list | tuple | Mapping) or not hasattr(value, "__array__"):
        raise ValueError(
            f"Unrecognized data type: {name}={type(value).__name__}. Expected an array, or arrays "
            "in a list or dict; convert a list of numbers with `numpy.asarray`"
        )
    array = np.asarray(value)
    if array.dtype.kind == "O" and hasattr(value, "columns"):
        array = _of_mixed_columns(array, value, name)
    if array.dtype.kind not in "fiub" and (
        name in ("y", "sample_weight") or not _holds_texts(array)
    ):
        raise TypeError(f"`{name}` must hold real numbers, received the dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"`{name}` must have a first axis of samples, received the scalar {value}")
    named_column = hasattr(value, "to_frame") and array.ndim == 1
    return array[:, None] if named_column else array


def _holds_texts(array: Array) -> bool:
    """Whether it holds strings, for a model that begins with `TextVectorization` or the like."""
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(each, str | bytes) for each in array.flat)
    return array.dtype.kind in "UST"


def _of_mixed_columns(array: Array, frame: Any, name: str) -> Array:
    """The array of a dataframe with columns of integers, floats and booleans."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must be a dataframe with numbers in all columns, received the columns "
            f"{list(frame.columns)} ({error})"
        ) from error


def checked_count(value: Any, name: str, least: int = 1) -> int:
    """An integer of at least `least`; errors name the argument `name`.

    >>> checked_count(np.int64(3), "epochs")
    3
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        kind = "a positive integer" if least else "an integer of at least 0"
        raise ValueError(f"`{name}` must be {kind}, received {value!r}")
    return int(value)


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and weights of the same samples, checked.

    >>> Samples.of(np.zeros((4, 2)), np.zeros(4)).count
    4
    >>> Samples.of({"a": np.zeros((4, 2)), "b": np.zeros(4)}).part(1, 3).x["b"].shape
    (2,)
    """

    x: Any
    y: Any = None
    sample_weight: Any = None

    @classmethod
    def of(cls, x: Any, y: Any = None, sample_weight: Any = None) -> Samples:
        """Samples from the user's arguments, after checking them."""
        inputs = checked_inputs(x)
        made = cls(inputs, as_samples(y, "y"), as_weights(sample_weight))
        made.check_cardinality()
        return made

    @classmethod
    def of_batch(cls, x: Any, y: Any = None, sample_weight: Any = None) -> Samples:
        """As `of`, for one batch: its weights may be any array that broadcasts, or one number.

        >>> Samples.of_batch(np.zeros((4, 2)), np.zeros(4), 0.5).sample_weight.shape
        ()
        """
        if sample_weight is None and are_plain(x, y):
            return cls(x, y)
        inputs = checked_inputs(x)
        single = (
            isinstance(sample_weight, np.ndarray | np.generic | float | int)
            and np.ndim(sample_weight) == 0
        )
        weights = np.asarray(sample_weight) if single else as_weights(sample_weight)
        made = cls(inputs, as_samples(y, "y"), weights)
        made.check_cardinality(weights=False)
        return made

    def check_cardinality(self, *, weights: bool = True) -> None:
        """Raises ValueError for arrays of different lengths."""
        x, y = self.x, self.y
        if type(x) is type(y) is np.ndarray and len(x) == len(y) and self.sample_weight is None:
            return
        parts = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight if weights else None}
        sizes = {
            name: [len(leaf) for leaf in flatten(part) if leaf is not None]
            for name, part in parts.items()
        }
        if len({size for each in sizes.values() for size in each}) > 1:
            shown = (f"'{name}' sizes: {', '.join(map(str, s))}" for name, s in sizes.items() if s)
            several = len(set(sizes["x"])) > 1
            remedy = f"; if they are the sequences of one input: {REMEDY}" if several else ""
            raise ValueError(
                "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                f"samples. {', '.join(shown)}{remedy}"
            )

    @property
    def count(self) -> int:
        """The number of samples."""
        if type(self.x) is np.ndarray:
            return len(self.x)
        return len(next(leaf for leaf in flatten(self.x) if leaf is not None))

    def require_some(self, purpose: str) -> None:
        """Raises ValueError if there are no samples."""
        if not self.count:
            raise ValueError(
                f"`x` must hold at least one sample for `{purpose}`, received the shape "
                f"{next(leaf.shape for leaf in flatten(self.x) if leaf is not None)}"
            )

    def part(self, start: int, stop: int) -> Samples:
        """The samples from `start` to `stop`, as views."""
        return Samples(*(_each(lambda a: a[start:stop], part) for part in self.arrays))

    def taken(self, index: Array) -> Batch:
        """Copies of the samples at `index`."""
        if type(self.x) is type(self.y) is np.ndarray and self.sample_weight is None:
            return self.x.take(index, 0), self.y.take(index, 0), None
        x, y, weight = (_each(lambda a: a.take(index, axis=0), part) for part in self.arrays)
        return x, y, weight

    @property
    def arrays(self) -> Batch:
        """Inputs, targets, weights."""
        return self.x, self.y, self.sample_weight

    def weighted(
        self,
        class_weight: Mapping[int, float] | None,
        outputs: Callable[[Any], Any] | None = None,
    ) -> Samples:
        """The samples with weights by class, 1.0 for classes that `class_weight` does not name.

        `outputs` returns the shape of the model's outputs for the inputs; without it they are
        assumed to have the shape of one-hot targets.
        """
        if class_weight is None:
            return self
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                "`class_weight` must be a dict from labels to weights, received "
                f"{type(class_weight).__name__}"
            )
        if self.sample_weight is not None:
            raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
        if self.y is None:
            raise ValueError("`y` must be given with `class_weight`, received None")
        if not isinstance(self.y, np.ndarray):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "`class_weight` is only supported for Models with a single output."
            )
        given, y = outputs or (lambda _: y.shape), self.y
        weights = weights_by_class(y, class_weight, lambda: given(self.x))
        return Samples(self.x, self.y, weights)


def as_weights(value: Any) -> Any:
    """`sample_weight` as arrays; for one weight per sample, a list of numbers is accepted.

    >>> as_weights([1.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    if isinstance(value, list) and not any(hasattr(leaf, "__array__") for leaf in flatten(value)):
        value = np.asarray(value)
    given = as_samples(value, "sample_weight")
    if hasattr(value, "to_frame"):  # a named column has one weight for each sample
        return given[:, 0]
    return given


def weights_by_class(
    y: Array, class_weight: Mapping[int, float], outputs: Callable[[], Any]
) -> Array:
    """A weight for each label: class numbers `[batch, ...]`, with a last axis of 1, or one-hot.

    `outputs` returns the shape of the outputs, which have one axis more than class numbers; it is
    called only if `y` may be either.

    >>> weights_by_class(np.array([0, 2]), {2: 5.0}, lambda: (2, 3)).tolist()
    [1.0, 5.0]
    >>> weights_by_class(np.array([[0, 1], [0, 1]]), {1: 5.0}, lambda: (2, 2, 3)).tolist()
    [[1.0, 5.0], [1.0, 5.0]]
    """
    labels = y
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    elif labels.ndim > 1 and _is_one_hot(labels, outputs()):
        labels = np.argmax(labels, axis=-1)
    labels = np.round(labels).astype(np.int64)
    weights = np.ones(labels.shape)
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def _is_one_hot(y: Array, shape: Any) -> bool:
    """Whether the last axis of `y` is that of the classes, by the shape of the outputs."""
    known = isinstance(shape, tuple) and all(each is None or np.ndim(each) == 0 for each in shape)
    if known and len(shape) == y.ndim + 1:
        return False
    fits = known and len(shape) == y.ndim and shape[-1] in (None, y.shape[-1])
    # Class numbers of steps and several labels of a sample may have this shape as well.
    if fits and np.all(y >= 0) and np.allclose(y.sum(axis=-1), 1.0, atol=1e-3):
        return True
    raise ValueError(
        "with `class_weight`, `y` must be class numbers `[batch, ...]`, possibly with a last axis "
        "of 1, or one-hot (each row along the last axis sums to 1); which of them it is cannot be "
        f"determined from its shape {y.shape} and that of the outputs, {shape}. Pass "
        "`sample_weight` instead"
    )


def _each(function: Callable[[Array], Array], arrays: Any) -> Any:
    if arrays is None:
        return None
    if type(arrays) is np.ndarray:
        return function(arrays)
    return map_structure(lambda leaf: None if leaf is None else function(leaf), arrays)


def split_off_last(samples: Samples, fraction: float) -> tuple[Samples, Samples]:
    """All but the last `fraction` of the samples, and that last part; no copy.

    >>> train, validation = split_off_last(Samples(np.arange(10)), 0.25)
    >>> train.count, validation.x.tolist()
    (7, [7, 8, 9])
    """
    if not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise ValueError(f"`validation_split` must lie between 0 and 1, received {fraction!r}")
    at = math.floor(samples.count * (1.0 - fraction))
    if at in (0, samples.count):
        raise ValueError(
            f"Training data contains {samples.count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by `validation_split={fraction}`. "
            "Either provide more data, or a different value for the `validation_split` argument."
        )
    return samples.part(0, at), samples.part(at, samples.count)


def not_finite(samples: Samples) -> str | None:
    """Names the array that holds NaN or infinity, and the first such sample.

    >>> not_finite(Samples(np.array([[1.0], [np.nan]])))
    '`x` holds nan at sample 1, the first of 1 samples that are not finite.'
    """
    for name, given in zip(("x", "y", "sample_weight"), samples.arrays, strict=True):
        for array in flatten(given):
            if array is None or array.dtype.kind != "f":
                continue
            finite = np.isfinite(array).reshape(len(array), -1)
            bad = np.flatnonzero(~finite.all(axis=1))
            if bad.size:
                value = array.reshape(len(array), -1)[bad[0]][~finite[bad[0]]][0]
                return (
                    f"`{name}` holds {value} at sample {bad[0]}, the first of {bad.size} samples "
                    "that are not finite."
                )
    return None
