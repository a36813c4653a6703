"""Tracing a user's cell: its signature, and the results of a step."""

from __future__ import annotations

import inspect
from typing import Any

from ferrnn._src.cells.protocol import checked_step, listed, pack, state_structure
from ferrnn._src.layer.calling import resolved_training, training_is
from ferrnn._src.programs.lowering import Code
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.programs.sketch import CellTrace, cell_rules


def cell_code(cell: Any, training: bool | None) -> Code:
    """One step of a cell, as `lowered` takes it."""
    structure = listed(state_structure(cell))
    taken = inspect.signature(cell.call).parameters.get("training")
    by_default = taken is not None and taken.default is not taken.empty
    unsaid = taken is None or (by_default and training is None)
    options = {} if unsaid else {"training": training}

    def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
        packed = pack(structure, [*states])
        rule = cell_rules.get(type(cell))
        if rule is None:
            with training_is(resolved_training(training)):  # for layers called inside
                returned = cell.call(given, packed, **options)
        else:
            returned = rule(trace, cell, given, packed)
        try:
            return checked_step(cell, returned, tuple(states))
        except ValueError as error:
            raise UnsupportedError(
                "a step that does not return an output and new states"
            ) from error

    return code
