"""Several cells as one: each takes the output of the one before as its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.cells.base import Cell
from ferrnn._src.cells.protocol import (
    Dropout,
    States,
    StepVjp,
    check_cell,
    draw_dropout,
    flatten,
    initial_state,
    output_size,
    pack,
    state_structure,
    step_of,
)
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layer.layer_configs import serialized
from ferrnn._src.layer.serialization import deserialized
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class StackedRNNCells(Cell):
    """A stack of cells, the first one at the bottom; its states are those of the cells, in order.

    >>> from ferrnn._src.cells.lstm import LSTMCell
    >>> stack = StackedRNNCells([LSTMCell(4), LSTMCell(7)])
    >>> stack.state_size, stack.output_size
    ([[4, 4], [7, 7]], 7)
    """

    takes_flat_states: ClassVar[bool] = True

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        cells = list(cells)
        of_cells = {cell.dtype for cell in cells if isinstance(cell, Layer)}
        if kwargs.get("dtype") is None and len(of_cells) == 1:
            kwargs["dtype"] = next(iter(of_cells))
        super().__init__(**kwargs)
        if not cells:
            raise ValueError("`cells` must hold at least one cell, received an empty list")
        for cell in cells:
            own_call = getattr(type(cell), "call", Layer.call) is not Layer.call
            if not (own_call or hasattr(cell, "step")):
                raise ValueError(f"All cells must have a `call` method. Received cells={cells}")
            if not hasattr(cell, "state_size"):
                raise ValueError(
                    f"All cells must have a `state_size` attribute. Received cells={cells}"
                )
            check_cell(cell)
        if not of_cells <= {self.dtype}:
            raise ValueError(
                f"all cells of {self.name!r} must have the dtype of the stack, {self.dtype}, "
                f"received {sorted(of_cells)}"
            )
        self.cells = cells
        counts = [len(flatten(state_structure(cell))) for cell in cells]
        ends = np.cumsum(counts).tolist()
        self.spans = [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells, in order."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The output size of the last cell."""
        return output_size(self.cells[-1])

    @property
    def output_state(self) -> int:
        """The index of the last cell's first state among the flat states."""
        return int(self.spans[-1].start)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Each cell's initial state, in the nesting of `state_size`."""
        if batch_size is None:
            raise ValueError(f"`batch_size` of the cell {self.name!r} must be given, received None")
        return [
            pack(cell.state_size, initial_state(cell, batch_size, self.dtype))
            if getattr(cell, "get_initial_state", None) is None
            else cell.get_initial_state(batch_size=batch_size)
            for cell in self.cells
        ]

    def draw_dropout(self, batch: int, features: int) -> Dropout:
        sizes = [features, *(output_size(cell) for cell in self.cells)]
        drawn = [
            draw_dropout(cell, batch, size)
            for cell, size in zip(self.cells, sizes[:-1], strict=True)
        ]
        return tuple(drawn) if any(masks is not None for masks in drawn) else None

    def build(self, input_shape: Any) -> None:
        """Builds each cell for the output of the one before."""
        features = input_shape[-1]
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build((input_shape[0], features))
            features = output_size(cell)

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step of every cell, from the first to the last."""
        inner = call if call.inputs_need_gradient else replace(call, inputs_need_gradient=True)
        output = inputs
        new_states: list[Array] = []
        vjps: list[StepVjp | None] = []
        for index, (cell, span) in enumerate(zip(self.cells, self.spans, strict=True)):
            masks = dropout[index] if dropout else None
            run = step_of(cell)
            (output, new), vjp = run(output, states[span], inner if index else call, masks)
            new_states.extend(new)
            vjps.append(vjp)
        if not call.differentiable:
            return (output, tuple(new_states)), None

        def stack_vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_previous: list[Array] = []
            for span, vjp in zip(reversed(self.spans), reversed(vjps), strict=True):
                assert vjp is not None
                d_output, d_new = vjp(d_output, d_states[span], grads)
                d_previous = [*d_new, *d_previous]
            return d_output, tuple(d_previous)

        return (output, tuple(new_states)), stack_vjp

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [serialized(cell) for cell in self.cells]}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """A new stack; `custom_objects` names classes of your own cells."""
        cells = [deserialized(cell, custom_objects) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})
