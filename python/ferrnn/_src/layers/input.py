"""`Input` and its layer: the inputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferrnn._src.configs.config import floatx
from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.tree.types import Shape

_DTYPES = (
    *("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool"),
    "string",  # for layers that read texts, such as `TextVectorization`
)
# Keras' names for Python's types.
_PYTHON = {"int": "int32", "float": "float32", "bool_": "bool", "str": "string", "str_": "string"}


class InputLayer(Layer):
    """An input of a model; `output` is the symbolic tensor that stands for its array.

    >>> InputLayer((10, 3), name="prices").output
    <SymbolicTensor name=prices shape=(None, 10, 3) dtype=float32>
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **older: Any,
    ) -> None:
        shape, batch_shape = _older_shapes(shape, batch_shape, older)
        super().__init__(name=name, **older)
        if input_tensor is not None:
            given = {"shape": shape, "batch_size": batch_size, "batch_shape": batch_shape}
            _check_tensor(input_tensor, {**given, "dtype": dtype, "sparse": sparse})
            shape, batch_size, batch_shape = None, None, input_tensor.shape
            dtype = input_tensor.dtype
        for argument, wanted in {"sparse": sparse, "ragged": ragged}.items():
            if wanted:
                raise ValueError(
                    f"`{argument}=True` is not supported, as arrays of Input are dense, received "
                    f"{argument}={wanted!r}"
                )
        self.sparse = self.ragged = False
        self.optional = bool(optional)
        self.batch_shape = _batch_shape(shape, batch_size, batch_shape)
        self.dtype = _dtype_name(dtype)
        self.built = True
        node = Node(self, (), {}, ())
        if input_tensor is None:
            input_tensor = SymbolicTensor(self.batch_shape, self.dtype, self.name)
        input_tensor.node, input_tensor.index = node, 0
        node.outputs = input_tensor
        self._inbound_nodes.append(node)

    def call(self, *inputs: Any) -> None:
        """Returns nothing: a model substitutes its input array for `output`."""

    @property
    def input(self) -> Any:
        """The symbolic tensor itself."""
        return self.output

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """The inputs as they are."""
        return inputs, lambda d_outputs, grads: d_outputs

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def Input(  # noqa: N802 - Keras' name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """A symbolic tensor of the given shape, `shape` being without and `batch_shape` with the batch.

    >>> Input((10, 3), name="series")
    <SymbolicTensor name=series shape=(None, 10, 3) dtype=float32>
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    )
    return layer.output


def _dtype_name(dtype: Any) -> str:
    """Keras' name for a dtype given by name, as a Python type or as a NumPy dtype."""
    name = (
        dtype
        if isinstance(dtype, str)
        else getattr(dtype, "__name__", getattr(dtype, "name", dtype))
    )
    name = _PYTHON.get(name, name)
    if name is None:
        return floatx()
    if name not in _DTYPES:
        raise ValueError(
            f"`dtype` of Input must be one of {', '.join(_DTYPES)}, received {dtype!r}"
        )
    return str(name)


def _older_shapes(shape: Any, batch_shape: Any, older: dict[str, Any]) -> tuple[Any, Any]:
    """The shapes, including those under older argument names, which are popped."""
    if "input_shape" in older:
        warn("Argument `input_shape` is deprecated. Use `shape` instead.", UserWarning)
        shape = older.pop("input_shape")
    return shape, older.pop("batch_input_shape", batch_shape)


def _check_tensor(tensor: Any, given: dict[str, Any]) -> None:
    """Raises ValueError unless `tensor` is a graph input that agrees with the other arguments."""
    if not isinstance(tensor, SymbolicTensor):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Argument `input_tensor` must be a KerasTensor (a symbolic tensor). Received invalid "
            f"type: input_tensor={tensor!r} (of type {type(tensor).__name__})"
        )
    if tensor.node is not None:
        raise ValueError(
            "Argument `input_tensor` must be a KerasTensor that is not the output of a layer: "
            f"{tensor!r} is the output of {tensor.node.layer.name!r}"
        )
    has = {
        "shape": tensor.shape[1:],
        "batch_size": next(iter(tensor.shape), None),
        "batch_shape": tensor.shape,
        "dtype": tensor.dtype,
        "sparse": False,
    }
    for argument, wanted in given.items():
        said = tuple(wanted) if isinstance(wanted, list) else wanted
        if said is not None and said != has[argument]:
            raise ValueError(
                "When providing the `input_tensor` argument, you cannot provide an incompatible "
                f"`{argument}` argument: the tensor has {has[argument]!r}, received {wanted!r}"
            )


def _batch_shape(shape: Any, batch_size: int | None, batch_shape: Any) -> Shape:
    for argument, given in (("shape", shape), ("batch_size", batch_size)):
        if given is not None and batch_shape is not None:
            raise ValueError(
                f"You cannot pass both `{argument}` and `batch_shape` at the same time, Input "
                f"received {argument}={given!r} and batch_shape={batch_shape!r}"
            )
    if shape is None and batch_shape is None:
        raise ValueError(
            "You must pass a `shape` argument: Input received neither it nor `batch_shape`."
        )
    if shape is not None:
        return (batch_size, *_lengths("shape", shape))
    return _lengths("batch_shape", batch_shape)


def _lengths(argument: str, shape: Any) -> Shape:
    if not isinstance(shape, list | tuple):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Cannot convert {shape!r} to a shape: `{argument}` of Input must be a tuple or list"
        )
    for length in shape:
        if length is not None and (not hasattr(length, "__index__") or int(length) < 0):
            raise ValueError(
                f"`{argument}` of Input must hold lengths or None, received {tuple(shape)!r}"
            )
    return tuple(None if length is None else int(length) for length in shape)
