"""`Input` and its layer: say what a model will be given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferrnn._src.configs.config import floatx
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.tree.types import Shape

_DTYPES = (
    *("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool"),
    "string",  # of what `TextVectorization` and its like read
)
# What Keras takes them for.
_PYTHON = {"int": "int32", "float": "float32", "bool_": "bool", "str": "string", "str_": "string"}


class InputLayer(Layer):
    """The place where a model takes an array; `output` is the symbolic tensor that stands for it.

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
    ) -> None:
        super().__init__(name=name)
        unsupported = {"sparse": sparse, "ragged": ragged, "tensor": input_tensor}
        for argument, given in unsupported.items():
            if given:
                raise NotImplementedError(
                    f"`{argument}` of Input is not supported, received {given!r}"
                )
        if optional:
            raise NotImplementedError("`optional` inputs are not supported")
        self.batch_shape = _batch_shape(shape, batch_size, batch_shape)
        self.dtype = _dtype_name(dtype)
        self.built = True
        node = Node(self, (), {}, ())
        node.outputs = SymbolicTensor(self.batch_shape, self.dtype, self.name, node)
        self._inbound_nodes.append(node)

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
            "optional": False,
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
    """Keras' name of a dtype, given by name, as Python's type or as NumPy's."""
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


def _batch_shape(shape: Any, batch_size: int | None, batch_shape: Any) -> Shape:
    if (shape is None) == (batch_shape is None):
        raise ValueError(
            "Input takes either `shape` (without the batch) or `batch_shape`, "
            f"received shape={shape!r} and batch_shape={batch_shape!r}"
        )
    if batch_shape is not None and batch_size is not None:
        raise ValueError("Input takes `batch_size` together with `shape` only")
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
