"""The engine's weights for one direction of an ONNX LSTM, GRU or RNN, if it has such a cell.

An ONNX activation that is one of the engine's at `scale * x + shift` becomes that one, with the
scale and the shift moved into the weights and the bias: `HardSigmoid` with any alpha and beta is
`relu6(6 alpha x + 6 beta) / 6`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferrnn._src.interop.gates import ONNX, ordered
from ferrnn._src.sequence.fused import Weights
from ferrnn._src.tree.types import Array

_CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}
_PLAIN = frozenset({"relu", "tanh", "sigmoid", "softsign", "softplus"})


@dataclass(frozen=True)
class Function:
    """An ONNX activation with its alpha and beta, "" for those that it does not take."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def native(self) -> tuple[str, float, float] | None:
        """The engine's activation, with the scale and shift of its input, or None."""
        if self.name in _PLAIN:
            return self.name, 1.0, 0.0
        if self.name == "hardsigmoid":
            return "hard_sigmoid", 6 * self.alpha, 6 * self.beta - 3
        if self.name == "affine":
            return "linear", self.alpha, self.beta
        if self.name == "scaledtanh" and self.alpha == 1:
            return "tanh", self.beta, 0.0
        return ("elu", 1.0, 0.0) if self.name == "elu" and self.alpha == 1 else None


@dataclass(frozen=True)
class Direction:
    """One direction of a node, with weights in ONNX's order and shapes."""

    kind: str
    functions: list[Function]
    w: Array
    r: Array
    bias: Array | None
    peepholes: Array | None
    coupled: bool
    reset_after: bool
    clip: float | None = None


def engine_weights(direction: Direction) -> Weights | None:
    """The weights packed for the engine, or None if it has no such cell."""
    native = [function.native() for function in direction.functions]
    found = [each for each in native if each is not None]
    if len(found) < len(native):
        return None
    if direction.kind == "LSTM" and (found[2][1:] != (1.0, 0.0) or found[1][0] != found[2][0]):
        return None  # the engine's cells use one function for the candidate and for the state
    if direction.coupled and (
        direction.peepholes is not None or found[0][0] not in {"sigmoid", "hard_sigmoid"}
    ):
        return None
    gate, candidate = found[0], found[min(1, len(found) - 1)]
    bounds: tuple[float | None, float | None] = (None, None)
    if direction.clip is not None:
        # A shift moves the bounds of `clip`, but the engine's are symmetric.
        if any(shift != 0 or scale == 0 for _, scale, shift in found):
            return None
        bounds = (direction.clip * abs(candidate[1]), direction.clip * abs(gate[1]))
    gates = 4 if direction.kind == "LSTM" else 3 if direction.kind == "GRU" else 1
    # In our order: i, f, c, o; z, r, h; or a single gate.
    inner = {"LSTM": 2, "GRU": 2, "RNN": 0}[direction.kind]
    scales = [(candidate if at == inner else gate)[1:] for at in range(gates)]
    kernel, recurrent, bias = _scaled(direction, scales)
    vectors = None
    if direction.peepholes is not None:
        p_i, p_o, p_f = np.split(direction.peepholes, 3)
        vectors = np.stack([p_i, p_f, p_o]) * direction.w.dtype.type(gate[1])
    name = _CELLS[direction.kind] if vectors is None else "peephole_lstm"
    if direction.coupled:
        name = "coupled_lstm"
        kernel, recurrent, bias = (_coupled(each) for each in (kernel, recurrent, bias))
    return Weights(
        name,
        np.ascontiguousarray(kernel),
        np.ascontiguousarray(recurrent),
        np.ascontiguousarray(bias),
        activation=candidate[0],
        recurrent_activation=gate[0] if direction.kind != "RNN" else "sigmoid",
        reset_after=direction.reset_after,
        vectors=vectors,
        clip=bounds[0],
        recurrent_clip=bounds[1],
    )


def _scaled(direction: Direction, scales: list[tuple[float, float]]) -> tuple[Array, Array, Array]:
    """Kernel, recurrent kernel and bias in our order, with the scale and shift of each gate."""
    order, dtype = ONNX[direction.kind], direction.w.dtype
    units = direction.r.shape[1]
    factor = np.repeat([scale for scale, _ in scales], units)
    shift = np.repeat([shift for _, shift in scales], units)
    kernel = (ordered(direction.w, order).T * factor).astype(dtype)
    recurrent = (ordered(direction.r, order).T * factor).astype(dtype)
    wide = np.zeros(2 * len(factor)) if direction.bias is None else direction.bias
    ahead, back = (ordered(half, order) * factor for half in np.split(wide, 2))
    if direction.kind == "GRU" and direction.reset_after:
        return kernel, recurrent, np.stack([ahead + shift, back]).astype(dtype)
    return kernel, recurrent, (ahead + back + shift).astype(dtype)


def _coupled(array: Array) -> Array:
    """Blocks f, c, o from i, f, c, o, where f is 1 - i: a gate's complement is the gate of -z."""
    i, _, c, o = np.split(array, 4, axis=-1)
    return np.concatenate([-i, c, o], axis=-1)
