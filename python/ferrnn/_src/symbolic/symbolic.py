"""Symbolic tensors, and the calls of layers that produce them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from ferrnn._src.configs.names import unique_name
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Shape


class _Operators(dict[str, Callable[..., Any]]):
    """The operators, filled in by the module of operations, which is loaded on first use."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        import_module("ferrnn._src.layer.operations")
        return dict.__getitem__({**self}, name)


# How Python's operators act on symbolic tensors.
operators = _Operators()


class Recorded:
    """Marks a value on which operations are recorded."""

    __slots__ = ()


class SymbolicTensor(Recorded):
    """The shape, dtype and name of an array to come; `None` stands for a length not known yet.

    Operators (`+ - * / // % ** @ < <= > >= & | ^ ~`, unary minus, `abs`, indexing) make a node
    each, as layers do.

    >>> SymbolicTensor((None, 10, 3), "float32", name="series")
    <SymbolicTensor name=series shape=(None, 10, 3) dtype=float32>
    """

    __array_ufunc__ = None  # so that `array + tensor` asks the tensor
    sparse = ragged = False  # arrays are dense
    takes_layers = False  # whether the tensor records calls of layers itself

    def __init__(
        self,
        shape: Shape,
        dtype: str = "float32",
        name: str | None = None,
        node: Node | None = None,
        index: int = 0,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = unique_name("keras_tensor") if name is None else name
        self.node = node
        self.index = index
        self._mask: Any = None

    @property
    def _keras_mask(self) -> Any:
        """The symbolic mask that the tensor carries, or None; its node computes it."""
        if self._mask is None:
            self._mask = operators["mask_of"](self)
        return self._mask

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def recorded_layer(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
        mask: Any,
    ) -> Any:
        """The outputs of a layer's call, for tensors that record calls themselves."""
        raise NotImplementedError(
            f"{self!r} belongs to a graph, which records calls of layers as nodes"
        )

    def __repr__(self) -> str:
        return f"<SymbolicTensor name={self.name} shape={self.shape} dtype={self.dtype}>"

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} holds no numbers yet, so NumPy cannot work on it: use layers, Python's "
            "operators or functions of `ops`, which become part of the model"
        )

    def __len__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no length yet: see its `shape`")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be iterated over: it holds no numbers yet")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no truth value: it holds no numbers yet")

    def __getitem__(self, index: Any) -> Any:
        return operators["getitem"](self, index)

    def __neg__(self) -> Any:
        return operators["negative"](self)

    def __abs__(self) -> Any:
        return operators["absolute"](self)

    def __add__(self, other: Any) -> Any:
        return operators["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return operators["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return operators["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return operators["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return operators["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return operators["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return operators["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return operators["divide"](other, self)

    def __pow__(self, other: Any) -> Any:
        return operators["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return operators["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return operators["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return operators["matmul"](other, self)

    def __lt__(self, other: Any) -> Any:
        return operators["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return operators["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return operators["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return operators["greater_equal"](self, other)

    def __floordiv__(self, other: Any) -> Any:
        return operators["floor_divide"](self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return operators["floor_divide"](other, self)

    def __mod__(self, other: Any) -> Any:
        return operators["mod"](self, other)

    def __rmod__(self, other: Any) -> Any:
        return operators["mod"](other, self)

    def __and__(self, other: Any) -> Any:
        return operators["logical_and"](self, other)

    def __rand__(self, other: Any) -> Any:
        return operators["logical_and"](other, self)

    def __or__(self, other: Any) -> Any:
        return operators["logical_or"](self, other)

    def __ror__(self, other: Any) -> Any:
        return operators["logical_or"](other, self)

    def __xor__(self, other: Any) -> Any:
        return operators["logical_xor"](self, other)

    def __rxor__(self, other: Any) -> Any:
        return operators["logical_xor"](other, self)

    def __invert__(self) -> Any:
        return operators["logical_not"](self)


class Arguments(NamedTuple):
    """The arguments of a call that has more than one, as the inputs of `forward`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Node:
    """One call of a layer on symbolic tensors.

    `args` and `kwargs` are the call's, `inputs` what `forward` takes and `outputs` what it gives,
    with symbolic tensors in place of arrays.
    """

    def __init__(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: Any,
        *,
        training: bool | None = None,
        mask: Any = None,
    ) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.inputs = inputs
        self.training = training
        self.mask = mask
        self.outputs: Any = None
        self.masks: list[SymbolicTensor | None] | None = (
            None  # the masks of the outputs, once they have been computed
        )
        self.index = len(layer._inbound_nodes)

    @property
    def input_tensors(self) -> list[SymbolicTensor]:
        """The symbolic tensors among the inputs, in order."""
        return list(symbolic_leaves(self.inputs))

    @property
    def output_tensors(self) -> list[SymbolicTensor]:
        """The symbolic tensors that the call gives, in order."""
        return list(symbolic_leaves(self.outputs))

    @property
    def parents(self) -> list[Node]:
        """The nodes that compute this node's inputs and mask."""
        needed = [*self.input_tensors, *symbolic_leaves(self.mask)]
        return list(dict.fromkeys(each.node for each in needed if each.node is not None))

    def __repr__(self) -> str:
        return f"<Node {self.index} of layer {self.layer.name}>"


def symbolic_leaves(structure: Any) -> Iterator[SymbolicTensor]:
    """The symbolic tensors in nested tuples, lists and dicts."""
    return (leaf for leaf in flatten(structure) if isinstance(leaf, SymbolicTensor))


def get_source_inputs(tensor: Any) -> Any:
    """The graph inputs that a symbolic tensor depends on, each once; any other value unchanged.

    >>> source = SymbolicTensor((None, 3), "float32", name="series")
    >>> get_source_inputs(source)
    [<SymbolicTensor name=series shape=(None, 3) dtype=float32>]
    """
    if not isinstance(tensor, SymbolicTensor):
        return tensor
    found: dict[SymbolicTensor, None] = {}
    seen: set[SymbolicTensor] = set()
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        needed = [] if each.node is None else each.node.input_tensors
        if not needed:
            found[each] = None
        waiting += reversed(needed)
    return list(found)


def is_symbolic(*structures: Any) -> bool:
    """Whether a symbolic tensor stands anywhere in the structures.

    >>> is_symbolic([1, (2, SymbolicTensor((None,), "float32", name="x"))], 3)
    True
    """
    return any(True for _ in symbolic_leaves(structures))
