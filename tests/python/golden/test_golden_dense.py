"""Dense against Keras on JAX, with every activation: outputs and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

import ferrnn
import golden
from each_case import each_case
from ferrnn import Call, Gradients

TOLERANCE = {"float64": {"rtol": 1e-10, "atol": 1e-12}, "float32": {"rtol": 1e-4, "atol": 1e-5}}


@each_case("name", golden.names("dense"))
def test_outputs_and_gradients_are_those_of_keras(name: str) -> None:
    case = golden.load("dense", name)
    tolerance: Any = TOLERANCE[case.about["dtype"]]
    inputs = case["inputs"]
    layer = ferrnn.layers.Dense(
        case.about["units"], dtype=case.about["dtype"], **case.about["options"]
    )
    layer.build(inputs.shape)
    layer.set_weights(case.series("weight"))
    outputs, vjp = layer.forward(inputs, Call(differentiable=True))
    assert vjp is not None
    np.testing.assert_allclose(outputs, case["result_0"], **tolerance)
    np.testing.assert_array_equal(layer(inputs), outputs)
    grads = Gradients()
    np.testing.assert_allclose(vjp(case["d_result_0"], grads), case["d_inputs"], **tolerance)
    for parameter, wanted in zip(layer.weights, case.series("d_weight"), strict=True):
        np.testing.assert_allclose(
            grads[parameter], wanted, err_msg=f"d_{parameter.name}", **tolerance
        )
