"""The gates of the built-in cells, given the inputs and states of many steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.cells.coupled_lstm import CoupledLSTMCell
from ferrnn._src.cells.gru import GRUCell
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.minimal_gated import MinimalGatedCell
from ferrnn._src.cells.peephole_lstm import PeepholeLSTMCell
from ferrnn._src.cells.projected_lstm import ProjectedLSTMCell
from ferrnn._src.tree.types import Array

# By name, `[steps, units]`.
Gates: TypeAlias = dict[str, Array]
# The states before or after steps, each `[steps, units]`.
States: TypeAlias = Sequence[Array]


def gates_of(cell: Any, inputs: Array, before: States, after: States) -> Gates:
    """The gates of steps, each with its inputs `[steps, features]` and the states around it.

    An empty dict for a cell without gates or a user's cell.
    """
    found = _KINDS.get(type(cell))
    return {} if found is None else found(cell, inputs, before, after)


def _activated(cell: Any) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """The activations of gates and of candidates."""
    return cell.on_sums(cell.recurrent_activation).function, cell.on_sums(cell.activation).function


def _projected(cell: Any, inputs: Array) -> Array:
    product: Array = inputs @ cell.kernel.value
    if cell.bias is not None:
        bias = cell.bias.value
        product = product + (bias if bias.ndim == 1 else bias[0])
    return product


def _lstm(cell: Any, inputs: Array, before: States, after: States) -> Gates:
    gate, act = _activated(cell)
    z = _projected(cell, inputs) + before[0] @ cell.recurrent_kernel.value
    z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
    if isinstance(cell, PeepholeLSTMCell):
        p_i, p_f, p_o = cell.peephole.value
        z_i, z_f, z_o = z_i + p_i * before[1], z_f + p_f * before[1], z_o + p_o * after[1]
    return {
        "input gate": gate(z_i),
        "forget gate": gate(z_f),
        "candidate": act(z_g),
        "output gate": gate(z_o),
    }


def _coupled(cell: Any, inputs: Array, before: States, after: States) -> Gates:
    gate, act = _activated(cell)
    z = _projected(cell, inputs) + before[0] @ cell.recurrent_kernel.value
    z_f, z_g, z_o = np.split(z, 3, axis=1)
    return {"forget gate": gate(z_f), "candidate": act(z_g), "output gate": gate(z_o)}


def _gru(cell: Any, inputs: Array, before: States, after: States) -> Gates:
    gate, act = _activated(cell)
    (h,), kernel, edge = before, cell.recurrent_kernel.value, 2 * cell.units
    x = _projected(cell, inputs)
    u = h @ kernel[:, :edge]
    if cell.reset_after and cell.bias is not None:
        u = u + cell.bias.value[1, :edge]
    z, r = np.split(gate(x[:, :edge] + u), 2, axis=1)
    if cell.reset_after:
        u_g = h @ kernel[:, edge:]
        if cell.bias is not None:
            u_g = u_g + cell.bias.value[1, edge:]
        u_g = r * u_g
    else:
        u_g = (r * h) @ kernel[:, edge:]
    return {"update gate": z, "reset gate": r, "candidate": act(x[:, edge:] + u_g)}


def _minimal(cell: Any, inputs: Array, before: States, after: States) -> Gates:
    gate, act = _activated(cell)
    (h,) = before
    x_f, x_g = np.split(_projected(cell, inputs), 2, axis=1)
    of_gate, of_candidate = np.split(cell.recurrent_kernel.value, 2, axis=1)
    f = gate(x_f + h @ of_gate)
    return {"forget gate": f, "candidate": act(x_g + (f * h) @ of_candidate)}


_KINDS: dict[type, Callable[[Any, Array, States, States], Gates]] = {
    LSTMCell: _lstm,
    PeepholeLSTMCell: _lstm,
    ProjectedLSTMCell: _lstm,
    CoupledLSTMCell: _coupled,
    GRUCell: _gru,
    MinimalGatedCell: _minimal,
}
