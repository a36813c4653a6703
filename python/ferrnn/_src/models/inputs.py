"""What a model is given, brought into the order, shapes and dtypes of its symbolic inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.symbolic.shapes import is_shape
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.ragged import refuse_ragged
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array, Shape


class Inputs:
    """The symbolic inputs of a model; `raw` says which of them the layers behind cast themselves.

    >>> ends = Inputs([SymbolicTensor((None, 3), "float32", name="a")], [False])
    >>> ends.cast(ends.arrange({"a": np.zeros((2, 3))}, "model"), "model").dtype.name
    'float32'
    """

    def __init__(self, structure: Any, raw: Sequence[bool]) -> None:
        self.structure = structure
        self.tensors: list[SymbolicTensor] = flatten(structure)
        self.single = len(self.tensors) == 1
        self.names = [tensor.name for tensor in self.tensors]
        # A dict of inputs is taken by its keys, all else by the names of the inputs.
        keyed = isinstance(structure, dict)
        self._keys = sorted(structure) if keyed else self.names
        self._dtypes = [
            None if keep or tensor.dtype == "string" else np.dtype(tensor.dtype)
            for tensor, keep in zip(self.tensors, raw, strict=True)
        ]
        self._shape = self.tensors[0].shape

    def arrange(self, given: Any, model: str) -> Any:
        """The inputs in order: the only one, or a tuple."""
        if isinstance(given, np.ndarray | SymbolicTensor) and self.single:
            return given
        if isinstance(given, dict):
            parts = self._by_name(given, model)
        elif isinstance(given, list | tuple) and any(hasattr(p, "shape") for p in flatten(given)):
            parts = flatten(given)
        else:
            parts = [given]
        if len(parts) != len(self.tensors):
            if self.single:
                refuse_ragged(given, f"the input {self.names[0]!r} of the model {model!r}")
            raise ValueError(
                f"the model {model!r} takes {len(self.tensors)} inputs ({', '.join(self.names)}), "
                f"received {len(parts)}"
            )
        return parts[0] if self.single else tuple(parts)

    def _by_name(self, given: dict[str, Any], model: str) -> list[Any]:
        for keys in (self._keys, self.names):
            if all(key in given for key in keys):
                return [given[key] for key in keys]
        missing = [key for key in self._keys if key not in given]
        raise ValueError(
            f"the dict of inputs of the model {model!r} must have the keys {self._keys}, received "
            f"{list(given)}: {missing} are missing"
        )

    def arrange_shapes(self, shapes: Any) -> list[Shape]:
        """Shapes in order, given one, a list or a dict of them."""
        if is_shape(shapes):
            return [tuple(shapes)]
        parts = [shapes[key] for key in self._keys] if isinstance(shapes, dict) else list(shapes)
        return [tuple(part) for part in parts]

    def cast(self, arranged: Any, model: str) -> Any:
        """Arranged arrays in the dtypes and ranks of the inputs, their shapes checked."""
        if not self.single:
            columns = zip(arranged, range(len(self.tensors)), strict=True)
            return tuple(self._cast(array, at, model) for array, at in columns)
        # Most calls, without the steps of the general way: NumPy holds one object for each dtype.
        if type(arranged) is np.ndarray and arranged.dtype is self._dtypes[0]:
            given, wanted = arranged.shape, self._shape
            if len(given) == len(wanted) > 1 and given[-1] == wanted[-1]:
                return arranged
        return self._cast(arranged, 0, model)

    def _cast(self, given: Any, at: int, model: str) -> Array:
        tensor, dtype = self.tensors[at], self._dtypes[at]
        refuse_ragged(given, f"the input {tensor.name!r} of the model {model!r}")
        try:
            array = given.view(np.ndarray) if isinstance(given, np.ndarray) else np.asarray(given)
        except ValueError as error:
            raise ValueError(
                f"the input {tensor.name!r} of the model {model!r} must be one array, received a "
                f"{type(given).__name__} that makes none ({error})"
            ) from error
        if array.dtype.kind not in ("USOT" if tensor.dtype == "string" else "fiub"):
            wanted = "strings" if tensor.dtype == "string" else "real numbers"
            raise TypeError(
                f"the input {tensor.name!r} of the model {model!r} must hold {wanted}, "
                f"received the dtype {array.dtype}"
            )
        if dtype is not None:
            array = array.astype(dtype, copy=False)
        return self._checked(array, tensor, dtype, model)

    def _checked(self, array: Array, tensor: SymbolicTensor, dtype: Any, model: str) -> Array:
        # Other lengths may come, where the layers take them, but no other number of features; ids
        # have no features.
        ids = dtype is None and tensor.dtype != "string"
        expected = tuple(
            length if at == tensor.ndim - 1 and not ids else None
            for at, length in enumerate(tensor.shape)
        )
        if array.ndim == len(expected) + 1 and array.shape[-1] == 1:
            array = array[..., 0]
        elif array.ndim == len(expected) - 1 and expected[-1] == 1:
            array = array[..., None]
        pairs = zip(array.shape, expected, strict=False)
        if array.ndim != len(expected) or any(want not in (None, have) for have, want in pairs):
            which = "the inputs" if self.single else f"the input {tensor.name!r}"
            raise ValueError(
                f"{which} of the model {model!r} must have the shape {tensor.shape} "
                f"(lengths of time may differ), received {array.shape}"
            )
        return array
