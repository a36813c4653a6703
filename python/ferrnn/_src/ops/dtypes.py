"""Names of dtypes, and the dtype of results from operands of several dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx

_PYTHON = {bool: "bool", int: "int32", float: "float32", str: "string", "int": "int32"}
_INTEGERS = tuple(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64))
_FLOATS = ("bfloat16", "float16", "float32", "float64")  # each before the dtypes that can hold it
_NAMES = frozenset((*_INTEGERS, *_FLOATS, "bool", "string", "complex64", "complex128"))


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype of NumPy, Python or another framework; the default dtype for None.

    It need not be one that layers compute in.

    >>> standardize_dtype(np.dtype("int8")), standardize_dtype(bool), standardize_dtype(None)
    ('int8', 'bool', 'float32')
    """
    if dtype is None:
        return floatx()
    found = _PYTHON.get(dtype, dtype) if isinstance(dtype, type | str) else dtype
    found = getattr(found, "name", None) or getattr(found, "__name__", None) or found
    name = str(found).removeprefix("torch.")
    if name not in _NAMES:
        raise ValueError(f"Invalid dtype: {dtype!r}. Expected one of {sorted(_NAMES)}")
    return name


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of floats.

    >>> is_float_dtype("float16"), is_float_dtype(int)
    (True, False)
    """
    return standardize_dtype(dtype) in _FLOATS


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of integers, with a sign or without.

    >>> is_int_dtype("uint8"), is_int_dtype(bool)
    (True, False)
    """
    return standardize_dtype(dtype) in _INTEGERS


def result_type(*dtypes: Any) -> str:
    """The dtype of a result from operands of these dtypes, by Keras' rules.

    Integers do not widen floats, and Python's `int` and `float` widen nothing of their kind.

    >>> result_type("int64", "float32"), result_type("int8", int), result_type("int8", float)
    ('float32', 'int8', 'float32')
    """
    if not dtypes:
        return floatx()
    named = [_weak(each) or standardize_dtype(each) for each in dtypes]
    weak = {each for each in named if each in ("int", "float")}
    strong = set(named) - weak
    refused = strong - {"bool", *_INTEGERS, *_FLOATS}
    if refused:
        raise ValueError(f"`dtypes` must be dtypes of real numbers, received {dtypes}")
    floats = strong.intersection(_FLOATS)
    if {"bfloat16", "float16"} <= floats:
        floats.add("float32")
    if floats:
        return max(floats, key=_FLOATS.index)
    bits = floatx().removeprefix("float")
    if "float" in weak:
        return f"float{bits}"
    integers = strong.intersection(_INTEGERS)
    if integers:
        found = np.result_type(*integers).name
        # No integer dtype holds both uint64 and negative numbers.
        return found if found in _INTEGERS else f"float{bits}"
    return f"int{bits}" if weak else "bool"


def _weak(dtype: Any) -> str:
    """The name of Python's `int` or `float`, or None for other dtypes."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", "")
    return name if name in ("int", "float") else ""
