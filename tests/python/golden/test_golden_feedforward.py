"""The layers that are not recurrent against Keras on JAX: outputs, masks, gradients, settings."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

import ferrnn
import golden
from each_case import each_case
from ferrnn import Call, Gradients

TOLERANCE = {"float64": {"rtol": 1e-9, "atol": 1e-11}, "float32": {"rtol": 1e-4, "atol": 1e-5}}
# JAX takes the softmax of its fused attention in float32, whatever the dtype.
FUSED = {"rtol": 1e-5, "atol": 3e-6}
# Settings of Keras that say nothing here.
LEFT_OUT = {"quantization_config"}
each_golden = each_case(
    ("table", "name"),
    [(table, name) for table in ("feedforward", "frames") for name in golden.names(table)],
)


def made(case: golden.Case) -> Any:
    kind = getattr(ferrnn.layers, case.about["layer"])
    layer = kind(**case.about["options"], dtype=case.about["dtype"])
    shapes = [tuple(shape) for shape in case.about["shapes"]]
    if case.about["spread"]:
        layer.build(*shapes)
    else:
        layer.build(shapes[0] if len(shapes) == 1 else shapes)
    layer.set_weights(case.series("weight"))
    return layer


def tolerance_of(case: golden.Case) -> dict[str, float]:
    fused = case.about["layer"] == "MultiHeadAttention" and not case.series("result")[1:]
    if fused and case.about["dtype"] == "float64":
        return FUSED
    return TOLERANCE[case.about["dtype"]]


def structured(values: list[Any]) -> Any:
    """What a layer takes: an array, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


def masks_of(case: golden.Case) -> Any:
    masks = [case.get(f"mask_{index}") for index in range(len(case.about["shapes"]))]
    return None if all(mask is None for mask in masks) else structured(masks)


@each_golden
def test_outputs_and_gradients_are_those_of_keras(table: str, name: str) -> None:
    case = golden.load(table, name)
    tolerance: Any = tolerance_of(case)
    layer, inputs = made(case), case.series("inputs")
    inputs = inputs if case.about["spread"] else [structured(inputs)]
    inputs = layer.gather(*inputs, **case.about["call"])
    mask = masks_of(case)
    call = Call(training=case.about["training"], differentiable=True, mask=mask)
    outputs, vjp = layer.forward(inputs, call)
    for received, wanted in zip(listed(outputs), case.series("result"), strict=True):
        np.testing.assert_allclose(received, wanted, **tolerance)
    for index, wanted in enumerate(case.series("after")):
        moving = layer.non_trainable_weights[index]
        np.testing.assert_allclose(moving.value, wanted, err_msg=moving.name, **tolerance)
    wanted = case.get("out_mask")
    received = None
    if layer.supports_masking:
        received = layer.compute_mask(layer.main_input(inputs), mask)
    if wanted is None:
        assert received is None
    else:
        np.testing.assert_array_equal(received, wanted)
    grads = Gradients()
    d_inputs = listed(layer.main_input(vjp(structured(case.series("d_result")), grads)))
    d_inputs = [] if case.about["ids"] else d_inputs
    for received, wanted in zip(d_inputs, case.series("d_inputs"), strict=True):
        np.testing.assert_allclose(received, wanted, err_msg="d_inputs", **tolerance)
    for parameter, wanted in zip(layer.trainable_weights, case.series("d_weight"), strict=True):
        np.testing.assert_allclose(
            grads[parameter], wanted, err_msg=f"d_{parameter.name}", **tolerance
        )


@each_golden
def test_outputs_of_a_plain_call_are_those_of_keras(table: str, name: str) -> None:
    case = golden.load(table, name)
    tolerance: Any = tolerance_of(case)
    layer, inputs = made(case), case.series("inputs")
    inputs = inputs if case.about["spread"] else [inputs[0] if len(inputs) == 1 else inputs]
    mask = masks_of(case)
    options = case.about["call"] | ({"training": True} if case.about["training"] else {})
    if mask is not None and not case.about["spread"]:
        options |= {"mask": list(mask) if type(mask) is tuple else mask}
    elif mask is not None:
        names = ("query_mask", "value_mask", "key_mask")
        options |= dict(zip(names, mask, strict=False))
    outputs = layer(*inputs, **options)
    for received, wanted in zip(listed(outputs), case.series("result"), strict=True):
        np.testing.assert_allclose(np.asarray(received), wanted, **tolerance)


@each_golden
def test_names_shapes_and_settings_are_those_of_keras(table: str, name: str) -> None:
    case = golden.load(table, name)
    kind = getattr(ferrnn.layers, case.about["layer"])
    assert re.sub(r"_\d+$", "", kind(**case.about["options"]).name) == case.about["default_name"]
    layer = made(case)
    shapes = [(None, *shape[1:]) for shape in case.about["shapes"]]
    if case.about["spread"]:
        shape = layer.compute_output_shape(*shapes)
    else:
        shape = layer.compute_output_shape(structured(shapes))
    wanted = case.about["output_shape"]
    assert len(shape) == len(wanted)
    # None for a length that the equation of EinsumDense tells.
    assert all(want in (None, have) for want, have in zip(wanted, shape, strict=True))
    for weight, path in zip(layer.weights, case.about["paths"], strict=True):
        assert weight.path.partition("/")[2] == path.partition("/")[2]
    config = layer.get_config()
    for key, value in case.about["config"].items():
        if key in LEFT_OUT:
            continue
        assert key in config
        if value != "...":
            assert json.loads(json.dumps(config[key])) == value, key
    again = kind.from_config(config)
    assert again.get_config() == config
