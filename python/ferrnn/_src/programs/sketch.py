"""Values of a cell that is being traced for the engine: every operation on them is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ferrnn._src.programs.recorder import FIXED, Recorder, UnsupportedError, View
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import Recorded, SymbolicTensor
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.weights.parameter import Parameter

# (the trace, its arguments) -> what an operation of that name gives.
Rule = Callable[..., Any]
# The rules by the operations' names, and those of layers: filled by the modules of rules.
rules: dict[str, Rule] = {}
layer_rules: list[Callable[[Any, Any, Any, Any], Any]] = []
# The steps of built-in cells that the engine trains as programs: (trace, cell, inputs, states).
cell_rules: dict[type, Callable[[Any, Any, Any, Any], Any]] = {}
# NumPy's ufuncs that the operations call otherwise.
_RENAMED = {"true_divide": "divide", "float_power": "power", "fabs": "absolute"}


class DType(str):
    """The name of a dtype, which equals all that stands for it, as the dtype of an array does."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return bool(np.dtype(str(self)) == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Rows(int):
    """The number of rows of a batch, which may be any: code must not compare it."""

    def _refused(self, other: object) -> NoReturn:
        raise UnsupportedError("a comparison of the number of rows")

    __eq__ = __ge__ = __gt__ = __le__ = __lt__ = __ne__ = _refused
    __hash__ = int.__hash__


class Sketch(SymbolicTensor):
    """A value in a trace, for all rows of a batch: a shape without numbers."""

    takes_layers = True

    def __init__(self, trace: CellTrace, view: View) -> None:
        rows = trace.recorder.levels[view.register] > FIXED
        shape = (trace.rows, *view.shape) if rows else view.shape
        dtype = "bool" if view.is_bool else trace.recorder.dtype.name
        super().__init__(shape, DType(dtype), name="traced")
        self.trace, self.view, self.has_rows = trace, view, rows

    def __array_ufunc__(  # type: ignore[override]
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        return self.trace.ufunc(ufunc, method, inputs, options)

    def __bool__(self) -> NoReturn:
        raise UnsupportedError("a Python branch on a value")

    def __iter__(self) -> NoReturn:
        raise UnsupportedError("a Python loop over a value")

    def __len__(self) -> int:  # type: ignore[override]
        return int(self.shape[0])  # type: ignore[arg-type]

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        raise UnsupportedError("a NumPy function on a value")

    def __float__(self) -> NoReturn:
        raise UnsupportedError("float() of a value")

    def __int__(self) -> NoReturn:
        raise UnsupportedError("int() of a value")

    def __getattr__(self, name: str) -> Any:
        found = _METHODS.get(name)
        if found is None:
            if name.startswith("__array"):
                raise UnsupportedError("a conversion to a NumPy array")
            raise UnsupportedError(f"the attribute {name!r} of a value")
        return lambda *args, **options: self.trace.call(found, (self, *args), options)

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its axes reversed."""
        return self.trace.call("transpose", (self,), {})

    def recorded_layer(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
        mask: Any,
    ) -> Any:
        """The outputs of a layer's call."""
        return self.trace.layer(layer, args, {"training": training, **kwargs}, mask)


def _operator(name: str) -> Callable[[Sketch, Any], Any]:
    return lambda self, other: self.trace.call(name, (self, other), {})


def _reflected(name: str) -> Callable[[Sketch, Any], Any]:
    return lambda self, other: self.trace.call(name, (other, self), {})


def _unary(name: str) -> Callable[[Sketch], Any]:
    return lambda self: self.trace.call(name, (self,), {})


for _dunder, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
    "matmul": "matmul", "and": "logical_and", "or": "logical_or",
}.items():  # fmt: skip
    setattr(Sketch, f"__{_dunder}__", _operator(_name))
    setattr(Sketch, f"__r{_dunder}__", _reflected(_name))
for _dunder, _name in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
    "floordiv": "floor_divide", "rfloordiv": "floor_divide", "mod": "mod", "rmod": "mod",
    "xor": "logical_xor", "rxor": "logical_xor", "getitem": "get_item",
}.items():  # fmt: skip
    setattr(Sketch, f"__{_dunder}__", _operator(_name))
for _dunder, _name in {"neg": "negative", "abs": "absolute", "invert": "logical_not"}.items():
    setattr(Sketch, f"__{_dunder}__", _unary(_name))
# Methods of arrays, by the operation that they are.
_METHODS = {
    "astype": "cast",
    "clip": "clip",
    "flatten": "ravel",
    "max": "max",
    "mean": "mean",
    "min": "min",
    "ravel": "ravel",
    "reshape": "_reshape_method",
    "std": "std",
    "sum": "sum",
    "swapaxes": "swapaxes",
    "transpose": "_transpose_method",
    "var": "var",
}


def _key(part: Any) -> Any:
    """What two calls of an operation have in common if they give the same; None if that is open."""
    if isinstance(part, Sketch):
        return part.view
    if isinstance(part, bool | int | float | str | None):
        return type(part), part
    if isinstance(part, dict):
        part = [*part, *part.values()]
    if not isinstance(part, list | tuple):
        return None
    keys = tuple(map(_key, part))
    return None if None in keys else keys


