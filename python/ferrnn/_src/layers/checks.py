"""Checks of the arguments of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.cells.protocol import StateShape, flatten
from ferrnn._src.configs.config import image_data_format
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.tree.ragged import REMEDY
from ferrnn._src.tree.types import Array, Mask


def checked_sequence(layer: str, inputs: Array, rank: int | None, features: int | None) -> None:
    """Raises ValueError for sequences of a wrong rank or number of features."""
    if inputs.ndim != rank and (rank is not None or inputs.ndim < 2):
        wanted = f"ndim={rank} [batch, time, features]" if rank else "ndim>=2 [batch, time, ...]"
        raise ValueError(
            f"Input 0 of layer {layer!r} is incompatible with the layer: expected {wanted}, "
            f"found ndim={inputs.ndim}. Full shape received: {inputs.shape}"
        )
    if features is not None and inputs.shape[-1] != features:
        raise ValueError(
            f"Input 0 of layer {layer!r} is incompatible with the layer: expected {features} "
            f"features on the last axis, found {inputs.shape[-1]}. "
            f"Full shape received: {inputs.shape}"
        )


def checked_sequences(layer: str, structure: Any) -> Array:
    """The first of several sequences, which must have equal batches and numbers of steps."""
    leaves = flatten(structure)
    if not leaves:
        raise ValueError(f"layer {layer!r} must be given at least one sequence, received none")
    for leaf in leaves:
        checked_sequence(layer, leaf, None, None)
    shapes = [leaf.shape for leaf in leaves]
    if len({shape[:2] for shape in shapes}) > 1:
        raise ValueError(
            f"the sequences of layer {layer!r} must have equal batches and numbers of steps, "
            f"received the shapes {shapes}; if they are samples of one input: {REMEDY}"
        )
    return leaves[0]  # type: ignore[no-any-return]


def checked_mask(layer: str, mask: Any, inputs: Array) -> Mask:
    """The boolean mask `[batch, time]` of a mask `[batch, time, ...]`, checked against the inputs.

    A step is masked when all its entries are.
    """
    known = np.asarray(mask)
    if known.shape[:2] != inputs.shape[:2]:
        raise ValueError(
            f"`mask` of layer {layer!r} must have the shape [batch, time] of the inputs, "
            f"{inputs.shape[:2]}, possibly with more axes, received {known.shape}"
        )
    if known.dtype.kind not in "biuf":
        raise TypeError(f"`mask` of layer {layer!r} must be boolean, received {known.dtype}")
    known = of_axes(known, 2)
    if known.dtype == np.bool_:
        return known
    nonzero: Mask = np.not_equal(known, 0)
    return nonzero


def mask_of_lengths(layer: str, lengths: Any, inputs: Array) -> Mask:
    """The mask `[batch, time]` of sequences that are real for their first `lengths` steps.

    >>> mask_of_lengths("lstm", [3, 1], np.ones((2, 4, 5))).astype(int).tolist()
    [[1, 1, 1, 0], [1, 0, 0, 0]]
    """
    known = np.asarray(lengths)
    batch, time = inputs.shape[:2]
    if known.shape != (batch,):
        raise ValueError(
            f"`lengths` of layer {layer!r} must have the shape [batch] of the inputs, {(batch,)}, "
            f"received {known.shape}"
        )
    if known.dtype.kind not in "iu" and batch:
        raise TypeError(
            f"`lengths` of layer {layer!r} must be integers, received the dtype {known.dtype}"
        )
    outside = np.flatnonzero((known < 0) | (known > time))
    if outside.size:
        raise ValueError(
            f"`lengths` of layer {layer!r} must lie in 0..time = 0..{time}, "
            f"received {known[outside[0]]} for row {outside[0]}"
        )
    mask: Mask = np.arange(time) < known[:, None]
    return mask


def chosen_mask(layer: str, mask: Any, lengths: Any, inputs: Array) -> Mask:
    """The mask that was given, as booleans or as lengths."""
    if lengths is None:
        return checked_mask(layer, mask, inputs)
    if mask is not None:
        raise ValueError(f"layer {layer!r} takes either `mask` or `lengths`, received both")
    return mask_of_lengths(layer, lengths, inputs)


def checked_states(layer: str, structure: Any, states: Sequence[Array], batch: int | None) -> None:
    """Raises ValueError for states of a wrong number, batch or length."""
    sizes = flatten(structure)
    if len(states) != len(sizes):
        raise ValueError(
            f"`initial_state` of layer {layer!r} must hold {len(sizes)} states of the sizes "
            f"{structure}, received {len(states)}"
        )
    for index, (state, size) in enumerate(zip(states, sizes, strict=True)):
        lengths = size.lengths if isinstance(size, StateShape) else (size,)
        if state.shape != (batch, *lengths):
            raise ValueError(
                f"state {index} of `initial_state` of layer {layer!r} must have the shape "
                f"[batch, units] = {(batch, *map(int, lengths))}, received {state.shape}"
            )


def checked_rank(layer: str, shape: Any, rank: int, *, least: bool = False) -> None:
    """Raises ValueError unless the inputs have `rank` axes, or at least that many if `least`."""
    found = len(shape)
    if found < rank or (found > rank and not least):
        wanted = f"min_ndim={rank}" if least else f"ndim={rank}"
        raise ValueError(
            f"Input 0 of layer {layer!r} is incompatible with the layer: expected {wanted}, "
            f"found ndim={found}. Full shape received: {tuple(shape)}"
        )


def checked_features(layer: str, shape: Any, axis: int, features: int) -> None:
    """Raises ValueError for inputs of another length along `axis` than the layer was built for."""
    if shape[axis] != features:
        raise ValueError(
            f"Input 0 of layer {layer!r} is incompatible with the layer: expected {features} "
            f"features on axis {axis}, found {shape[axis]}. Full shape received: {tuple(shape)}"
        )


def checked_axes(axis: Any, shape: Any) -> tuple[int, ...]:
    """The axes that `axis` names, one or several, counted from 0 and in order.

    >>> checked_axes([-1, 1], (2, 3, 4)), checked_axes(-1, (2, 3))
    ((1, 2), (1,))
    """
    rank, axes = len(shape), axis if isinstance(axis, list) else [axis]
    for each in axes:
        if not -rank <= each < rank:
            raise ValueError(
                f"Axis {each} is out of bounds for input shape {tuple(shape)}. "
                f"Received: axis={axis}"
            )
    found = sorted(each % rank for each in axes)
    if len(set(found)) < len(found):
        raise ValueError(
            f"Duplicate axes in `axis` for the input shape {tuple(shape)}. Received: axis={axis}"
        )
    return tuple(found)


def tuple_of(value: Any, count: int, argument: str, *, least: int = 1) -> tuple[int, ...]:
    """`value` as a tuple of `count` integers of at least `least`; one integer is repeated.

    >>> tuple_of(2, 2, "padding"), tuple_of([3], 1, "strides")
    ((2, 2), (3,))
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    values = (value,) * count if whole else value
    if not isinstance(values, list | tuple) or len(values) != count or not all(map(_whole, values)):
        raise ValueError(
            f"The `{argument}` argument must be a tuple of {count} integers. "
            f"Received {argument}={value!r}"
        )
    if any(part < least for part in values):
        wrong = {int(part) for part in values if part < least}
        raise ValueError(
            f"The `{argument}` argument must be a tuple of {count} integers. Received "
            f"{argument}={value!r}, including values {wrong} that do not satisfy "
            f"`value {'> 0' if least else '>= 0'}`"
        )
    return tuple(int(part) for part in values)


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def checked_data_format(value: Any) -> str:
    """The order of the axes: "channels_last" or "channels_first"; None is the session's default.

    >>> checked_data_format(None)
    'channels_last'
    """
    known = image_data_format() if value is None else str(value).lower()
    if known not in ("channels_first", "channels_last"):
        raise ValueError(
            "The `data_format` argument must be one of {'channels_first', 'channels_last'}. "
            f"Received: data_format={value!r}"
        )
    return known


def checked_padding(value: Any, *, causal: bool = False) -> str:
    """The kind of padding, in lower case."""
    allowed = ("valid", "same", "causal") if causal else ("valid", "same")
    known = value.lower() if isinstance(value, str) else value
    if known not in allowed:
        raise ValueError(
            f"The `padding` argument must be one of {allowed}. Received: padding={value!r}"
        )
    return str(known)
