"""Users' cells in plans: their steps over time are a program of the engine where they can be."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.protocol import by_state_size, flatten, initial_state
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.models.said_in_code import SaidLayer, is_said
from ferrnn._src.models.written import Over, WrittenLayer
from ferrnn._src.programs.cells import cell_code
from ferrnn._src.programs.lowering import Code, Row
from ferrnn._src.programs.settings import names_in

_PLAIN = (int, float, str, type(None), np.dtype)


def runs_users_cell(layer: Any) -> bool:
    """Whether a layer is an `RNN`, and no subclass, over a user's cell."""
    return type(layer) is RNN and not isinstance(layer.cell, BuiltInCell | StackedRNNCells)


def written(step: Any, count: int, own: Sequence[Any], asks: bool) -> WrittenLayer:
    """The programs of a step: of its layer, or of the cell that its layer runs."""
    kind = WrittenCell if runs_users_cell(step.layer) else WrittenLayer
    kind = SaidLayer if is_said(step.layer) else kind
    return kind(step, count, own, asks)


class WrittenCell(WrittenLayer):
    """The programs of an `RNN` over a user's cell."""

    __slots__ = ()

    @property
    def _owner(self) -> Any:
        return self._step.layer.cell

    @property
    def _there(self) -> bool:
        return True

    def _masks(self, masked: Sequence[bool]) -> list[int]:
        return []

    def _over(self, shapes: list[tuple[int, ...]]) -> Over | None:
        layer = self._step.layer
        flags = layer.go_backwards, layer.return_sequences, layer.zero_output_for_mask
        return (shapes[0][0], *flags)

    def _rows(self, shapes: list[tuple[int, ...]]) -> tuple[Any, tuple[tuple[int, ...], ...]]:
        states = initial_state(self._owner, 1, self._dtype.name)
        return Row(shapes[0][1:]), tuple(state.shape[1:] for state in states)

    def _refused(self, masked: Sequence[bool]) -> str | None:
        layer, cell = self._step.layer, self._owner
        writes = callable(getattr(cell, "call", None)) and not callable(getattr(cell, "step", None))
        reasons = (
            ("a `step` of its own", not writes),
            ("states that the layer keeps", layer.stateful),
            ("initial states", len(self._step.sources) > 1 or not self._step.single),
            ("an activity regularizer", layer.activity_regularizer is not None),
            ("a class without `__hash__`", type(cell).__hash__ is None),
            ("dropout that is drawn for all steps", callable(getattr(cell, "draw_dropout", None))),
        )
        for why, holds in reasons:
            if holds:
                return why
        if not _starts_from_zero(cell, self._dtype.name):
            return "a `get_initial_state` that may give more than zeros"
        return None

    def _code(self, training: bool, masks: list[int]) -> Code:
        return cell_code(self._owner, training)


def _starts_from_zero(cell: Any, dtype: str) -> bool:
    """Whether states start from zero, whatever the weights are."""
    if by_state_size(cell):
        return True
    own = getattr(cell.get_initial_state, "__func__", None)
    if not isinstance(own, types.FunctionType) or own.__closure__:
        return False
    for name in names_in(own.__code__):
        if name in ("getattr", "__dict__", "vars"):
            return False
        around = own.__globals__.get(name)
        leaves = [] if isinstance(around, types.ModuleType) else flatten(around)
        leaves += flatten(getattr(cell, name, None))
        if not all(isinstance(leaf, _PLAIN) for leaf in leaves):
            return False
    return not any(np.any(state) for state in initial_state(cell, 2, dtype))