class BatchMean(Recorded):
    """The mean over a batch, by that of each row; of several such there are sums and multiples.

    What is linear in the means of rows can be computed row by row. The square root comes last.
    """

    __array_ufunc__ = None

    def __init__(self, row: Any, rooted: bool = False) -> None:
        self._row, self.rooted = row, rooted

    @property
    def row(self) -> Any:
        """The mean of each row, for an operation that is linear in it."""
        return self._refused() if self.rooted else self._row

    @property
    def last(self) -> Any:
        """The mean of each row, for the mean over the batch, and its root, to be taken of them."""
        return self._row

    def root(self) -> BatchMean:
        """The square root of the mean."""
        return BatchMean(self.row, rooted=True)

    def __pow__(self, exponent: Any) -> BatchMean:
        return self.root() if _number(exponent) == 0.5 else self._refused()

    def __neg__(self) -> BatchMean:
        return BatchMean(-self.row)

    def __add__(self, other: Any) -> BatchMean:
        return BatchMean(self.row + (other.row if isinstance(other, BatchMean) else _number(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> BatchMean:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> BatchMean:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> BatchMean:
        return BatchMean(self.row * _number(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> BatchMean:
        return BatchMean(self.row / _number(other))

    def _refused(self, *args: Any, **options: Any) -> NoReturn:
        raise UnsupportedError("an operation on a mean over the batch")

    __abs__ = __array__ = __bool__ = __float__ = __int__ = _refused
    __rpow__ = __rtruediv__ = __getattr__ = __getitem__ = _refused
    __eq__ = __ge__ = __gt__ = __le__ = __lt__ = __ne__ = _refused
    __hash__ = object.__hash__


def _number(value: Any) -> float:
    if isinstance(value, int | float | np.number):
        return float(value)
    raise UnsupportedError("an operation on a mean over the batch")


class CellTrace:
    """A run of users' code on sketches; weights and layers record themselves here meanwhile."""

    # Whether the mean over a batch may be taken, and whether what the code gave is one.
    takes_means = False
    gives_mean = False
    gives_root = False  # of that mean

    def __init__(self, dtype: np.dtype[Any], batch: int) -> None:
        self.recorder = Recorder(dtype)
        self.batch, self.rows = batch, Rows(batch)
        self.parameters: dict[Parameter, View] = {}
        self._known: dict[Any, Any] = {}

    def sketch(self, view: View) -> Sketch:
        """A value in the form that a cell's code sees."""
        return Sketch(self, view)

    def call(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result of an operation."""
        if name == "sqrt" and args and isinstance(args[0], BatchMean):
            return args[0].root()
        rule = rules.get(name)
        if rule is None:
            raise UnsupportedError(f"the operation `{name}`")
        args, options = map_structure(self.leaf, args), map_structure(self.leaf, options)
        key = _key((name, args, options))
        known = None if key is None else self._known.get(key)
        if known is not None:
            return list(known) if isinstance(known, list) else known
        try:
            found = rule(self, *args, **options)
        except TypeError as error:
            raise UnsupportedError(f"the operation `{name}` with such arguments") from error
        if key is not None:
            self._known[key] = found
        return found

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What was made for that key before, else what `make` gives."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def layer(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Any) -> Any:
        """The outputs of a layer's call."""
        if mask is not None:
            raise UnsupportedError("a mask given to a layer inside the cell")
        for rule in layer_rules:
            found = rule(self, layer, args, kwargs)
            if found is not NotImplemented:
                return found
        raise UnsupportedError(f"a call of the layer {type(layer).__name__}")

    # What the room `symbolic` asks of a trace.

    def parameter(self, parameter: Parameter) -> Any:
        """The parameter's value, as a sketch."""
        view = self.parameters.get(parameter)
        if view is None:
            if parameter.dtype.kind != "f":
                with tracing.suspended():
                    return parameter.value
            view = self.recorder.value(parameter.shape, FIXED, parameter.trainable)
            self.parameters[parameter] = view
        return self.sketch(view)

    def leaf(self, value: Any) -> Any:
        """What stands for a parameter; anything else as it is."""
        return self.parameter(value) if isinstance(value, Parameter) else value

    def operation(self, function: Callable[..., Any], args: Any, options: Any) -> Any:
        """The result of an operation of `ops` on sketches or parameters."""
        return self.call(function.__name__, args, options)

    def ufunc(self, ufunc: np.ufunc, method: str, inputs: Any, options: Any) -> Any:
        """A NumPy ufunc of a sketch or a parameter."""
        name = ufunc.__name__
        if method != "__call__" or options:
            raise UnsupportedError(f"`numpy.{name}.{method}`")
        return self.call(_RENAMED.get(name, name), inputs, {})

    def record(self, forward: Callable[[Any], tuple[Any, Any]], inputs: Any) -> Any:
        """A function with its vjp, which the engine cannot see into."""
        raise UnsupportedError("a function with a gradient of its own")

    def cast(self, value: Any, dtype: Any) -> Any:
        """`value` in another dtype: all are the program's."""
        return value

    def leaving(self, what: str) -> NoReturn:
        """What is other at every step, or has an effect beside the values."""
        raise UnsupportedError(what)
