"""Arrays that carry a mask from one eager layer call to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array, Mask


class MaskedOutput(np.ndarray):
    """An array with a mask of its steps; any operation on it gives an array without one.

    >>> carried = attach_mask(np.ones((1, 2, 3)), np.array([[True, False]]))
    >>> mask_of(carried)
    array([[ True, False]])
    >>> type(carried + 1).__name__, mask_of(carried[:, :1]) is None
    ('Output', True)
    """

    _keras_mask: Mask | None

    def numpy(self) -> Array:
        """The plain array."""
        return self.view(np.ndarray)

    def __array_finalize__(self, source: Array | None) -> None:
        self._keras_mask = None

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        if out is not None:
            options["out"] = tuple(_plain(array) for array in out)
        return as_output(getattr(ufunc, method)(*map(_plain, inputs), **options))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = super().__array_function__(func, types, _plain_all(args), _plain_all(kwargs))
        return as_output(_plain(found))

    def __getitem__(self, index: Any) -> Any:
        return as_output(self.view(np.ndarray)[index])

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.view(np.ndarray).__reduce_ex__(protocol)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, MaskedOutput) else value


def _plain_all(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_plain_all(part) for part in value)
    if isinstance(value, dict):
        return {key: _plain_all(part) for key, part in value.items()}
    return _plain(value)


def attach_mask(array: Array, mask: Mask) -> MaskedOutput:
    """A view of `array` that carries `mask`.

    >>> type(attach_mask(np.ones((1, 2, 3)), np.array([[True, False]]))).__name__
    'MaskedOutput'
    """
    carried = array.view(MaskedOutput)
    carried._keras_mask = mask
    return carried


def of_axes(mask: Any, count: int) -> Mask:
    """The mask over the first `count` axes: a step is masked when all its entries are.

    >>> of_axes([[[True, False], [False, False]]], 2).tolist()
    [[True, False]]
    """
    known = np.asarray(mask)
    if known.ndim <= count:
        return known
    further = tuple(range(count, known.ndim))
    return np.asarray(np.not_equal(known, 0).any(axis=further))


def mask_of(array: object) -> Mask | None:
    """The mask that `array` carries, if any.

    >>> mask_of(np.ones(2)) is None
    True
    """
    return getattr(array, "_keras_mask", None)
