"""The states and gates of a recurrent layer at every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ferrnn._src.cells.protocol import States, initial_state, step_of
from ferrnn._src.inspection.gates import gates_of
from ferrnn._src.layer.layer import Call
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.models.model import Model
from ferrnn._src.tree.types import Array, Mask


def layer_states(model: Any, x: Any, layer: Any = None) -> dict[str, Array]:
    """The states and gates of a recurrent layer after each step, by name, `[batch, time, units]`.

    States are "h" and, for an LSTM, "c" (for a custom cell "state 0", "state 1", ...); then come
    the gates and the candidate of a built-in cell. The parts of a `Bidirectional` begin with
    "forward" and "backward"; both are in time order. At masked steps, states are carried over and
    gates are NaN. The cell runs step by step in NumPy, from states of zero.

    Args:
        model: A Sequential or functional model.
        x: Its inputs, `[batch, ...]`.
        layer: The layer or its name; None for the last recurrent one.

    Raises:
        ValueError: There is no such recurrent layer, or it is given its initial state.

    >>> from ferrnn.layers import GRU, Dense, Input
    >>> from ferrnn.models import Sequential
    >>> model = Sequential([Input((None, 2)), GRU(3), Dense(1)])
    >>> found = layer_states(model, np.ones((4, 5, 2)))
    >>> list(found), found["h"].shape
    (['h', 'update gate', 'reset gate', 'candidate'], (4, 5, 3))
    """
    found = recurrent_layer(model, layer)
    inputs, mask = inputs_of(model, x, found)
    made: dict[str, Array] = {}
    for prefix, part in _directions(found):
        made |= {prefix + name: values for name, values in _of_one(part, inputs, mask).items()}
    return made


def recurrent_layer(model: Any, layer: Any = None) -> Any:
    """A recurrent layer of a model, given as itself, by its name, or as None for the last one."""
    known = [each for each in model.layers if isinstance(each, RNN | Bidirectional)]
    fitting = [each for each in known if layer is None or layer in (each, each.name)]
    if not fitting:
        raise ValueError(
            f"`layer` must be a recurrent layer of the model, or its name: one of "
            f"{[each.name for each in known]}, received {layer!r}"
        )
    return fitting[-1]


def inputs_of(model: Any, x: Any, layer: Any) -> tuple[Array, Mask | None]:
    """The inputs of a layer and their mask, for the inputs `x` of the model."""
    if getattr(model, "_graph", None) is None and not model.built:
        model(x)
    tensors = layer.input
    if isinstance(tensors, list | tuple | dict):
        raise ValueError(  # noqa: TRY004 - it is the model that does not fit
            f"the layer {layer.name!r} must have one sequence as its input, without initial "
            f"states, received {len(tensors)} tensors"
        )
    before: Any = Model(model.input, tensors)
    inputs, mask, _ = before.outputs_and_mask(before.prepare_inputs(x), Call())
    return np.asarray(inputs), mask


def _directions(layer: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(layer, Bidirectional):
        yield "forward ", layer.forward_layer
        yield "backward ", layer.backward_layer
    else:
        yield "", layer


def _of_one(layer: Any, inputs: Array, mask: Mask | None) -> dict[str, Array]:
    batch, time = inputs.shape[:2]
    order = range(time - 1, -1, -1) if layer.go_backwards else range(time)
    step, now = step_of(layer.cell), initial_state(layer.cell, batch, layer.dtype)
    before: list[States] = [now] * time
    after: list[States] = [now] * time
    for t in order:
        before[t] = now
        (_, new), _ = step(inputs[:, t], now, Call())
        now = new if mask is None else tuple(map(_chosen(mask[:, t]), new, now))
        after[t] = now
    names = _names(layer.cell, len(now))
    made = {name: np.stack([each[at] for each in after], 1) for at, name in enumerate(names)}
    gates = gates_of(layer.cell, _joined(inputs), _listed(before), _listed(after))
    for name, values in gates.items():
        whole = values.reshape(time, batch, -1).swapaxes(0, 1)
        made[name] = whole if mask is None else np.where(mask[:, :, np.newaxis], whole, np.nan)
    return made


def _chosen(real: Array) -> Any:
    def choose(new: Array, old: Array) -> Array:
        return np.where(real.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return choose


def _joined(inputs: Array) -> Array:
    """`[batch, time, features]` as rows, step by step."""
    rows: Array = inputs.swapaxes(0, 1).reshape(-1, *inputs.shape[2:])
    return rows


def _listed(steps: list[States]) -> list[Array]:
    """Each state as rows, step by step."""
    return [np.concatenate(parts) for parts in zip(*steps, strict=True)]


def _names(cell: Any, count: int) -> list[str]:
    if getattr(cell, "native_name", None) is not None and count <= 2:
        return ["h", "c"][:count]
    return [f"state {at}" for at in range(count)]
