"""The states of any cell, built in or a user's, and its step in one common form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ferrnn._src.layer.calling import resolved_training, training_is
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.shapes import map_shapes
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

States: TypeAlias = tuple[Array, ...]
StepVjp: TypeAlias = Callable[[Array, States, Gradients], tuple[Array, States]]


class DropoutMasks(NamedTuple):
    """Masks of one call, already scaled: `[1 or gates, batch, features]` and `[.., units]`."""

    inputs: Array | None = None
    recurrent: Array | None = None


# The result of `draw_dropout`, which `step` takes; for a stack, one entry for each cell.
Dropout: TypeAlias = "DropoutMasks | tuple[Any, ...] | None"


class Step(Protocol):
    """One step: inputs `[batch, features]` and flat states to output, flat states and the vjp."""

    def __call__(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = ...
    ) -> tuple[tuple[Array, States], StepVjp | None]: ...


def check_cell(cell: Any) -> None:
    """Raises ValueError if `cell` is not a cell."""
    if not callable(getattr(cell, "step", None)) and not callable(getattr(cell, "call", None)):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Argument `cell` should have a `call` method (or a `step` method with its vjp). "
            f"Received: cell={cell!r}"
        )
    if not hasattr(cell, "state_size"):
        raise ValueError(f"The RNN cell should have a `state_size` attribute. Received: {cell!r}")


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts, in order (of a dict, of its sorted keys).

    >>> flatten([[1, 2], 3])
    [1, 2, 3]
    """
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in flatten(part)]
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    return [structure]


def pack(structure: Any, flat: Sequence[Any], container: type = list) -> Any:
    """`flat` in the nesting of `structure`.

    >>> pack([[1, 2], 3], ["h", "c", "s"])
    [['h', 'c'], 's']
    """
    leaves = iter(flat)

    def place(part: Any) -> Any:
        if hasattr(part, "_fields"):
            return type(part)(*(place(inner) for inner in part))
        if isinstance(part, list | tuple):
            return container(place(inner) for inner in part)
        if isinstance(part, dict):
            return {key: place(part[key]) for key in sorted(part)}
        return next(leaves)

    return place(structure)


class StateShape:
    """The shape of a state without its batch axis, if it does not have exactly one other axis."""

    __slots__ = ("lengths",)

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = tuple(lengths)

    def __repr__(self) -> str:
        return str(self.lengths)


def state_structure(cell: Any) -> Any:
    """The nested sizes of a cell's states: a length or a `StateShape` at each leaf.

    They come from the cell's own `get_initial_state` if it has one, else from `state_size`.
    """
    if getattr(cell, "takes_flat_states", False) and hasattr(cell, "cells"):
        return [state_structure(part) for part in cell.cells]
    if by_state_size(cell):
        return cell.state_size
    try:
        made = cell.get_initial_state(batch_size=1)
    except AttributeError:
        # It may read weights, which are not there before the cell is built.
        size = getattr(cell, "state_size", None)
        known = size is not None and all(map(_is_length, flatten(size)))
        if known and isinstance(cell, Layer) and not cell.built:
            return size
        raise
    return map_structure(_length_of, made)


def by_state_size(cell: Any) -> bool:
    """Whether the shapes of the states are known from `state_size` alone."""
    own = getattr(cell, "get_initial_state", None)
    return own is None or getattr(own, "by_state_size", False)


def _length_of(state: Any) -> int | StateShape:
    shape = np.shape(state)[1:]
    return int(shape[0]) if len(shape) == 1 else StateShape(shape)


def listed(structure: Any) -> Any:
    """The structure itself if it is a list, tuple or dict, else a list that holds it."""
    return structure if isinstance(structure, list | tuple | dict) else [structure]


def output_size(cell: Any) -> int:
    """The length of a cell's output: `output_size`, else the length of its first state."""
    size = getattr(cell, "output_size", None)
    first = flatten(state_structure(cell))[0] if size is None else flatten(size)[-1]
    return int(first.lengths[-1] if isinstance(first, StateShape) else first)


def initial_state(cell: Any, batch: int, dtype: str) -> States:
    """The cell's own initial state, flat, or zeros `[batch, size]` if it does not define one."""
    own = getattr(cell, "get_initial_state", None)
    if own is None:
        return tuple(np.zeros((batch, size), dtype) for size in flatten(cell.state_size))
    return tuple(np.asarray(state, dtype) for state in flatten(own(batch_size=batch)))


def learned_state(
    cell: Any, batch: int, dtype: str
) -> tuple[States, Callable[[States, Gradients], Any]] | None:
    """The initial state that a user's cell computes, and its vjp; None if it starts from zeros."""
    cells = getattr(cell, "cells", [cell]) if getattr(cell, "takes_flat_states", False) else [cell]
    if all(map(by_state_size, cells)):
        return None
    made, vjp = tracing.differentiate(lambda _: cell.get_initial_state(batch_size=batch), ())
    return tuple(np.asarray(state, dtype) for state in flatten(made)), vjp


def checked_step(cell: Any, returned: Any, states: States) -> tuple[Any, tuple[Any, ...]]:
    """The output and the flat states that a user's step returned, after checking their shapes."""
    name = getattr(cell, "name", type(cell).__name__)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise ValueError(
            f"the cell {name!r} must return a pair of its output and its new states, received "
            f"{_said(returned)}"
        )
    output, new = returned[0], tuple(flatten(returned[1]))
    batch = states[0].shape[:1] if states else _shape(output)[:1]
    if isinstance(output, list | tuple | dict) or _shape(output)[:1] != batch:
        raise ValueError(
            f"the output of the cell {name!r} must be one array [batch, ...], received "
            f"{_said(output)}; join several outputs with `ops.concatenate`"
        )
    wanted, given = [state.shape for state in states], list(map(_shape, new))
    if wanted != given:
        raise ValueError(
            f"the new states of the cell {name!r} must have the shapes of the previous states, "
            f"{wanted}, received {given}"
        )
    return output, new


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(leaf.shape if hasattr(leaf, "shape") else np.shape(leaf))


