"""Any cell over time, one step after another: the definition of what a recurrent layer computes.

Time runs over axis 1, backwards if asked; outputs stand in processing order. A mask
`[batch, time]` is True at real steps. At a masked step the states are carried over, and the output
repeats the last real one: before the first real step the initial h (zeros for a cell whose output
has another shape than its first state), or zeros everywhere with `zero_output_for_mask`. Without
any step the result is the initial state, and the last output the initial h (zeros as above).
Inputs may be several, in nested tuples, lists and dicts: the cell gets each step in that structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from ferrnn._src.cells.protocol import Dropout, States, StepVjp, output_size, step_of
from ferrnn._src.cells.protocol import initial_state as initial_state_of
from ferrnn._src.layer.layer import Call
from ferrnn._src.sequence.protocol import Scanned
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients


def scan(
    cell: Any,
    inputs: Any,
    initial_state: States | None,
    call: Call,
    *,
    mask: Mask | None = None,
    go_backwards: bool = False,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    dropout: Dropout = None,
    final_states: bool = True,
) -> Scanned:
    """Outputs `[batch, time, ...]` (or the last `[batch, ...]`), final states, and the vjp.

    The states are an empty tuple unless `final_states`, so that they need not be made.

    `vjp(d_outputs, d_final_states, grads) -> d_inputs, d_initial_states`.

    >>> from ferrnn._src.cells.gru import GRUCell
    >>> cell = GRUCell(4)
    >>> cell.build((None, 3))
    >>> outputs, (h,), vjp = scan(cell, np.ones((2, 5, 3), "float32"), None, Call())
    >>> outputs.shape, h.shape
    ((2, 5, 4), (2, 4))
    """
    first = flatten(inputs)[0]
    if initial_state is None:
        initial_state = initial_state_of(cell, len(first), first.dtype.name)
    steps = _Steps(cell, inputs, initial_state, call, mask, go_backwards, zero_output_for_mask)
    # Each step reads the weights, so no other thread may write them between two steps.
    with one_version():
        outputs, last = steps.run(dropout, return_sequences)
    final = last if final_states else ()
    if not call.differentiable:
        return outputs, final, None

    def vjp(
        d_outputs: Array | None, d_final_states: Sequence[Array | None] | None, grads: Gradients
    ) -> tuple[Array | None, States]:
        return steps.backward(d_outputs, d_final_states, grads, return_sequences)

    return outputs, final, vjp


class _Steps:
    """One run over time, with what its backward pass needs."""

    def __init__(
        self,
        cell: Any,
        inputs: Any,
        initial_state: States,
        call: Call,
        mask: Mask | None,
        go_backwards: bool,
        zeroed: bool,
    ) -> None:
        self.step = step_of(cell)
        self.cell, self.inputs, self.initial_state = cell, inputs, initial_state
        first = flatten(inputs)[0]
        self.dtype, length = first.dtype, first.shape[1]
        # Without any step there is nothing to zero: the result is the initial state.
        self.call, self.mask, self.zeroed = call, mask, zeroed and mask is not None and length > 0
        self.order = range(length - 1, -1, -1) if go_backwards else range(length)
        self.vjps: list[StepVjp | None] = []
        self.shape: tuple[int, ...] = (len(first), output_size(cell))
        # The state that the output repeats before the first real step.
        self.output_state = int(getattr(cell, "output_state", 0))

    def run(self, dropout: Dropout, return_sequences: bool) -> tuple[Array, States]:
        states = self.initial_state
        last: Array | None = None
        outputs: list[Array] = []
        for t in self.order:
            x = self._inputs_at(t)
            (y, new), vjp = self.step(x, states, self.call, dropout)
            self.vjps.append(vjp)
            if self.mask is not None:
                before = self._output_before(y) if last is None or self.zeroed else last
                y = self._choose(t, y, before)
                new = tuple(map(self._choose, repeat(t), new, states))
            states, last = new, y
            self.shape = y.shape
            if return_sequences:
                outputs.append(y)
        if last is None:
            last = self._output_before(np.empty(self.shape, self.dtype))
        # Copies: a cell may return one array twice, or the caller's array if no step is real.
        given = self._stacked(outputs) if return_sequences else np.array(last)
        return given, tuple(np.array(state) for state in states)

    def backward(
        self,
        d_outputs: Array | None,
        d_final_states: Sequence[Array | None] | None,
        grads: Gradients,
        return_sequences: bool,
    ) -> tuple[Array | None, States]:
        d_states = self._filled(d_final_states)
        d_repeated = np.zeros(self.shape, self.dtype)  # the gradient for the repeated output
        if d_outputs is not None and not return_sequences:
            d_repeated = d_repeated + d_outputs
        wanted = self.call.inputs_need_gradient
        d_inputs = map_structure(np.zeros_like, self.inputs) if wanted else None
        for index in range(len(self.order) - 1, -1, -1):
            t, vjp = self.order[index], self.vjps[index]
            assert vjp is not None
            d_y = d_repeated
            if d_outputs is not None and return_sequences:
                d_y = d_y + d_outputs[:, index]
            d_repeated = np.zeros_like(d_y)
            if self.mask is None:
                d_x, d_states = vjp(d_y, d_states, grads)
            else:
                if not self.zeroed:
                    d_repeated = self._choose(t, d_repeated, d_y)
                nothing = tuple(map(np.zeros_like, d_states))
                d_new = tuple(map(self._choose, repeat(t), d_states, nothing))
                d_kept = tuple(map(self._choose, repeat(t), nothing, d_states))
                d_x, d_states = vjp(self._choose(t, d_y, np.zeros_like(d_y)), d_new, grads)
                d_states = tuple(map(np.add, d_states, d_kept))
                if d_inputs is not None:
                    d_x = map_structure(lambda d, t=t: self._choose(t, d, np.zeros_like(d)), d_x)
            if d_inputs is not None:
                for whole, part in zip(flatten(d_inputs), flatten(d_x), strict=True):
                    whole[:, t] = part
        return d_inputs, self._with_output_before(d_states, d_repeated)

    def _inputs_at(self, t: int) -> Any:
        """The inputs of a step; zeros at masked steps, where the data may be anything, even NaN."""
        if type(self.inputs) is np.ndarray:
            x = self.inputs[:, t]
            return x if self.mask is None else self._choose(t, x, np.zeros_like(x))
        parts = map_structure(lambda leaf: leaf[:, t], self.inputs)
        if self.mask is None:
            return parts
        return map_structure(lambda leaf: self._choose(t, leaf, np.zeros_like(leaf)), parts)

    def _choose(self, t: int, real: Array, masked: Array) -> Array:
        """Rows of `real` where time t is a real step, of `masked` elsewhere."""
        assert self.mask is not None
        column = self.mask[:, t].reshape(-1, *(1,) * (real.ndim - 1))
        return np.where(column, real, masked)

    def _output_before(self, like: Array) -> Array:
        """The output before the first real step."""
        h = self.initial_state[self.output_state]
        return h if h.shape == like.shape and not self.zeroed else np.zeros_like(like)

    def _with_output_before(self, d_states: States, d_before: Array) -> States:
        """Adds the gradient for the output before the first real step to that of its state."""
        at = self.output_state
        repeats = self.mask is not None or not len(self.order)
        if not repeats or self.zeroed or d_states[at].shape != d_before.shape:
            return d_states
        return (*d_states[:at], d_states[at] + d_before, *d_states[at + 1 :])

    def _filled(self, d_final_states: Sequence[Array | None] | None) -> States:
        given = d_final_states or (None,) * len(self.initial_state)
        return tuple(
            np.zeros_like(state) if d is None else d
            for state, d in zip(self.initial_state, given, strict=True)
        )

    def _stacked(self, outputs: list[Array]) -> Array:
        if outputs:
            return np.stack(outputs, axis=1).astype(self.dtype, copy=False)
        return np.zeros((self.shape[0], 0, *self.shape[1:]), self.dtype)
