"""Checks of arguments of datasets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.tree.results import Output
from ferrnn._src.tree.tree import map_structure


def checked_size(name: str, size: Any) -> int:
    """A number of elements, at least one.

    >>> checked_size("batch_size", np.int64(3))
    3
    """
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if not whole or size < 1:
        raise ValueError(f"`{name}` must be a positive integer, received {size!r}")
    return int(size)


def element_check(types: Any, shapes: Any, signature: Any) -> Callable[[Any], Any]:
    """A function that casts an element to its dtypes and checks its shapes.

    >>> element_check("float32", (None,), None)(np.arange(2))
    array([0., 1.], dtype=float32)
    """
    if signature is not None:
        if types is not None or shapes is not None:
            raise TypeError(
                "`output_signature` must not be given with `output_types` or `output_shapes`, "
                "which it includes"
            )
        return lambda element: _with_structure(
            lambda spec, leaf: _checked(leaf, spec.dtype, spec.shape), signature, element
        )

    def check(element: Any) -> Any:
        if types is not None:
            element = _with_structure(lambda kind, leaf: _checked(leaf, kind, None), types, element)
        return element if shapes is None else _with_shapes(shapes, element)

    return check


def _with_shapes(shapes: Any, element: Any) -> Any:
    """The element, after checking its shapes; a tuple, or None, in `shapes` is one shape."""
    if isinstance(element, dict):
        return {key: _with_shapes(shapes[key], part) for key, part in element.items()}
    if isinstance(element, tuple):
        pairs = zip(shapes, element, strict=True)
        return tuple(_with_shapes(shape, part) for shape, part in pairs)
    return _checked(element, None, shapes)


def _with_structure(check: Callable[[Any, Any], Any], structure: Any, element: Any) -> Any:
    try:
        return map_structure(check, structure, element)
    except (KeyError, IndexError, AttributeError) as error:
        raise TypeError(
            f"`generator` must yield elements of the structure {structure!r}, received {element!r}"
        ) from error


def _checked(leaf: Any, kind: Any, shape: Any) -> Any:
    array = leaf if kind is None else np.asarray(leaf, _dtype(kind)).view(Output)
    if shape is not None:
        wanted, found = tuple(shape), np.shape(array)
        pairs = zip(wanted, found, strict=False)
        if len(wanted) != len(found) or any(a is not None and a != b for a, b in pairs):
            raise TypeError(
                f"`generator` must yield arrays of the shape {wanted}, received the shape {found}"
            )
    return array


def _dtype(kind: Any) -> Any:
    """The NumPy dtype for a name, or for a dtype of TensorFlow."""
    name = getattr(kind, "as_numpy_dtype", kind)
    return np.str_ if name in ("string", object) else np.dtype(name)
