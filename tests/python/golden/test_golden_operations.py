"""Operations against Keras: values, shapes and dtypes."""

from __future__ import annotations

import numpy as np

import golden
from each_case import each_case
from ferrnn import ops
from operation_tables import BINARY, NOT_ON_JAX, UNARY, leaves, other_cases

FUNCTIONS = {
    **{name: getattr(ops, name) for name, *_ in UNARY},
    **{f"pair-{name}": getattr(ops, name) for name in BINARY},
    **{f"other-{name}": function for name, function, _ in other_cases(ops)},
}


@each_case("name", golden.names("operations"))
def test_values_are_those_of_keras(name: str) -> None:
    case = golden.load("operations", name)
    outputs = leaves(FUNCTIONS[name](*case.series("input")))
    expected = case.series("output")
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        # With float64 allowed, as in the files, Keras' class numbers make its losses float64.
        assert output.dtype in (wanted.dtype, np.float32)
        assert output.shape == wanted.shape
        np.testing.assert_allclose(output, wanted, rtol=2e-5, atol=2e-6)


def test_every_operation_was_run() -> None:
    left_out = {f"other-{name}" for name in NOT_ON_JAX}
    assert set(golden.names("operations")) == FUNCTIONS.keys() - left_out
