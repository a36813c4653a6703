"""What the steps of datasets are told, checked."""

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
                "give `output_signature`, or `output_types` and `output_shapes`: it holds both"
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
    """The element, each array of the shape at its place: a shape is a tuple, or None, itself."""
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
            f"`generator` gave an element of another structure than was told: {element!r} is not "
            f"one of {structure!r}"
        ) from error


def _checked(leaf: Any, kind: Any, shape: Any) -> Any:
    array = leaf if kind is None else np.asarray(leaf, _dtype(kind)).view(Output)
    if shape is not None:
        wanted, found = tuple(shape), np.shape(array)
        pairs = zip(wanted, found, strict=False)
        if len(wanted) != len(found) or any(a is not None and a != b for a, b in pairs):
            raise TypeError(
                f"`generator` gave an array of the shape {found} where the shape {wanted} was told"
            )
    return array


def _dtype(kind: Any) -> Any:
    """A dtype of NumPy for its name, or for TensorFlow's, which has one."""
    name = getattr(kind, "as_numpy_dtype", kind)
    return np.str_ if name in ("string", object) else np.dtype(name)
