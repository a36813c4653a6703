"""Recurrent cells as ONNX nodes: a Scan of a step's equations over time.

For cells, activations and masks that ONNX's LSTM, GRU and RNN cannot express. The product with the
inputs is computed for all steps at once, before the Scan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.cells.coupled_lstm import CoupledLSTMCell
from ferrnn._src.cells.gru import GRUCell
from ferrnn._src.cells.ind_rnn import IndRNNCell
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.minimal_gated import MinimalGatedCell
from ferrnn._src.cells.peephole_lstm import PeepholeLSTMCell
from ferrnn._src.cells.projected_lstm import ProjectedLSTMCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.writing import Builder


class StepWriter:
    """The interface for writing the equations of one step of a cell.

    `from_scans` reads files by the same equations, which therefore use only the cell's `units`,
    `clip`, `reset_after` and whether `bias` is None.
    """

    def __init__(self, b: Builder, cell: Any, name: str) -> None:
        self.b, self.cell, self.name = b, cell, name

    def weight(self, role: str, called: str, part: Any = ...) -> str:
        """A parameter of the cell, or a part of it."""
        value = getattr(self.cell, role).numpy()
        return self.b.constant(value[part], f"{self.name}/{called}")

    def product(self, h: str, part: Any = ...) -> str:
        """The product of a state with the recurrent kernel, or with some of its columns."""
        return self.b.op("MatMul", h, self.weight("recurrent_kernel", "R", part))

    def parts(self, z: str, count: int) -> list[str]:
        widths = self.b.integers(*[self.cell.units] * count)
        return self.b.node("Split", z, widths, count=count, axis=-1)

    def applied(self, role: str, z: str) -> str:
        """One of the cell's activations."""
        return applied(self.b, getattr(self.cell, role), z, self.name)

    def activation(self, z: str) -> str:
        return self.applied("activation", self._clipped(z))

    def gate(self, z: str) -> str:
        return self.applied("recurrent_activation", self._clipped(z))

    def of_state(self, c: str) -> str:
        """The activation of a state, to which `clip` does not apply."""
        return self.applied("activation", c)

    def mixed(self, share: str, one: str, other: str) -> str:
        """`share * one + (1 - share) * other`."""
        rest = self.b.op("Sub", self.b.constant(1.0), share)
        return self.add(self.mul(share, one), self.mul(rest, other))

    def add(self, one: str, other: str) -> str:
        return self.b.op("Add", one, other)

    def mul(self, one: str, other: str) -> str:
        return self.b.op("Mul", one, other)

    def _clipped(self, z: str) -> str:
        clip = self.cell.clip
        if clip is None:
            return z
        return self.b.op("Clip", z, self.b.constant(-clip), self.b.constant(clip))


def _simple(s: StepWriter, x: str, states: list[str]) -> list[str]:
    return [s.activation(s.add(x, s.product(states[0])))]


def _independent(s: StepWriter, x: str, states: list[str]) -> list[str]:
    seen = s.mul(states[0], s.weight("recurrent_kernel", "R"))
    return [s.activation(s.add(x, seen))]


def _lstm(s: StepWriter, x: str, states: list[str]) -> list[str]:
    h, c = states
    i, f, g, o = s.parts(s.add(x, s.product(h)), 4)
    c = s.add(s.mul(s.gate(f), c), s.mul(s.gate(i), s.activation(g)))
    return [s.mul(s.gate(o), s.of_state(c)), c]


def _projected(s: StepWriter, x: str, states: list[str]) -> list[str]:
    h, c = _lstm(s, x, states)
    return [s.b.op("MatMul", h, s.weight("projection_kernel", "projection")), c]


def _coupled(s: StepWriter, x: str, states: list[str]) -> list[str]:
    h, c = states
    f, g, o = s.parts(s.add(x, s.product(h)), 3)
    c = s.mixed(s.gate(f), c, s.activation(g))
    return [s.mul(s.gate(o), s.of_state(c)), c]


def _peephole(s: StepWriter, x: str, states: list[str]) -> list[str]:
    h, c = states
    i, f, g, o = s.parts(s.add(x, s.product(h)), 4)
    rows = s.weight("peephole", "P")
    p_i, p_f, p_o = s.b.node("Split", rows, s.b.integers(1, 1, 1), count=3, axis=0)
    i, f = s.add(i, s.mul(p_i, c)), s.add(f, s.mul(p_f, c))
    c = s.add(s.mul(s.gate(f), c), s.mul(s.gate(i), s.activation(g)))
    o = s.gate(s.add(o, s.mul(p_o, c)))
    return [s.mul(o, s.of_state(c)), c]


