"""The tracer: values that record how they were computed, and the backward pass through them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter

# (gradient for the node's value, grads) -> gradients for the parents, None where there is none.
Back: TypeAlias = "Callable[[Any, Gradients], Iterable[Any]]"

# Operations for NumPy's ufuncs on traced values, filled in by the modules of operations.
ufuncs: dict[Any, Callable[..., Any]] = {}
# Operations for an array's methods, by name; "getitem" is indexing.
methods: dict[str, Callable[..., Any]] = {}
# Keras' names of functions that have other names in NumPy.
_RENAMED = {"amax": "max", "amin": "min", "asarray": "convert_to_tensor", "copyto": "slice_update"}

_numbers = itertools.count()


class Node:
    """One step of a trace: its inputs, and its backward function (None at the start of a trace)."""

    __slots__ = ("back", "dtype", "number", "parents", "shape")

    def __init__(self, value: Any, parents: Sequence[Node], back: Back | None) -> None:
        self.shape, self.dtype = value.shape, value.dtype
        self.parents, self.back = parents, back
        self.number = next(_numbers)


class Bundle(Node):
    """A node with several outputs, whose gradients arrive one by one as `(index, gradient)`."""

    __slots__ = ()

    def __init__(self, parents: Sequence[Node], back: Back) -> None:
        super().__init__(np.empty(0), parents, back)


class Traced(tracing.Traced, NDArrayOperatorsMixin):
    """An array of a running trace: operators, ufuncs and `ferrnn.ops` work on it.

    >>> from ferrnn._src.symbolic.tracing import differentiate
    >>> def function(x):
    ...     print(x.shape, x.dtype, bool((x > 0).all()))
    ...     return np.tanh(2 * x)
    >>> outputs, vjp = differentiate(function, np.ones(2))
    (2,) float64 True
    """

    __slots__ = ("_keras_mask", "_node", "_value")

    def __init__(self, value: Any, node: Node) -> None:
        self._value = value
        self._node = node
        self._keras_mask: Any = None

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The array's shape."""
        return self._value.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """The number of axes."""
        return self._value.ndim  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The array's dtype."""
        return self._value.dtype

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._value.size  # type: ignore[no-any-return]

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self._value)))

    def __repr__(self) -> str:
        return f"<Traced {self._value!r}>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, options)

    # The common operators, without NumPy's dispatch, which takes as long as the operation.

    def __add__(self, other: Any) -> Any:
        return ufuncs[np.add](self, other)

    def __radd__(self, other: Any) -> Any:
        return ufuncs[np.add](other, self)

    def __sub__(self, other: Any) -> Any:
        return ufuncs[np.subtract](self, other)

    def __rsub__(self, other: Any) -> Any:
        return ufuncs[np.subtract](other, self)

    def __mul__(self, other: Any) -> Any:
        return ufuncs[np.multiply](self, other)

    def __rmul__(self, other: Any) -> Any:
        return ufuncs[np.multiply](other, self)

    def __truediv__(self, other: Any) -> Any:
        return ufuncs[np.divide](self, other)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not tracing.running.get():
            return func(*map_structure(tracing.plain, args), **map_structure(tracing.plain, kwargs))
        raise TypeError(
            f"`numpy.{func.__name__}` would lose the gradient of a traced value: use "
            f"`ops.{_RENAMED.get(func.__name__, func.__name__)}` of ferrnn"
        )

    def _ended(self, what: str) -> Any:
        """The plain array, once the trace has ended; before, its gradient would be lost."""
        if tracing.running.get():
            raise TypeError(_lost(what))
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        value = self._ended("numpy.asarray (or another NumPy function that makes an array)")
        return np.array(value, dtype) if copy else np.asarray(value, dtype)

    def __float__(self) -> float:
        return float(self._ended("float()"))

    def __int__(self) -> int:
        return int(self._ended("int()"))

    __index__ = __int__

    def numpy(self) -> Any:
        """The plain array, once the trace has ended; raises TypeError before."""
        return np.asarray(self._ended("numpy()"))

    def item(self) -> Any:
        """The only entry as a Python number, once the trace has ended."""
        return self._ended("item()").item()

    def tolist(self) -> Any:
        """The entries in lists, once the trace has ended."""
        return self._ended("tolist()").tolist()

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The array with its axes reversed."""
        return methods["transpose"](self)

    def __getitem__(self, index: Any) -> Any:
        return methods["getitem"](self, index)

    def __getattr__(self, name: str) -> Any:
        found = methods.get(name)
        if found is not None and name != "getitem":
            return functools.partial(found, self)
        raise AttributeError(
            f"a traced value has no `{name}`: use the functions of `ferrnn.ops`", name=name
        )

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a traced value cannot be written to: `ops.slice_update`, `ops.scatter_update` and "
            "`ops.where` return a new one"
        )


def _lost(what: str) -> str:
    return (
        f"{what} would cut the gradient of a traced value: use the functions of `ferrnn.ops` "
        "(`ops.convert_to_tensor` keeps the gradient; `ops.stop_gradient(x)` gives the plain array "
        "where no gradient is wanted)"
    )


def apply_ufunc(ufunc: Any, method: str, inputs: Any, options: Any) -> Any:
    """A ufunc with a traced operand, or with a parameter while a trace runs."""
    found = ufuncs.get(ufunc)
    name = ufunc.__name__
    if method != "__call__":
        raise TypeError(f"`numpy.{name}.{method}` cannot work on a traced value: use `ferrnn.ops`")
    if found is None:
        raise TypeError(f"`numpy.{name}` of a traced value has no gradient here: use `ferrnn.ops`")
    if set(options) == {"out"} and options["out"][0] is inputs[0]:
        options = {}  # as in Keras, `x -= y` makes a new value and assigns it to `x`
    if options:
        raise TypeError(
            f"`numpy.{name}` of a traced value does not take the options {sorted(options)}: it "
            "returns a new value"
        )
    return found(*inputs)


class Part:
    """A gradient for some entries of an array, zero elsewhere."""

    __slots__ = ("gradient", "index")

    def __init__(self, index: Any, gradient: Any) -> None:
        self.index, self.gradient = index, gradient

    def add_to(self, array: Array) -> None:
        """Adds it, repeatedly for entries that were taken repeatedly."""
        if _is_basic(self.index):
            array[self.index] += self.gradient
        else:
            np.add.at(array, self.index, self.gradient)


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    kinds = (slice, type(None), type(Ellipsis))
    return all(
        isinstance(part, kinds)
        or (isinstance(part, int | np.integer) and not isinstance(part, bool))
        for part in parts
    )


class Trace:
    """One run of a user's code, with the parameters that took part."""

    operation = None

    def __init__(self) -> None:
        self.leaves: dict[tuple[Parameter, int], Traced] = {}

    def parameter(self, parameter: Parameter) -> Any:
        """The parameter's value; one traced leaf for each version of a trainable one."""
        if not parameter.trainable or parameter.dtype.kind != "f":
            with tracing.suspended():
                return parameter.value
        key = (parameter, parameter.version)
        leaf = self.leaves.get(key)
        if leaf is None:
            leaf = self.leaves[key] = root(parameter.snapshot())
        return leaf

    def record(self, forward: Callable[[Any], tuple[Any, Any]], inputs: Any) -> Any:
        """`forward(inputs) -> (outputs, vjp)` on plain arrays, its outputs traced as one node."""
        inputs = map_structure(self.leaf, inputs)
        flat = flatten(inputs)
        at = [index for index, leaf in enumerate(flat) if type(leaf) is Traced]
        with tracing.suspended():
            outputs, vjp = forward(map_structure(tracing.plain, inputs))
        if vjp is None:
            return outputs
        leaves = flatten(outputs)

        def back(parts: Any, grads: Gradients) -> Iterator[Any]:
            given = [_zeros_unless(parts.get(i), leaf) for i, leaf in enumerate(leaves)]
            with tracing.suspended():
                d_inputs = flatten(vjp(pack_like(outputs, given), grads))
            return (d_inputs[index] if index < len(d_inputs) else None for index in at)

        bundle = Bundle([flat[index]._node for index in at], back)
        traced = (_part_of(bundle, index, leaf) for index, leaf in enumerate(leaves))
        return pack_like(outputs, list(traced))

    def leaf(self, value: Any) -> Any:
        """The traced array of a parameter; any other value unchanged."""
        return self.parameter(value) if isinstance(value, Parameter) else value

    def leaving(self, what: str) -> None:
        """Does nothing, as this trace has values."""

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: Any) -> Any:
        """A ufunc with a parameter among its operands."""
        return apply_ufunc(ufunc, method, inputs, options)

    def cast(self, value: Any, dtype: Any) -> Any:
        """A traced value in another float dtype."""
        array = value._value.astype(dtype)
        return Traced(array, Node(array, [value._node], lambda g, grads: (g,)))


