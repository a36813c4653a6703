"""Operations on symbolic tensors: each becomes a node of the model, as a layer without weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from ferrnn.core import tracing
from ferrnn.core.layer import Call, Vjp
from ferrnn.core.operations import Operation


class FunctionOperation(Operation):
    """A function of `ferrnn.ops` with its arguments; its gradient is found by tracing it."""

    function: ClassVar[Callable[..., Any]]

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        if not call.differentiable:
            return self._apply(inputs), None
        return tracing.differentiate(self._apply, inputs)

    def _apply(self, inputs: Any) -> Any:
        return type(self).function(*inputs.args, **inputs.kwargs)


@functools.cache
def _kind(function: Callable[..., Any]) -> type[FunctionOperation]:
    """The class of an operation, with Keras' name: `Mean` for `mean`."""
    name = "".join(part.capitalize() for part in function.__name__.split("_"))
    # Not a module of ours: the layers `Softmax` or `Dropout` of a file are others.
    members: dict[str, Any] = {"__module__": "keras.ops", "__doc__": function.__doc__}
    members["function"] = staticmethod(function)
    return type(name, (FunctionOperation,), members)


def call_on_symbolic(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """The symbolic outputs of an operation.

    >>> from ferrnn.core.symbolic import SymbolicTensor
    >>> from ferrnn.ops.reductions import mean
    >>> x = SymbolicTensor((None, 10, 3), "float32", name="x")
    >>> call_on_symbolic(mean, (x,), {"axis": 1}).shape
    (None, 3)
    """
    return _kind(function)()(*args, **options)
