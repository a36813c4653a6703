"""Masks between eager layer calls: arrays carry them from one to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.tree import flatten, map_structure
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


def carried_mask(main: Any) -> Any:
    """The mask that an array carries; for a structure, the list of masks, or None without any."""
    if not isinstance(main, list | tuple | dict):
        return mask_of(main)
    return listed_masks([mask_of(leaf) for leaf in flatten(main)])


def listed_masks(masks: list[Mask | None]) -> list[Mask | None] | None:
    """The masks, or None if there is none among them.

    >>> listed_masks([None, None]) is None
    True
    """
    return None if all(mask is None for mask in masks) else masks


def with_masks(outputs: Any, masks: Any) -> Any:
    """The outputs, each carrying its mask if it has one."""
    if masks is None:
        return as_output(outputs)
    if isinstance(outputs, np.ndarray):
        mask = masks[0] if isinstance(masks, list | tuple) else masks
        return as_output(outputs) if mask is None else attach_mask(outputs, mask)
    found = iter(masks if isinstance(masks, list | tuple) else [masks])

    def carrying(output: Any) -> Any:
        mask = next(found, None)
        return as_output(output) if mask is None else attach_mask(output, mask)

    return map_structure(carrying, outputs)


def given_mask(main: Any, mask: Any) -> Any:
    """A mask as an array; for a structure of inputs, a list of masks with None for no mask.

    >>> given_mask(np.zeros((1, 2)), [[True, False]]).tolist()
    [[True, False]]
    """
    if not isinstance(main, list | tuple | dict) or hasattr(mask, "ndim"):
        return np.asarray(mask)
    return [None if each is None else np.asarray(each) for each in mask]
