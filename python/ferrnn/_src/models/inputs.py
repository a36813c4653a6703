"""Brings inputs into the order, shapes and dtypes of a model's symbolic inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.symbolic.shapes import is_shape
from ferrnn._src.symbolic.symbolic import SymbolicTensor, is_symbolic
from ferrnn._src.tree.ragged import refuse_ragged
from ferrnn._src.tree.structures import flatten_with_path, is_nested
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.tree.types import Array, Shape


class Inputs:
    """The symbolic inputs of a model; `raw` tells which of them the layers cast themselves.

    >>> ends = Inputs([SymbolicTensor((None, 3), "float32", name="a")], [False])
    >>> ends.cast(ends.arrange({"a": np.zeros((2, 3))}, "model"), "model").dtype.name
    'float32'
    """

    def __init__(self, structure: Any, raw: Sequence[bool]) -> None:
        self.structure = structure
        self.tensors: list[SymbolicTensor] = flatten(structure)
        self.single = len(self.tensors) == 1
        self.names = [tensor.name for tensor in self.tensors]
        self._optional = [_is_optional(tensor) for tensor in self.tensors]
        # A dict of inputs is matched by its keys, any other structure by the names of the inputs.
        self._keyed = isinstance(structure, dict)
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
        elif isinstance(given, list | tuple) and self._holds_inputs(given):
            parts = flatten(given)
            if self._keyed and len(parts) == len(self.tensors):
                self._take_listed(given, model)
        else:
            parts = [given]
        if len(parts) != len(self.tensors):
            self._refuse_count(given, parts, model)
        return parts[0] if self.single else tuple(parts)

    def _holds_inputs(self, given: Any) -> bool:
        leaves = flatten(given)
        return any(hasattr(part, "shape") or part is None for part in leaves)

    def _refuse_count(self, given: Any, parts: list[Any], model: str) -> NoReturn:
        if self.single:
            refuse_ragged(given, f"the input {self.names[0]!r} of the model {model!r}")
        keys = sorted(self.structure) if self._keyed else self.names
        what = (
            f"named input(s) with keys {keys}" if self._keyed else f"input(s) ({', '.join(keys)})"
        )
        raise ValueError(
            f'Layer "{model}" expects {len(self.tensors)} {what}, but it received {len(parts)} '
            "input tensors."
        )

    def _take_listed(self, given: Any, model: str) -> None:
        """Takes a list for a dict of inputs, if its order is unambiguous."""
        if list(self.structure) != sorted(self.structure):
            raise ValueError(f"{self._mismatch(given)}\nModel: {model!r}")
        if not is_symbolic(given):
            warn(self._mismatch(given))

    def _mismatch(self, given: Any) -> str:
        expected = map_structure(lambda tensor: tensor.name, self.structure)
        received = map_structure(
            lambda leaf: f"Tensor(shape={leaf.shape})" if hasattr(leaf, "shape") else str(leaf),
            given,
        )
        return (
            "The structure of `inputs` doesn't match the expected structure.\n"
            f"Expected: {expected}\nReceived: inputs={received}"
        )

    def _by_name(self, given: dict[str, Any], model: str) -> list[Any]:
        if self._keyed:
            parts = self._by_key(self.structure, given, model)
            if len(flatten(given)) > len(parts) and not is_symbolic(given):
                warn(self._mismatch(given))
            return parts
        missing = [name for name in self.names if name not in given]
        if missing:
            self._refuse_keys(self.names, missing, given, model)
        return [given[name] for name in self.names]

    def _by_key(self, structure: Any, given: Any, model: str) -> list[Any]:
        if not isinstance(structure, dict):
            return flatten(given) if is_nested(structure) else [given]
        known = given if isinstance(given, dict) else {}
        missing = [key for key in sorted(structure) if key not in known]
        if missing:
            self._refuse_keys(sorted(structure), missing, known, model)
        parts = [self._by_key(structure[key], given[key], model) for key in sorted(structure)]
        return [leaf for part in parts for leaf in part]

    def _refuse_keys(
        self, keys: list[str], missing: list[str], given: dict[str, Any], model: str
    ) -> NoReturn:
        raise ValueError(
            f"the dict of inputs of the model {model!r} must have the keys {keys}, received "
            f"{list(given)} without {missing}"
        )

    def arrange_shapes(self, shapes: Any) -> list[Shape]:
        """Shapes in the order of the inputs, from one shape, a list or a dict."""
        if isinstance(shapes, dict) and not self._keyed:
            shapes = [shapes[name] for name in self.names]
        return list(_flat_shapes(shapes))

    def cast(self, arranged: Any, model: str) -> Any:
        """Arranged arrays in the dtypes and ranks of the inputs, their shapes checked."""
        if not self.single:
            if not isinstance(arranged, tuple):
                self._refuse_count(arranged, [arranged], model)
            columns = zip(arranged, range(len(self.tensors)), strict=True)
            return tuple(self._cast(array, at, model) for array, at in columns)
        # A shortcut for most calls: NumPy has one object for each dtype, so `is` suffices.
        if type(arranged) is np.ndarray and arranged.dtype is self._dtypes[0]:
            given, wanted = arranged.shape, self._shape
            if len(given) == len(wanted) > 1 and given[-1] == wanted[-1]:
                return arranged
        return self._cast(arranged, 0, model)

    def _cast(self, given: Any, at: int, model: str) -> Any:
        tensor, dtype = self.tensors[at], self._dtypes[at]
        if given is None:
            if self._optional[at]:
                return None
            raise ValueError(
                f"The input '{tensor.name}' of the model {model!r} is not optional, but None was "
                "passed. Please provide a valid tensor."
            )
        refuse_ragged(given, f"the input {tensor.name!r} of the model {model!r}")
        try:
            array = given.view(np.ndarray) if isinstance(given, np.ndarray) else np.asarray(given)
        except ValueError as error:
            raise ValueError(
                f"the input {tensor.name!r} of the model {model!r} must be one array, received a "
                f"{type(given).__name__} that cannot be converted to one ({error})"
            ) from error
        if array.dtype.kind not in ("USOT" if tensor.dtype == "string" else "fiub"):
            wanted = "strings" if tensor.dtype == "string" else "real numbers"
            raise TypeError(
                f"the input {tensor.name!r} of the model {model!r} must hold {wanted}, "
                f"received the dtype {array.dtype}"
            )
        if dtype is not None:
            array = array.astype(dtype, copy=False)
        return self._checked(array, at, model)

    def _checked(self, array: Array, at: int, model: str) -> Array:
        # Lengths may differ where layers allow it, but not the number of features; ids have no
        # features.
        tensor = self.tensors[at]
        ids = self._dtypes[at] is None and tensor.dtype != "string"
        expected = tuple(
            length if axis == tensor.ndim - 1 and not ids else None
            for axis, length in enumerate(tensor.shape)
        )
        if array.ndim == len(expected) + 1 and array.shape[-1] == 1:
            array = array[..., 0]
        elif array.ndim == len(expected) - 1 and tensor.shape[-1] == 1:
            array = array[..., None]
        pairs = zip(array.shape, expected, strict=False)
        if array.ndim != len(expected) or any(want not in (None, have) for have, want in pairs):
            path = ".".join(map(str, flatten_with_path(self.structure)[at][0]))
            raise ValueError(
                f"Invalid input shape for input {at} with name '{tensor.name}' and path '{path}' "
                f"of the model {model!r}: expected shape={tensor.shape}, found shape={array.shape} "
                "(lengths of time may differ)"
            )
        return array


def _flat_shapes(shapes: Any) -> Iterator[Shape]:
    if is_shape(shapes):
        yield tuple(shapes)
        return
    parts = [shapes[key] for key in sorted(shapes)] if isinstance(shapes, dict) else shapes
    for part in parts:
        yield from _flat_shapes(part)


def _is_optional(tensor: SymbolicTensor) -> bool:
    return tensor.node is not None and getattr(tensor.node.layer, "optional", False)