def _zeros_unless(gradient: Any, leaf: Any) -> Any:
    return np.zeros_like(leaf) if gradient is None and isinstance(leaf, np.ndarray) else gradient


def _part_of(bundle: Bundle, index: int, leaf: Any) -> Any:
    """Output `index` of a node with several, if it is an array of floats."""
    if not isinstance(leaf, np.ndarray | np.generic) or leaf.dtype.kind != "f":
        return leaf
    mask = getattr(leaf, "_keras_mask", None)
    value = leaf.view(np.ndarray) if isinstance(leaf, np.ndarray) else leaf
    traced = Traced(value, Node(value, [bundle], lambda g, grads: (Part(index, g),)))
    traced._keras_mask = mask
    return traced


def root(value: Array) -> Traced:
    """A traced value at the start of a trace."""
    return Traced(value, Node(value, (), None))


def backward(seeds: Iterable[tuple[Node, Any]], grads: Gradients) -> dict[Node, Any]:
    """Gradients for the nodes at the start of the trace; layers on the way add to `grads`."""
    # (gradient, whether this function made the array and may add to it in place)
    sums: dict[Node, tuple[Any, bool]] = {}
    for node, gradient in seeds:
        _add(sums, node, _fitted(np.asarray(gradient), node))
    starts: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for node in _reached(sums):
            known = sums.pop(node, None)
            if known is None:
                continue
            if node.back is None:
                starts[node] = known[0]
                continue
            for parent, gradient in zip(node.parents, node.back(known[0], grads), strict=True):
                if gradient is not None:
                    _add(sums, parent, _fitted(gradient, parent))
    return starts


