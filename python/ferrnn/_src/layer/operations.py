"""Python's operators on symbolic tensors, as layers without weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.symbolic.shapes import probe
from ferrnn._src.symbolic.symbolic import Arguments, SymbolicTensor, operators
from ferrnn._src.symbolic.symbolic_masks import symbolic_mask
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class Operation(Layer):
    """A function of arrays and constants: a node of a graph that is not among `model.layers`."""

    # Keras' module of the class, which files name.
    keras_module: ClassVar[str] = "keras.src.ops.numpy"

    def __init__(self, *, name: str | None = None, dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.built = True

    def gather(self, *args: Any, **kwargs: Any) -> Any:
        return Arguments(args, kwargs)

    def cast_inputs(self, inputs: Any) -> Any:
        return inputs

    def symbolic_outputs(self, inputs: Any) -> Any:
        return probe(lambda arrays: self.forward(arrays, Call())[0], inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def applied(self, inputs: Any) -> Any:
        """What it gives for values that are recorded, with Python's operators."""
        return type(self).function(*inputs.args)  # type: ignore[attr-defined]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def as_data(self) -> dict[str, Any]:
        kind = type(self)
        if kind.__name__ not in known:
            raise NotImplementedError(
                f"the operation {self.name!r} ({kind.__name__}) in the model cannot be written to "
                "a configuration: put it into a named class derived from Layer"
            )
        return {
            "module": kind.keras_module,
            "class_name": kind.__name__,
            "config": self.get_config(),
            "registered_name": kind.__name__,
        }


class _Unary(Operation):
    function: ClassVar[Callable[..., Any]]

    def slope(self, x: Any, y: Any) -> Any:
        """The elementwise derivative of the outputs `y` with respect to the inputs `x`."""
        raise NotImplementedError(f"{type(self).__name__} must define `slope`")

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        (x,) = inputs.args
        y = type(self).function(x)

        def vjp(d_outputs: Array, grads: Gradients) -> Any:
            return Arguments((d_outputs * self.slope(x, y),), {})

        return y, vjp


class Negative(_Unary):
    """`-x`."""

    function = np.negative

    def slope(self, x: Any, y: Any) -> Any:
        return np.array(-1, y.dtype)


class Absolute(_Unary):
    """`abs(x)`."""

    function = np.absolute

    def slope(self, x: Any, y: Any) -> Any:
        return np.sign(x)


class LogicalNot(_Unary):
    """`~x`."""

    function = np.logical_not

    def slope(self, x: Any, y: Any) -> Any:
        return 0


class _Binary(Operation):
    """A function of two arrays that are broadcast; a Python number takes the other's dtype."""

    function: ClassVar[Callable[..., Any]]

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        """The elementwise derivatives of the outputs `y` with respect to both inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define `slopes`")

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        a, b = (_array_like(part, inputs.args) for part in inputs.args)
        y = type(self).function(a, b)
        if not call.differentiable:
            return y, None

        def vjp(d_outputs: Array, grads: Gradients) -> Any:
            by_a, by_b = self.slopes(a, b, y)
            d_a = sum_to(d_outputs * by_a, np.shape(a))
            return Arguments((d_a, sum_to(d_outputs * by_b, np.shape(b))), {})

        return y, vjp


class Add(_Binary):
    """`a + b`."""

    function = np.add

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return _one(y), _one(y)


class Subtract(_Binary):
    """`a - b`."""

    function = np.subtract

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return _one(y), -_one(y)


class Multiply(_Binary):
    """`a * b`."""

    function = np.multiply

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return b, a


class TrueDivide(_Binary):
    """`a / b`."""

    function = np.true_divide

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return 1 / b, -y / b


class Power(_Binary):
    """`a ** b`; the gradient for `b` is zero where `a` is not positive."""

    function = np.power

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        logarithm = np.log(np.where(a > 0, a, _one(y)))
        return b * np.power(a, b - _one(y)), y * logarithm


class Mod(_Binary):
    """`a % b`."""

    function = np.mod

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return _one(y), -np.floor_divide(a, b)


class _Flat(_Binary):
    """A function that has no gradient."""

    def slopes(self, a: Any, b: Any, y: Any) -> tuple[Any, Any]:
        return 0, 0


class NotEqual(_Flat):
    """`a != b`; in Keras' files it computes masks."""

    function = np.not_equal


class Less(_Flat):
    """`a < b`."""

    function = np.less


class LessEqual(_Flat):
    """`a <= b`."""

    function = np.less_equal


class Greater(_Flat):
    """`a > b`."""

    function = np.greater


class GreaterEqual(_Flat):
    """`a >= b`."""

    function = np.greater_equal


class LogicalAnd(_Flat):
    """`a & b`."""

    function = np.logical_and


