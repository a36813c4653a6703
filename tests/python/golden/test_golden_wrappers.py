"""Layers around layers, and ConvLSTM1D, against Keras on JAX: results and every gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ferrnn
import golden
from each_case import each_case
from ferrnn import Call, Gradients
from specs import build

TOLERANCE: Any = {"rtol": 1e-9, "atol": 1e-11}
NAMES = golden.names("wrappers")


@pytest.fixture(autouse=True)
def _doubles() -> Any:
    ferrnn.config.set_floatx("float64")
    yield
    ferrnn.config.set_floatx("float32")


@each_case("name", NAMES)
def test_results_and_gradients_are_those_of_keras(name: str, engine: str) -> None:
    case = golden.load("wrappers", name)
    layer = build(ferrnn.layers, case.about["layer"])
    inputs, mask, states = case["inputs"], case.get("mask"), case.series("state")
    layer.build(inputs.shape)
    layer.set_weights(case.series("weight"))
    given = (inputs, *states) if states else inputs
    results, vjp = layer.forward(given, Call(differentiable=True, mask=mask))
    found = _flatten(results)
    for each, wanted in zip(found, case.series("result"), strict=True):
        assert each.dtype == np.float64
        np.testing.assert_allclose(each, wanted, **TOLERANCE)
    grads = Gradients()
    d_given = vjp(_packed_as(results, case.series("d_result")), grads)
    d_inputs, d_states = (d_given[0], d_given[1:]) if states else (d_given, ())
    np.testing.assert_allclose(d_inputs, case["d_inputs"], err_msg="d_inputs", **TOLERANCE)
    for weight, wanted in zip(layer.weights, case.series("d_weight"), strict=True):
        np.testing.assert_allclose(grads[weight], wanted, err_msg=weight.path, **TOLERANCE)
    for each, wanted in zip(d_states, case.series("d_state"), strict=True):
        np.testing.assert_allclose(each, wanted, err_msg="d_state", **TOLERANCE)
    options = {"initial_state": states} if states else {}
    for each, wanted in zip(_flatten(layer(inputs, mask=mask, **options)), found, strict=True):
        np.testing.assert_array_equal(each, wanted)


@each_case("name", NAMES)
def test_paths_shapes_and_configurations_are_those_of_keras(name: str) -> None:
    case = golden.load("wrappers", name)
    layer = build(ferrnn.layers, case.about["layer"])
    layer.build(case["inputs"].shape)
    assert [_unnumbered(w.path) for w in layer.weights] == [
        _unnumbered(path) for path in case.about["paths"]
    ]
    shape = layer.compute_output_shape((None, *case["inputs"].shape[1:]))
    assert _lists(shape) == case.about["output_shape"]
    _same(layer.get_config(), case.about["config"])
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def _same(found: Any, wanted: Any) -> None:
    """Every setting that Keras writes is there, with the same value."""
    for key, value in wanted.items():
        if key == "name":
            assert _unnumbered(found[key]) == _unnumbered(value)
        elif key == "quantization_config":
            assert value is None
        elif key == "dtype":
            assert found[key] == value["config"]["name"]
        elif isinstance(value, dict) and key in ("layer", "backward_layer", "cell"):
            assert found[key]["class_name"] == value["class_name"]
            _same(found[key]["config"], value["config"])
        elif isinstance(value, dict):
            assert found[key]["class_name"] == value["class_name"], key
        elif key == "cells":
            for one, two in zip(found[key], value, strict=True):
                _same(one["config"], two["config"])
        else:
            assert _lists(found[key]) == value, key


def _unnumbered(path: str) -> str:
    """A path without the numbers that count names in a session."""
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in path.split("/"))


def _lists(value: Any) -> Any:
    return [_lists(part) for part in value] if isinstance(value, list | tuple) else value


def _flatten(structure: Any) -> list[Any]:
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in _flatten(part)]
    return [np.asarray(structure)]


def _packed_as(structure: Any, leaves: list[Any]) -> Any:
    """`leaves` in the nesting of `structure`."""
    iterator = iter(leaves)

    def place(part: Any) -> Any:
        return type(part)(map(place, part)) if isinstance(part, list | tuple) else next(iterator)

    return place(structure)
