"""ONNX's LSTM, GRU and RNN: in the engine, or step by step in NumPy for cells that it lacks.

The equations and defaults are those of https://onnx.ai/onnx/operators/onnx__LSTM.html, `__GRU` and
`__RNN`. A cell with coupled gates and peepholes, or with activations that the engine does not have,
runs in NumPy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.interop.onnx.cells import Direction, Function, engine_weights
from ferrnn._src.interop.onnx.files import OnnxError
from ferrnn._src.interop.onnx.products import IN_NUMPY
from ferrnn._src.sequence.fused import Problem, Weights, rnn_forward
from ferrnn._src.sequence.one_step import MOST_ROWS, OneStep
from ferrnn._src.tree.types import Array

Activation = Callable[[Array], Array]
# A direction's weights in the engine, its single-step runner, and the dtype.
_Ready: TypeAlias = tuple[Weights, OneStep, np.dtype[Any]]

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
# The default alpha and beta of each activation, or None where it has none.
_SCALES: Mapping[str, tuple[float | None, float | None]] = {
    "relu": (None, None),
    "tanh": (None, None),
    "sigmoid": (None, None),
    "softsign": (None, None),
    "softplus": (None, None),
    "elu": (1.0, None),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
    "hardsigmoid": (0.2, 0.5),
    "scaledtanh": (1.0, 1.0),
    "affine": (1.0, 0.0),
}


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    positive: Array = np.where(x >= 0, 1, small) / (1 + small)
    return positive.astype(x.dtype, copy=False)


def _formula(function: Function) -> Activation:
    alpha, beta = function.alpha, function.beta
    formulas: dict[str, Activation] = {
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "sigmoid": sigmoid,
        "softsign": lambda x: x / (1 + np.abs(x)),
        "softplus": lambda x: np.logaddexp(x, 0),
        "elu": lambda x: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))),
        "leakyrelu": lambda x: np.where(x >= 0, x, alpha * x),
        "thresholdedrelu": lambda x: np.where(x >= alpha, x, 0),
        "hardsigmoid": lambda x: np.clip(alpha * x + beta, 0, 1),
        "scaledtanh": lambda x: alpha * np.tanh(beta * x),
        "affine": lambda x: alpha * x + beta,
    }
    return formulas[function.name]


def _same(known: tuple[Array | None, ...], given: tuple[Array | None, ...]) -> bool:
    """Whether these are the same arrays, which a graph never writes to."""
    return len(known) == len(given) and all(map(operator.is_, known, given))


class Recurrent:
    """A recurrent node that is ready to run, with its attributes read."""

    def __init__(self, kind: str, attributes: Mapping[str, Any], place: str) -> None:
        self.kind, self.place = kind, place
        direction = attributes.get("direction", "forward")
        if direction not in {"forward", "reverse", "bidirectional"}:
            raise OnnxError(
                f"{place}: direction must be forward, reverse or bidirectional, received "
                f"{direction!r}"
            )
        self.reversed = {"forward": [False], "reverse": [True]}.get(direction, [False, True])
        self.units = attributes.get("hidden_size")
        self.layout = int(attributes.get("layout", 0))
        self.clip = attributes.get("clip")
        self.reset_after = bool(attributes.get("linear_before_reset", 0))
        self.coupled = bool(attributes.get("input_forget", 0))
        self.engine = IN_NUMPY not in attributes
        self.functions = self._activations(attributes)
        self.formulas = [[_formula(each) for each in own] for own in self.functions]
        # The engine's weights for each direction, and the arrays that they were made from.
        self.packed: tuple[tuple[Array | None, ...], list[_Ready | None]] = ((), [])

    def _activations(self, attributes: Mapping[str, Any]) -> list[list[Function]]:
        """The functions of each direction."""
        each = len(_DEFAULTS[self.kind])
        asked = attributes.get("activations") or _DEFAULTS[self.kind] * len(self.reversed)
        if len(asked) != each * len(self.reversed):
            raise OnnxError(
                f"{self.place}: expected {each} activations for each direction, received {asked}"
            )
        alphas = list(attributes.get("activation_alpha", []))
        betas = list(attributes.get("activation_beta", []))
        functions = []
        for full in asked:
            name = full.lower()
            if name not in _SCALES:
                raise OnnxError(f"{self.place}: the activation {full!r} is not supported")
            alpha, beta = _SCALES[name]
            # In the order of the functions that take one.
            alpha = alphas.pop(0) if alpha is not None and alphas else alpha
            beta = betas.pop(0) if beta is not None and betas else beta
            functions.append(Function(name, alpha or 0.0, beta or 0.0))
        return [functions[at : at + each] for at in range(0, len(asked), each)]

    def run(self, inputs: list[Array | None]) -> list[Array]:
        """Y, Y_h and, for an LSTM, Y_c."""
        x, w, r, bias, lengths, h, c, peepholes = (*inputs, *[None] * 8)[:8]
        if x is None or w is None or r is None or x.ndim != 3:
            raise OnnxError(f"{self.place}: X [time, batch, features], W and R must be given")
        x = x if self.layout else x.swapaxes(0, 1)  # [batch, time, features] from here on
        made_of, packed = self.packed
        if not _same(made_of, (w, r, bias, peepholes)) or w.shape[-1] != x.shape[2]:
            self.check_weights(w, r, bias, peepholes, x.shape[2])
            packed = self._pack(w, r, bias, peepholes)
            self.packed = (w, r, bias, peepholes), packed
        mask = None
        if lengths is not None:
            lengths = np.asarray(lengths)
            if lengths.shape != x.shape[:1] or (lengths < 0).any() or (lengths > x.shape[1]).any():
                raise OnnxError(
                    f"{self.place}: sequence_lens must be {len(x)} lengths up to {x.shape[1]}, "
                    f"received {lengths.tolist()}"
                )
            if (lengths < x.shape[1]).any():
                mask = np.arange(x.shape[1]) < lengths[:, None]
        states = [self._state(each, x, name) for each, name in ((h, "initial_h"), (c, "initial_c"))]
        runs = []
        for index, reverse in enumerate(self.reversed):
            start = [state[index] for state in states[: 2 if self.kind == "LSTM" else 1]]
            found = None if not x.size else self._in_engine(packed[index], x, start, mask, reverse)
            if found is None:
                arrays = [None if each is None else each[index] for each in (bias, peepholes)]
                steps = (index, x, w[index], r[index], *arrays, start, mask, reverse)
                found = self._steps(*steps)
            runs.append(found)
        if len(runs) == 1:  # views, not copies
            y, finals = runs[0][0][:, :, None], [final[None] for final in runs[0][1:]]
        else:
            y = np.stack([run[0] for run in runs], axis=2)  # [batch, time, directions, units]
            finals = [np.stack([run[1 + at] for run in runs]) for at in range(len(runs[0]) - 1)]
        if self.layout:
            return [y, *(final.swapaxes(0, 1) for final in finals)]
        return [y.transpose(1, 2, 0, 3), *finals]

    def _in_engine(
        self,
        ready: _Ready | None,
        x: Array,
        start: list[Array],
        mask: Array | None,
        reverse: bool,
    ) -> list[Array] | None:
        """The results of one direction, as `_steps`, or None if the engine has no such cell."""
        if ready is None:
            return None
        weights, step, dtype = ready
        alike = all(each.dtype == dtype for each in (x, *start))
        if x.shape[1] == 1 and len(x) <= MOST_ROWS and mask is None and alike:
            made, states = step(x[:, 0], start)
            return [made[:, None], *states]
        problem = Problem(weights, x, start, mask, None, None, reverse, True, True)
        outputs, last, _ = rnn_forward(weights, problem)
        return [outputs[:, ::-1] if reverse else outputs, *last]

    def _pack(
        self, w: Array, r: Array, bias: Array | None, peepholes: Array | None
    ) -> list[_Ready | None]:
        """The engine's weights for each direction, or None if it runs in NumPy."""
        if w.dtype not in _FLOATS or not self.engine:
            return [None] * len(self.reversed)
        found = [
            engine_weights(
                Direction(
                    self.kind,
                    functions,
                    w[index],
                    r[index],
                    None if bias is None else bias[index],
                    None if peepholes is None else peepholes[index],
                    self.coupled,
                    self.reset_after,
                    self.clip or None,
                )
            )
            for index, functions in enumerate(self.functions)
        ]
        return [None if each is None else (each, OneStep(each), w.dtype) for each in found]

    def check_weights(
        self,
        w: Array | None = None,
        r: Array | None = None,
        bias: Array | None = None,
        peepholes: Array | None = None,
        features: int | None = None,
    ) -> None:
        """Raises OnnxError for known weights whose shapes do not match the node's attributes."""
        count, gates = len(self.reversed), _GATES[self.kind]
        if self.units is None and r is not None and r.ndim == 3:
            self.units = r.shape[2]
        units = int(self.units or 0)
        width = features if features is not None else w.shape[-1] if w is not None and w.ndim else 0
        wanted: list[tuple[str, Array | None, tuple[int, ...]]] = [
            ("W", w, (count, gates * units, width)),
            ("R", r, (count, gates * units, units)),
            ("B", bias, (count, 2 * gates * units)),
            ("P", peepholes, (count, 3 * units)),
        ]
        for name, array, shape in wanted:
            if array is not None and (array.shape != shape or units <= 0):
                raise OnnxError(
                    f"{self.place}: {name} must have the shape {shape} (hidden_size {units}), "
                    f"received {array.shape}"
                )

    def _state(self, state: Array | None, x: Array, name: str) -> Array:
        """The state [directions, batch, units], zeros if it is not given."""
        shape = (len(self.reversed), len(x), int(self.units or 0))
        if state is None:
            return np.zeros(shape, x.dtype)
        state = state.swapaxes(0, 1) if self.layout and state.ndim == 3 else state
        if state.shape != shape:
            raise OnnxError(
                f"{self.place}: {name} must have the shape {shape}, received {state.shape}"
            )
        return state

    def _steps(
        self,
        index: int,
        x: Array,
        w: Array,
        r: Array,
        bias: Array | None,
        peepholes: Array | None,
        start: list[Array],
        mask: Array | None,
        reverse: bool,
    ) -> list[Array]:
        """Outputs [batch, time, units], zero after a sequence's end, and the final states.

        In NumPy, step by step.
        """
        wide = np.zeros(2 * w.shape[0], x.dtype) if bias is None else bias
        states = list(start)
        outputs = np.zeros((*x.shape[:2], r.shape[1]), x.dtype)
        step = {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[self.kind]
        projected = x @ w.T + wide[: w.shape[0]]
        order = range(x.shape[1])
        for t in reversed(order) if reverse else order:
            new = step(index, projected[:, t], states, r, wide[w.shape[0] :], peepholes)
            if mask is not None:
                keep = mask[:, t, None]
                new = [np.where(keep, now, before) for now, before in zip(new, states, strict=True)]
                outputs[:, t] = np.where(keep, new[0], 0)
            else:
                outputs[:, t] = new[0]
            states = new
        return [outputs, *states]

    def _cut(self, x: Array) -> Array:
        return np.clip(x, -self.clip, self.clip) if self.clip else x

    def _rnn(
        self, index: int, x: Array, states: list[Array], r: Array, b: Array, p: Array | None
    ) -> list[Array]:
        return [self.formulas[index][0](self._cut(x + states[0] @ r.T + b))]

    def _gru(
        self, index: int, x: Array, states: list[Array], r: Array, b: Array, p: Array | None
    ) -> list[Array]:
        f, g = self.formulas[index]
        (h,) = states
        (x_z, x_r, x_h), (r_z, r_r, r_h) = np.split(x, 3, axis=-1), np.split(r, 3)
        b_z, b_r, b_h = np.split(b, 3)
        z = f(self._cut(x_z + h @ r_z.T + b_z))
        reset = f(self._cut(x_r + h @ r_r.T + b_r))
        inner = reset * (h @ r_h.T + b_h) if self.reset_after else (reset * h) @ r_h.T + b_h
        return [(1 - z) * g(self._cut(x_h + inner)) + z * h]

    def _lstm(
        self, index: int, x: Array, states: list[Array], r: Array, b: Array, p: Array | None
    ) -> list[Array]:
        f, g, out = self.formulas[index]
        h, c = states
        z_i, z_o, z_f, z_c = np.split(x + h @ r.T + b, 4, axis=-1)
        p_i, p_o, p_f = (0, 0, 0) if p is None else np.split(p, 3)
        i = f(self._cut(z_i + p_i * c))
        forget = 1 - i if self.coupled else f(self._cut(z_f + p_f * c))
        new = forget * c + i * g(self._cut(z_c))
        o = f(self._cut(z_o + p_o * new))
        return [o * out(new), new]
