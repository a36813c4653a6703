"""One time step of a recurrent layer from given states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferrnn._core import Stream, Weights
from ferrnn._src.tree.types import Array

# Idle streams that are kept: one for each thread that has called at the same time.
_MOST_IDLE = 8
# Larger batches are faster as sequences of one step.
MOST_ROWS = 4


class OneStep:
    """One step in the engine, with the same bits as a call on a sequence, but in less time.

    Several threads may call it at once.

    >>> from ferrnn._src.interop.onnx.cells import Direction, Function, engine_weights
    >>> tanh, one = Function("tanh"), np.ones((2, 2), "float32")
    >>> weights = engine_weights(Direction("RNN", [tanh], one, one, None, None, False, False))
    >>> outputs, (h,) = OneStep(weights)(one, [one])
    >>> outputs.astype("float64").round(3).tolist()
    [[0.999, 0.999], [0.999, 0.999]]
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._idle: list[Stream] = []

    def __call__(self, x: Array, states: Sequence[Array]) -> tuple[Array, tuple[Array, ...]]:
        """Outputs `[batch, units]` of inputs `[batch, features]`, and the states after the step."""
        try:
            stream = self._idle.pop()  # one operation, so that no other thread gets the same stream
        except IndexError:
            stream = None
        if stream is None or stream.streams != len(x):
            double = x.dtype == np.float64
            stream = Stream([self._weights], x.shape[1], len(x), double)
        stream._write_states([np.ascontiguousarray(state) for state in states])
        outputs = stream(np.ascontiguousarray(x if len(x) > 1 else x[0]))
        found = outputs.reshape(len(x), -1), stream._read_states()
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(stream)
        return found