def _gru(s: StepWriter, x: str, states: list[str]) -> list[str]:
    (h,) = states
    x_z, x_r, x_g = s.parts(x, 3)
    if s.cell.reset_after:
        u = s.product(h)
        if s.cell.bias is not None:
            u = s.add(u, s.weight("bias", "B", 1))
        u_z, u_r, u_g = s.parts(u, 3)
        z, r = s.gate(s.add(x_z, u_z)), s.gate(s.add(x_r, u_r))
        g = s.activation(s.add(x_g, s.mul(r, u_g)))
    else:
        both = 2 * s.cell.units
        u_z, u_r = s.parts(s.product(h, np.s_[:, :both]), 2)
        z, r = s.gate(s.add(x_z, u_z)), s.gate(s.add(x_r, u_r))
        g = s.activation(s.add(x_g, s.product(s.mul(r, h), np.s_[:, both:])))
    return [s.mixed(z, h, g)]


def _minimal(s: StepWriter, x: str, states: list[str]) -> list[str]:
    (h,) = states
    units = s.cell.units
    x_f, x_g = s.parts(x, 2)
    f = s.gate(s.add(x_f, s.product(h, np.s_[:, :units])))
    g = s.activation(s.add(x_g, s.product(s.mul(f, h), np.s_[:, units:])))
    return [s.mixed(f, g, h)]


STEPS: dict[type, Callable[[StepWriter, str, list[str]], list[str]]] = {
    SimpleRNNCell: _simple,
    IndRNNCell: _independent,
    LSTMCell: _lstm,
    ProjectedLSTMCell: _projected,
    CoupledLSTMCell: _coupled,
    PeepholeLSTMCell: _peephole,
    GRUCell: _gru,
    MinimalGatedCell: _minimal,
}


def sizes(cell: Any) -> list[int]:
    """The lengths of a cell's states."""
    given = cell.state_size
    return [int(each) for each in given] if isinstance(given, list | tuple) else [int(given)]


def scanned(
    b: Builder, name: str, cell: Any, x: str, start: list[str], mask: str | None = None
) -> tuple[str, list[str]]:
    """Writes a cell over sequences `[time, batch, features]`: all outputs, and the last states.

    Where the mask `[time, batch, 1]` is False, the states are carried over and the output repeated.
    """
    z = b.op("MatMul", x, b.constant(cell.kernel.numpy(), f"{name}/W"))
    if cell.bias is not None:
        bias = cell.bias.numpy()
        z = b.op("Add", z, b.constant(bias if bias.ndim == 1 else bias[0], f"{name}/B"))
    if not start:
        batch = b.op("Slice", b.op("Shape", x), b.integers(1), b.integers(2))
        start = [
            b.op("Expand", b.constant(0.0), b.op("Concat", batch, b.integers(size), axis=0))
            for size in sizes(cell)
        ]
    body = _body(b, name, cell, masked=mask is not None)
    arrays = [z] if mask is None else [z, mask]
    count = len(start)
    made = b.node("Scan", *start, *arrays, count=count + 1, num_scan_inputs=len(arrays), body=body)
    return made[-1], made[:-1]


def _body(b: Builder, name: str, cell: Any, *, masked: bool) -> bytes:
    """The graph of one step."""
    inner = b.inside()
    states = [
        inner.input(f"{name}/step/{letter}", b.dtype, ("batch", size))
        for letter, size in zip("hc", sizes(cell), strict=False)
    ]
    width = cell.kernel.numpy().shape[1]
    x = inner.input(f"{name}/step/x", b.dtype, ("batch", width))
    mask = inner.input(f"{name}/step/mask", "bool", ("batch", 1)) if masked else None
    found = STEPS[type(cell)](StepWriter(inner, cell, name), x, states)
    if mask is not None:
        pairs = zip(found, states, strict=True)
        found = [inner.op("Where", mask, new, old) for new, old in pairs]
    given = [*zip("hc", found, sizes(cell), strict=False), ("y", found[0], sizes(cell)[0])]
    for letter, value, size in given:
        inner.output(value, f"{name}/step/{letter}/next", b.dtype, ("batch", size))
    return inner.graph(f"{name}/step")