class LogicalOr(_Flat):
    """`a | b`."""

    function = np.logical_or


class LogicalXor(_Flat):
    """`a ^ b`."""

    function = np.logical_xor


class FloorDivide(_Flat):
    """`a // b`."""

    function = np.floor_divide


class Matmul(Operation):
    """`a @ b`, where both have at least two axes."""

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        a, b = (np.asarray(part) for part in inputs.args)
        if a.ndim < 2 or b.ndim < 2:
            raise ValueError(
                "both operands of `@` must have at least two axes if one is symbolic, received the "
                f"shapes {a.shape} and {b.shape}"
            )

        def vjp(d_outputs: Array, grads: Gradients) -> Any:
            d_a = np.matmul(d_outputs, np.swapaxes(b, -1, -2))
            d_b = np.matmul(np.swapaxes(a, -1, -2), d_outputs)
            return Arguments((sum_to(d_a, a.shape), sum_to(d_b, b.shape)), {})

        return np.matmul(a, b), vjp


class GetItem(Operation):
    """`x[index]`."""

    def applied(self, inputs: Any) -> Any:
        return inputs.args[0][_key(inputs.args[1])]

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        x, index = inputs.args

        def vjp(d_outputs: Array, grads: Gradients) -> Any:
            d_x = np.zeros_like(x)
            np.add.at(d_x, _key(index), d_outputs)
            return Arguments((d_x, map_structure(lambda _: None, index)), {})

        return x[_key(index)], vjp


class MaskOf(Operation):
    """The mask that an array carries, as a separate array."""

    def symbolic_outputs(self, inputs: Any) -> Any:
        mask = symbolic_mask(inputs.args[0])
        assert mask is not None
        return SymbolicTensor(mask.shape, mask.dtype)

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        (x,) = inputs.args
        mask = np.ones(np.shape(x)[:2], bool) if call.mask is None else call.mask
        return mask, lambda d_outputs, grads: Arguments((None,), {})


# The operations that files name, by Keras' class names; `ops` adds more.
known: dict[str, type[Operation]] = {
    kind.__name__: kind
    for kind in (
        Negative,
        Absolute,
        Add,
        Subtract,
        Multiply,
        TrueDivide,
        Power,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        LogicalAnd,
        LogicalOr,
        LogicalXor,
        LogicalNot,
        FloorDivide,
        Mod,
        Matmul,
        GetItem,
        MaskOf,
    )
}


def _mask_of(tensor: SymbolicTensor) -> Any:
    return None if symbolic_mask(tensor) is None else MaskOf()(tensor)


def _key(index: Any) -> Any:
    return tuple(index) if isinstance(index, list | tuple) else index


def sum_to(array: Any, shape: tuple[int, ...]) -> Array:
    """The sum over the axes along which an array of `shape` was broadcast.

    >>> sum_to(np.ones((2, 3)), (3,)).tolist(), sum_to(np.ones((2, 3)), (2, 1)).tolist()
    ([2.0, 2.0, 2.0], [[3.0], [3.0]])
    """
    array = np.asarray(array)
    extra = array.ndim - len(shape)
    axes = [at + extra for at, length in enumerate(shape) if length == 1 != array.shape[at + extra]]
    summed = array.sum(axis=(*range(extra), *axes)) if extra or axes else array
    return np.asarray(summed).reshape(shape)


def _array_like(part: Any, parts: tuple[Any, ...]) -> Any:
    if isinstance(part, np.ndarray):
        return part
    dtype = next((other.dtype for other in parts if isinstance(other, np.ndarray)), None)
    floating = isinstance(part, int | float) and dtype is not None and dtype.kind == "f"
    return np.asarray(part, dtype if floating else None)


def _one(y: Any) -> Any:
    return y.dtype.type(1)


def _operator(kind: type[Operation]) -> Callable[..., Any]:
    def apply(*operands: Any) -> Any:
        return kind()(*operands)  # each use is a layer of its own

    return apply


operators.update(
    {
        "add": _operator(Add),
        "subtract": _operator(Subtract),
        "multiply": _operator(Multiply),
        "divide": _operator(TrueDivide),
        "power": _operator(Power),
        "matmul": _operator(Matmul),
        "less": _operator(Less),
        "less_equal": _operator(LessEqual),
        "greater": _operator(Greater),
        "greater_equal": _operator(GreaterEqual),
        "logical_and": _operator(LogicalAnd),
        "logical_or": _operator(LogicalOr),
        "logical_xor": _operator(LogicalXor),
        "logical_not": _operator(LogicalNot),
        "floor_divide": _operator(FloorDivide),
        "mod": _operator(Mod),
        "negative": _operator(Negative),
        "absolute": _operator(Absolute),
        "getitem": _operator(GetItem),
        "mask_of": _mask_of,
    }
)
