"""Dtypes by name, as `backend` and `utils` tell of them."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import backend, config, utils

# By Keras 3.15.1, its table that halves 64 bits on JAX switched off.
RESULTS = [
    (("uint8", "int8"), "int16"),
    (("uint32", "int8"), "int64"),
    (("uint64", "int64"), "float32"),
    (("uint64", "bool"), "uint64"),
    (("int64", "float32"), "float32"),
    (("int64", "float16"), "float16"),
    (("bfloat16", "float16"), "float32"),
    (("bfloat16", "int32"), "bfloat16"),
    (("float32", "float64", "uint64"), "float64"),
    (("int8", int), "int8"),
    (("int8", float), "float32"),
    (("float16", float), "float16"),
    (("bool", int), "int32"),
    (("bool", "bool"), "bool"),
    ((int, float), "float32"),
    ((None, "float16"), "float32"),
    ((np.dtype("float64"), np.float32), "float64"),
    ((), "float32"),
]


@each_case(("dtypes", "expected"), RESULTS)
def test_operands_of_several_dtypes_give_what_keras_gives(dtypes, expected):
    assert backend.result_type(*dtypes) == expected
    assert backend.result_type(*reversed(dtypes)) == expected


def test_numbers_of_python_follow_the_default_dtype():
    config.set_floatx("float64")
    found = [backend.result_type(*each) for each in ((int, float), ("bool", int), ("int8", float))]
    assert found == ["float64", "int64", "float64"]


def test_names_of_dtypes():
    class OfTorch:
        def __str__(self):
            return "torch.int16"

    given = [np.int8, np.dtype("uint16"), bool, int, float, str, "bfloat16", OfTorch(), None]
    names = ["int8", "uint16", "bool", "int32", "float32", "string", "bfloat16", "int16", "float32"]
    assert [utils.standardize_dtype(each) for each in given] == names
    assert [backend.is_float_dtype(each) for each in ("float16", "int8", bool)] == [1, 0, 0]
    assert [backend.is_int_dtype(each) for each in ("float16", "uint8", bool)] == [0, 1, 0]
    for wrong in ("float", "float12", 3):
        with pytest.raises(ValueError, match=f"Invalid dtype: {wrong!r}"):
            utils.standardize_dtype(wrong)
    with pytest.raises(ValueError, match="must be dtypes of real numbers"):
        backend.result_type("complex64", "float32")
