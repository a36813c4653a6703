"""Users' cells over time, as programs in the engine, with the results of `stepwise`.

A cell that cannot be a program runs step by step; the logger `ferrnn` says once why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._core import program_backward, program_forward
from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.protocol import Dropout, States, flatten, initial_state
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.layer.calling import resolved_training
from ferrnn._src.layer.layer import Call
from ferrnn._src.programs.cells import cell_code
from ferrnn._src.programs.known import program
from ferrnn._src.programs.lowering import Code, Lowered, Row, Shapes, switched_off
from ferrnn._src.programs.settings import settings_of
from ferrnn._src.programs.sketch import cell_rules
from ferrnn._src.programs.telling import tell
from ferrnn._src.sequence import fused, stepwise
from ferrnn._src.sequence.protocol import Scanned, ScanVjp
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients

# The most bytes that a program of a built-in cell may keep for its backward pass.
_MOST_KEPT = 1 << 29


def scan(
    cell: Any,
    inputs: Any,
    initial: States | None,
    call: Call,
    *,
    mask: Mask | None = None,
    go_backwards: bool = False,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    dropout: Dropout = None,
    final_states: bool = True,
) -> Scanned:
    """As `stepwise.scan`, but in the engine if the cell can be a program.

    The cells of a stack run one after the other, each over all steps.
    """
    options: dict[str, Any] = {
        "mask": mask,
        "go_backwards": go_backwards,
        "return_sequences": return_sequences,
        "zero_output_for_mask": zero_output_for_mask,
        "dropout": dropout,
        "final_states": final_states,
    }
    if type(cell) is StackedRNNCells and not switched_off():
        return fused.scan_stack(_scan_part, cell, inputs, initial, call, **options)
    leaves = flatten(inputs)
    batch = len(leaves[0])
    if initial is None:
        initial = initial_state(cell, batch, leaves[0].dtype.name)
    found = _program(cell, inputs, leaves, initial, call) if dropout is None else None
    if found is None or (type(cell) in cell_rules and _is_large(found, leaves[0])):
        return stepwise.scan(cell, inputs, initial, call, **options)
    with one_version():
        weights = [parameter._view for parameter in found.parameters]
        outputs, final, run = program_forward(
            found.program,
            [leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves],
            [*weights, *found.constants],
            [state.reshape(batch, -1) for state in initial],
            mask,
            (go_backwards, return_sequences, zero_output_for_mask),
            final_states,
        )
    final = tuple(array.reshape(state.shape) for array, state in zip(final, initial, strict=False))
    outputs = outputs.reshape(*outputs.shape[:-1], *found.output)
    if not call.differentiable:
        return outputs, final, None
    return outputs, final, _vjp(found, run, inputs, initial, call)


def _is_large(found: Lowered, inputs: Array) -> bool:
    """Whether the program of a built-in cell would keep so much that it should not be used."""
    batch, time, *_ = inputs.shape
    kept: int = found.kept * batch * time * inputs.itemsize
    return kept > _MOST_KEPT


def _scan_part(cell: Any, *arguments: Any, **options: Any) -> Scanned:
    """Runs a cell of a stack, in the engine if possible."""
    by = fused.scan if fused.supports(cell) else scan
    return by(cell, *arguments, **options)


def _vjp(found: Lowered, run: Any, inputs: Any, initial: States, call: Call) -> ScanVjp:
    def vjp(
        d_outputs: Array | None, d_final: Sequence[Array | None] | None, grads: Gradients
    ) -> tuple[Any, States]:
        batch = len(initial[0]) if initial else 0
        flat = None
        if d_final is not None:
            flat = [None if d is None else np.asarray(d).reshape(batch, -1) for d in d_final]
        if d_outputs is not None:
            d_outputs = d_outputs.reshape(*d_outputs.shape[: -len(found.output)], -1)
        d_inputs, d_weights, d_states = program_backward(
            run, d_outputs, flat, call.inputs_need_gradient
        )
        for parameter, gradient in zip(found.parameters, d_weights, strict=False):
            if gradient is not None:
                grads.add(parameter, gradient.reshape(parameter.shape))
        states = tuple(d.reshape(s.shape) for d, s in zip(d_states, initial, strict=True))
        if d_inputs is None:
            return None, states
        arrays = iter(d_inputs)
        return map_structure(lambda leaf: next(arrays).reshape(leaf.shape), inputs), states

    return vjp


def _program(
    cell: Any, inputs: Any, leaves: list[Array], initial: States, call: Call
) -> Lowered | None:
    """The cell's program for such a call, or None."""
    if tracing.current.get() is not None or not _may_be(cell, leaves, initial, call):
        return None
    training = call.training
    key = (
        tuple(leaf.shape[2:] for leaf in leaves),
        tuple(state.shape[1:] for state in initial),
        leaves[0].dtype,
        training,
        resolved_training(None),
        call.differentiable,
        call.differentiable and call.inputs_need_gradient,
        settings_of(cell),
    )

    def asked() -> tuple[Code, Shapes]:
        rows = map_structure(lambda leaf: Row(leaf.shape[2:]), inputs)
        shapes = Shapes(rows, key[1], leaves[0].dtype, call.differentiable, key[6])
        return cell_code(cell, training), shapes

    found = program(cell, key, asked)
    if isinstance(found, str):
        if type(cell) not in cell_rules:
            kind = type(cell).__name__
            tell(f"the cell {kind} runs step by step", f"its code has {found}")
        return None
    return found


def _may_be(cell: Any, leaves: list[Array], initial: States, call: Call) -> bool:
    """Whether a cell may be a program: a user's cell with a `call`, on arrays the engine takes.

    Some built-in cells train as programs, whatever the environment says. For calls without a vjp
    the engine has a step for frames, but none for rows of places.
    """
    kinds = {array.dtype for array in (*leaves, *initial)}
    known = kinds <= {np.dtype(np.float32)} or kinds <= {np.dtype(np.float64)}
    if not known or not initial or any(not array.size for array in (*leaves, *initial)):
        return False
    if type(cell) in cell_rules:
        return call.differentiable or leaves[0].ndim == 4
    return (
        not switched_off()
        and callable(getattr(cell, "call", None))
        and not callable(getattr(cell, "step", None))
        and not isinstance(cell, BuiltInCell)
        and type(cell).__hash__ is not None
    )
