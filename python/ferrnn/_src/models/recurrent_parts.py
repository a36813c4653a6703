"""Recurrent layers as parts of the engine, for plans, or the reasons why they cannot be."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import runs_one_cell
from ferrnn._src.models.carried import carried_states
from ferrnn._src.models.functions import REPLACED, Part, why_not_plain
from ferrnn._src.sequence import fused
from ferrnn._src.training.plan_parts import Lowering


def why_not_recurrent(step: Any, low: Lowering, given: list[int]) -> str | None:
    """The reason why a layer's place in a graph keeps it out of plans, if it is recurrent."""
    layer = step.layer
    if given[0] in low.masked and _gives_two_sequences(layer):
        return "it returns two sequences with masks"
    if len(given) > 1 and type(getattr(layer, "cell", None)) is StackedRNNCells:
        return "it has several cells and is given states"
    if getattr(layer, "stateful", False) and (len(given) > 1 or _is_in(low, layer)):
        return "it has stateful=True, and is given states or called twice"
    return None


def _is_in(low: Lowering, layer: Any) -> bool:
    """Whether weights of a layer are in the plan already."""
    known = {*map(id, low.weights)}
    return any(id(weight) in known for weight in layer.weights)


def _gives_two_sequences(layer: Any) -> bool:
    return type(layer) is Bidirectional and layer.merge_mode is None and layer.return_sequences


def with_states(step: Any, low: Lowering, given: list[int]) -> bool:
    """Whether a layer takes a sequence and initial states."""
    kind = type(step.layer)
    tensors = step.node.input_tensors
    return (
        (kind is Bidirectional or runs_one_cell(kind))
        and step.flat
        and not any(value in low.masked for value in given[1:])
        and all(tensor.ndim == 2 and tensor.dtype == tensors[0].dtype for tensor in tensors[1:])
    )


def recurrent(layer: Any, low: Lowering) -> list[Part] | str:
    """The parts of a layer, one for each of its cells, or the reason why it has none."""
    return _why_not_run(layer) or _parts(layer, low)


def _parts(layer: Any, low: Lowering) -> list[Part]:
    carried = carried_states(layer) if layer.stateful else []
    low.followed += carried
    low.only_trains |= layer.stateful
    parts: list[Part] = []
    *lower, last = _cells_of(layer)
    for cell in lower:
        parts.append(_part(cell, low, (layer.go_backwards and not parts, True, False, False, None)))
    flags = layer.go_backwards and not parts, layer.return_sequences, layer.return_state
    rows = carried[0].shape[0] if carried else None
    part, weights = _part(last, low, (*flags, layer.zero_output_for_mask, rows))
    return [*parts, (part, [*weights, *carried])]


def _cells_of(layer: Any) -> list[Any]:
    """The cells of a layer, which take each other's outputs."""
    cell = layer.cell
    return [*cell.cells] if type(cell) is StackedRNNCells else [cell]


def _why_not_run(layer: Any) -> str | None:
    """The reason why the engine does not run a layer."""
    cells = _cells_of(layer)
    if len(cells) > 1 and (layer.return_state or layer.stateful or layer.go_backwards):
        return "it has several cells and return_state, stateful or go_backwards"
    if layer.stateful and (layer.return_state or not carried_states(layer)):
        return "it has stateful=True, and return_state=True or any number of rows"
    return next((why for why in map(_why_not_cell, cells) if why is not None), None)


def _why_not_cell(cell: Any) -> str | None:
    if not isinstance(cell, BuiltInCell) or not fused.supports(cell):
        return f"the engine does not run its cell {type(cell).__name__} as a single one"
    given = cell.native_weights
    if given.recurrent_kernel is None or given.projection is not None or cell.clip:
        return "its cell has a clip, a projection, or no recurrent product"
    if any(name in vars(cell) for name in REPLACED):
        return "a method of its cell is overridden in the instance"
    gate = getattr(cell, "recurrent_activation", None)
    if gate is not None and not gate.native:
        return f"its recurrent_activation {gate.__name__} is not native to the engine"
    return None


def _part(cell: Any, low: Lowering, flags: tuple[Any, ...]) -> Part:
    """The part of a cell over time, with the flags and the rows of states of its layer."""
    low.only_trains |= cell.inference_precision != "full"
    gate = getattr(cell, "recurrent_activation", None)
    features, _ = cell.kernel.shape
    gate_name = "sigmoid" if gate is None else gate.__name__
    reset_after = bool(getattr(cell, "reset_after", True))
    drops = [_drop_of(cell, rate, low) for rate in (cell.dropout, cell.recurrent_dropout)]
    part = (
        "recurrent",
        (cell.native_name, cell.activation.__name__, gate_name, reset_after),
        (features, cell.units, cell.bias is not None),
        flags,
        (cell.gates if cell.implementation == 1 else 1, *drops),
    )
    return part, [weight for weight in cell.native_weights if weight is not None]


def _drop_of(cell: Any, rate: float, low: Lowering) -> tuple[int, int, float] | None:
    """The dropout of a cell's inputs or outputs, if `draw_dropout` would draw a mask for it."""
    if not rate or (rate >= 1 and type(cell) is not SimpleRNNCell):
        return None
    return low.drops(cell.seed_generator, rate)


def bidirectional(layer: Any, low: Lowering) -> list[Part] | str:
    """The part of both directions, or the reason why they have none."""
    if layer.stateful:
        return "it has stateful=True"
    both = layer.forward_layer, layer.backward_layer
    for each in both:
        why = why_not_plain(each) if runs_one_cell(type(each)) else "it is not an RNN"
        why = why or _why_not_run(each)
        if why is None and len(_cells_of(each)) > 1:
            why = "it has several cells"
        if why is not None:
            return f"{each.name}: {why}"
    (ahead, own), (back, others) = (part for each in both for part in _parts(each, low))
    merge = "apart" if layer.merge_mode is None else layer.merge_mode
    return [(("both ways", ahead, back, merge, layer.return_sequences), [*own, *others])]
