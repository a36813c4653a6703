"""Where the tracer of users' plain Python plugs into layers; nothing is there until one is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ferrnn.core.parameter import Gradients


class Tracer(Protocol):
    """What layers ask of a tracer; structures are nested tuples, lists and dicts."""

    def is_traced(self, value: Any) -> bool:
        """Whether `value` stands for an array while a function is being recorded."""

    def differentiate(
        self, function: Callable[[Any], Any], inputs: Any
    ) -> tuple[Any, Callable[[Any, Gradients], Any]]:
        """`function(inputs)`, a structure of arrays, and `vjp(d_outputs, grads) -> d_inputs`.

        What is not a float array among `inputs` is handed on as it is and gets no gradient; the
        vjp adds the gradients by parameters that the function used.
        """

    def call_layer(self, layer: Any, inputs: Any, call: Any) -> Any:
        """`layer.forward(inputs, call)` with traced values among the inputs, as one step."""


class _Slot:
    tracer: Tracer | None = None


_slot = _Slot()


def install(tracer: Tracer) -> None:
    """Makes `tracer` the one that layers ask."""
    _slot.tracer = tracer


def installed() -> Tracer | None:
    """The tracer that layers ask, if there is any.

    >>> installed() is None or callable(installed().differentiate)
    True
    """
    return _slot.tracer
