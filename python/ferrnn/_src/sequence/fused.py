"""Built-in cells and stacks of them over time, in the engine, with the results of `stepwise`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from ferrnn._core import Problem, Residuals, Weights, rnn_backward, rnn_forward
from ferrnn._src.activations.activations import Activation
from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.protocol import Dropout, States
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.layer.layer import Call
from ferrnn._src.sequence.protocol import Scanned, ScanVjp
from ferrnn._src.sequence.stand_ins import (
    column_scales,
    has_stand_in,
    native_name,
    scale_of,
    scaled,
)
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter

# The engine's names are included, as `interop` runs weights that belong to no cell.
__all__ = [
    "Problem",
    "Weights",
    "packed_for",
    "packed_weights",
    "rnn_forward",
    "scan",
    "scan_stack",
    "supports",
]


class Packed(NamedTuple):
    """A cell's weights packed for the engine, and what they were made from."""

    precision: str
    read: Callable[[Any], Any]  # reads from a cell what the weights depend on
    found: Any  # what it read for these weights
    weights: Weights
    # Each parameter, its shape if the engine's differs, and the factor it is multiplied by.
    given: list[tuple[Parameter, tuple[int, ...] | None, Any]]

    def scan(
        self,
        inputs: Array,
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
        """As `stepwise.scan`, for the cell that has the weights."""
        of_inputs, of_states = NO_DROPOUT if dropout is None else dropout
        problem = Problem(
            self.weights,
            inputs,
            initial_state,
            mask,
            of_inputs,
            of_states,
            go_backwards,
            return_sequences,
            zero_output_for_mask,
        )
        outputs, final, residuals = rnn_forward(
            self.weights, problem, call.differentiable, final_states
        )
        if residuals is None:
            return outputs, final, None
        return outputs, final, partial(_backward, self, problem, residuals, outputs, call)


def supports(cell: Any) -> bool:
    """Whether the engine runs the cell: a built-in one with native activations, or a stack."""
    kind = type(cell)
    if kind is StackedRNNCells:
        return all(supports(part) for part in cell.cells)
    # Only a class that itself names its equations in the engine: a derived class may override
    # anything, and runs step by step.
    if "native_name" not in vars(kind) or not issubclass(kind, BuiltInCell):
        return False
    # The activation of a cell without gates is that of its only block of weights.
    gates = hasattr(cell, "recurrent_activation")
    own = cell.activation
    gate = cell.recurrent_activation if gates else own
    known = type(own) is Activation and type(gate) is Activation
    return known and (gate.native or has_stand_in(gate)) and (own.native or not gates)


def scan(
    cell: Any, inputs: Array, initial_state: States | None, call: Call, **options: Any
) -> Scanned:
    """As `stepwise.scan`, for cells that `supports` accepts."""
    if type(cell) is StackedRNNCells:
        return scan_stack(scan, cell, inputs, initial_state, call, **options)
    packed = packed_for(cell, exact=call.differentiable or bool(call.training))
    assert packed is not None
    return packed.scan(inputs, initial_state, call, **options)


def packed_for(cell: Any, *, exact: bool) -> Packed | None:
    """The cell's packed weights, packed anew when they or its settings change.

    None for a stack, and for a cell that the engine does not have. The weights have full
    precision if `exact`, else the cell's `inference_precision`.
    """
    if not isinstance(cell, BuiltInCell):
        return None
    precision = "full" if exact else cell.inference_precision
    packed: Packed | None = cell.packed if precision == "full" else cell.packed_rounded
    if packed is not None and packed.precision == precision and packed.read(cell) == packed.found:
        return packed  # `supports` depends on nothing else, so it still holds
    if not supports(cell):
        return None
    with one_version():
        return _pack(cell, precision)


def packed_weights(cell: BuiltInCell, *, exact: bool = True) -> Weights:
    """The packed weights of a cell that `supports` accepts."""
    packed = packed_for(cell, exact=exact)
    assert packed is not None
    return packed.weights


def _reader(cell: BuiltInCell) -> Callable[[Any], Any]:
    """A function that reads what packed weights depend on, in a quarter of the time of a loop."""
    settings = ("activation", "recurrent_activation", "reset_after", "clip")
    weights = [name for name, value in vars(cell).items() if isinstance(value, Parameter)]
    return attrgetter(
        *(name for name in settings if hasattr(cell, name)),
        *(f"{name}.version" for name in weights),
    )


def _native_gate(cell: BuiltInCell) -> str:
    gate = getattr(cell, "recurrent_activation", None)
    return "sigmoid" if gate is None else native_name(gate)


def _factors(cell: BuiltInCell, scales: Array | None) -> tuple[Any, ...]:
    """The factor of each of a cell's weights."""
    return scales, scales, scales, scale_of(cell), 1.0


def _clips(cell: BuiltInCell) -> dict[str, float]:
    """The bounds of the inputs of both activations; the gates' is scaled as their weights."""
    if cell.clip is None:
        return {}
    of_gates = cell.clip * scale_of(cell)
    if not hasattr(cell, "recurrent_activation"):
        return {"clip": of_gates}
    return {"clip": cell.clip, "recurrent_clip": of_gates}


def _pack(cell: BuiltInCell, precision: str) -> Packed:
    """Packs the weights and keeps them at the cell; for a holder of `one_version`."""
    read, scales = _reader(cell), column_scales(cell)
    found = read(cell)
    if precision == "int8":
        _check_finite(cell)
    parameters = cell.native_weights
    factors = (None,) * len(parameters) if scales is None else _factors(cell, scales)
    pairs = list(zip(parameters, factors, strict=True))
    values = [None if weight is None else _times(weight.value, factor) for weight, factor in pairs]
    given = [
        (weight, weight.shape if weight is parameters.vectors else None, factor)
        for weight, factor in pairs
        if weight is not None
    ]
    kernel, recurrent_kernel, bias, vectors, projection = values
    assert kernel is not None
    weights = Weights(
        cell.native_name,
        kernel,
        recurrent_kernel,
        bias,
        activation=native_name(cell.activation),
        recurrent_activation=_native_gate(cell),
        reset_after=getattr(cell, "reset_after", True),
        precision=precision,
        vectors=None if vectors is None else np.atleast_2d(vectors),
        projection=projection,
        **_clips(cell),
    )
    packed = Packed(precision, read, found, weights, given)
    # One assignment: another thread sees both or neither.
    if precision == "full":
        cell.packed = packed
    else:
        cell.packed_rounded = packed
    return packed


def _times(array: Array, factor: Any) -> Array:
    return array if factor is None else scaled(array, factor)


def _check_finite(cell: BuiltInCell) -> None:
    """Raises ValueError for weights that are not finite, which have no scale."""
    for each in cell.native_weights[:2]:
        if each is not None and not np.isfinite(each.value).all():
            raise ValueError(
                f"`inference_precision` 'int8' of {cell.name!r} requires finite weights, received "
                f"NaN or infinity in {each.path!r}"
            )


def _backward(
    packed: Packed,
    problem: Problem,
    residuals: Residuals,
    outputs: Array,
    call: Call,
    d_outputs: Array | None,
    d_final_states: Sequence[Array | None] | None,
    grads: Gradients,
) -> tuple[Array | None, States]:
    """The vjp of a `scan`, from what it kept."""
    d_inputs, d_weights, d_initial = rnn_backward(
        packed.weights,
        residuals,
        problem,
        outputs,
        d_outputs,
        d_final_states,
        call.inputs_need_gradient,
        call.consume,
    )
    for (parameter, shape, factor), own in zip(packed.given, d_weights, strict=True):
        d_weight = own if shape is None else own.reshape(shape)
        grads.add(parameter, d_weight if factor is None else scaled(d_weight, factor))
    return d_inputs, d_initial


def scan_stack(
    of_cell: Callable[..., Scanned],
    stack: StackedRNNCells,
    inputs: Array,
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
    """One run over time for each cell; cells above the first get inputs in processing order."""
    above = replace(call, inputs_need_gradient=True)
    last = len(stack.cells) - 1
    outputs = inputs
    all_final: list[Array] = []
    vjps: list[ScanVjp | None] = []
    for index, (cell, span) in enumerate(zip(stack.cells, stack.spans, strict=True)):
        outputs, final, vjp = of_cell(
            cell,
            outputs,
            None if initial_state is None else initial_state[span],
            above if index else call,
            mask=mask,
            go_backwards=go_backwards and index == 0,
            return_sequences=return_sequences or index < last,
            zero_output_for_mask=zero_output_for_mask and index == last,
            dropout=dropout[index] if dropout else None,
            final_states=final_states,
        )
        if index == 0 and mask is not None and go_backwards:
            mask = np.ascontiguousarray(mask[:, ::-1])
        all_final += final
        vjps.append(vjp)
    if not call.differentiable:
        return outputs, tuple(all_final), None

    def stack_vjp(
        d_outputs: Array | None, d_final_states: Sequence[Array | None] | None, grads: Gradients
    ) -> tuple[Array | None, States]:
        d_initial: list[Array] = []
        for span, vjp in zip(reversed(stack.spans), reversed(vjps), strict=True):
            assert vjp is not None
            d_final = None if d_final_states is None else d_final_states[span]
            d_outputs, d_states = vjp(d_outputs, d_final, grads)
            d_initial = [*d_states, *d_initial]
        return d_outputs, tuple(d_initial)

    return outputs, tuple(all_final), stack_vjp