def _reached(seeds: Iterable[Node]) -> list[Node]:
    """All nodes that the seeds depend on, the last made first."""
    seen = set(seeds)
    waiting = list(seen)
    while waiting:
        for parent in waiting.pop().parents:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return sorted(seen, key=lambda node: node.number, reverse=True)


def _fitted(gradient: Any, node: Node) -> Any:
    """The gradient in the dtype and the shape of the node's value."""
    if type(gradient) is Part or type(node) is Bundle:
        return gradient
    if gradient.dtype != node.dtype:
        gradient = gradient.astype(node.dtype)
    return gradient if gradient.shape == node.shape else np.reshape(gradient, node.shape)


def _add(sums: dict[Node, tuple[Any, bool]], node: Node, gradient: Any) -> None:
    known = sums.get(node)
    if type(node) is Bundle:
        parts = {} if known is None else known[0]
        before = parts.get(gradient.index)
        parts[gradient.index] = gradient.gradient if before is None else before + gradient.gradient
        sums[node] = (parts, True)
    elif type(gradient) is Part:
        total = np.zeros(node.shape, node.dtype) if known is None else known[0]
        if known is not None and not known[1]:
            total = np.array(total)
        gradient.add_to(total)
        sums[node] = (total, True)
    elif known is None:
        sums[node] = (gradient, False)
    elif known[1]:
        total = known[0]
        total += gradient
        sums[node] = (total, True)
    else:
        sums[node] = (known[0] + gradient, True)
