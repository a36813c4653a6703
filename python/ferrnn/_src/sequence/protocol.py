"""The types of arguments and results of running a cell over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ferrnn._src.cells.protocol import States
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

# (d_outputs, d_final_states, grads) -> (d_inputs, d_initial_states); None stands for zeros.
ScanVjp: TypeAlias = Callable[
    ["Array | None", "Sequence[Array | None] | None", Gradients], "tuple[Array | None, States]"
]
Scanned: TypeAlias = "tuple[Array, States, ScanVjp | None]"