def _said(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of the shape {_shape(value)}"


def check_sizes(cell: Any) -> None:
    """Raises ValueError for invalid state sizes, and for more than one output."""
    name = getattr(cell, "name", type(cell).__name__)
    if by_state_size(cell) and not all(map(_is_length, flatten(cell.state_size))):
        raise ValueError(
            f"`state_size` of the cell {name!r} must be an integer, or integers in lists, tuples "
            f"and dicts, received {cell.state_size!r}"
        )
    size = getattr(cell, "output_size", None)
    if size is not None and [*map(_is_length, flatten(size))] != [True]:
        raise ValueError(
            f"`output_size` of the cell {name!r} must be one integer, as the output is one array "
            f"[batch, length], received {size!r}; join several outputs with `ops.concatenate`"
        )


def _is_length(size: Any) -> bool:
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    return whole or isinstance(size, StateShape)


def takes_nested_sizes(cell: Any) -> bool:
    """Whether sizes come from a nested `state_size`, where `(2, 3)` means two states.

    >>> from ferrnn._src.cells.lstm import LSTMCell
    >>> takes_nested_sizes(LSTMCell(4))
    False
    """
    if getattr(cell, "takes_flat_states", False) and hasattr(cell, "cells"):
        return any(map(takes_nested_sizes, cell.cells))
    nested = any(isinstance(size, list | tuple | dict) for size in listed(cell.state_size))
    return nested and by_state_size(cell)


def try_step(cell: Any, shapes: Any, dtype: str) -> None:
    """Runs one step on zeros of the shapes `[batch, ...]`, to find errors before training."""
    found: list[Any] = []
    map_shapes(found.append, shapes)
    if any(None in shape[1:] for shape in found):
        return
    name = getattr(cell, "name", type(cell).__name__)
    inputs = map_shapes(lambda shape: np.zeros((2, *shape[1:]), dtype), shapes)
    states = initial_state(cell, 2, dtype)
    try:
        with np.errstate(all="ignore"):
            output = step_of(cell)(inputs, states, Call())[0][0]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        if not takes_nested_sizes(cell):
            raise
        raise ValueError(
            f"the first step of the cell {name!r} failed: {error}. Its states have the shapes "
            f"{[state.shape for state in states]}, one [batch, length] for each number in "
            f"`state_size` {cell.state_size}; `get_initial_state(batch_size)` gives states of "
            "other shapes"
        ) from error
    if output.shape[-1] != output_size(cell):
        raise ValueError(
            f"the output of the cell {name!r} must have the length of its first state unless "
            f"`output_size` says otherwise: expected {output_size(cell)}, received an array of the "
            f"shape {output.shape}"
        )


def draw_dropout(cell: Any, batch: int, features: int) -> Dropout:
    """The dropout masks of one training call; None for a cell without dropout."""
    draw = getattr(cell, "draw_dropout", None)
    drawn: Dropout = None if draw is None else draw(batch, features)
    return drawn


def step_of(cell: Any) -> Step:
    """The cell's step on flat states, however the cell was written."""
    if _overrides_call(cell):
        return _keras_step(cell)
    if getattr(cell, "takes_flat_states", False):
        found: Step = cell.step
        return found
    return _own_step(cell) if callable(getattr(cell, "step", None)) else _keras_step(cell)


def _overrides_call(cell: Any) -> bool:
    """Whether a user's class overrides `call` of a cell that has a `step`."""
    for kind in type(cell).__mro__:
        if "step" in vars(kind):
            return False
        if "call" in vars(kind):
            return callable(getattr(cell, "step", None))
    return False


def _own_step(cell: Any) -> Step:
    """A user's `step(inputs, states, call)`, whose states are nested as its `state_size`."""
    structure = listed(state_structure(cell))

    def step(
        inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        returned, own_vjp = cell.step(inputs, pack(structure, states, tuple), call)
        output, new = checked_step(cell, returned, states)
        if own_vjp is None:
            return (output, new), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_inputs, d_previous = own_vjp(d_output, pack(structure, d_states, tuple), grads)
            return d_inputs, tuple(flatten(d_previous))

        return (output, new), vjp

    return step


def _keras_step(cell: Any) -> Step:
    """A cell written for Keras, `call(inputs, states[, training])`: its vjp is found by tracing."""
    structure = listed(state_structure(cell))
    taken = inspect.signature(cell.call).parameters.get("training")
    by_default = taken is not None and taken.default is not taken.empty

    def step(
        inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        unsaid = taken is None or (by_default and call.training is None)
        options = {} if unsaid else {"training": call.training}

        def run(given: Any) -> Any:
            with training_is(resolved_training(call.training)):  # for layers called inside
                returned = cell.call(*given, **options)
            return checked_step(cell, returned, states)

        given = (inputs, pack(structure, states))
        if not call.differentiable:
            output, new = run(as_output(given))
            return (np.asarray(output), tuple(np.asarray(state) for state in new)), None
        (output, new), traced_vjp = tracing.differentiate(run, given)

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_inputs, d_previous = traced_vjp([d_output, *d_states], grads)
            return d_inputs, tuple(flatten(d_previous))

        return (output, new), vjp

    return step
