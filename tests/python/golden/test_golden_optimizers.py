"""Optimizers against Keras: twenty steps on given gradients, in both dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import ferrnn
import golden
from ferrnn.core.parameter import Gradients, Parameter

TOLERANCE = {"float64": 1e-11, "float32": 2e-5}


@pytest.mark.parametrize("name", golden.names("optimizers"))
def test_weights_move_as_in_keras(name: str) -> None:
    case = golden.load("optimizers", name)
    optimizer = getattr(ferrnn.optimizers, case.about["optimizer"])(**case.about["options"])
    parameters = [Parameter(v, f"v{i}") for i, v in enumerate(case.series("value"))]
    tolerance = TOLERANCE[case.about["dtype"]]
    for step, gradients in enumerate(zip(*case.series("gradients"), strict=True), start=1):
        grads = Gradients()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            grads.add(parameter, gradient)
        optimizer.apply(grads, parameters)
        for parameter, expected in zip(parameters, case.series(f"after_{step}"), strict=False):
            assert parameter.dtype == expected.dtype
            np.testing.assert_allclose(
                parameter.value, expected, rtol=tolerance, atol=tolerance, err_msg=f"step {step}"
            )
