"""Recurrent layers against Keras on JAX: outputs, states and every gradient, both engines."""

from __future__ import annotations

from typing import Any

import numpy as np

import ferrnn
import golden
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.sequence import fused

# Of sums of some hundred products: absolute beside entries near zero.
TOLERANCE = {"float64": {"rtol": 1e-9, "atol": 1e-11}, "float32": {"rtol": 2e-4, "atol": 2e-5}}
STATEFUL = [name for name in golden.names("recurrent") if name.endswith("-stateful")]
RECURRENT = [name for name in golden.names("recurrent") if not name.endswith("-stateful")]


def _check(layer: Any, case: golden.Case, with_state: bool) -> None:
    """Compares results and gradients of the built layer with the case's."""
    inputs, dtype = case["inputs"], case.about["dtype"]
    tolerance: Any = TOLERANCE[dtype]
    layer.build(inputs.shape)
    layer.set_weights(case.series("weight"))
    states = case.series("state")
    call = Call(differentiable=True, mask=case.get("mask"))
    given = (inputs, *states) if with_state else inputs
    results, vjp = layer.forward(given, call)
    flat = [np.asarray(r) for r in _flatten(results)]
    expected = case.series("result")
    assert len(flat) == len(expected) >= 2
    for index, (found, wanted) in enumerate(zip(flat, expected, strict=True)):
        assert found.dtype == wanted.dtype == np.dtype(dtype)
        np.testing.assert_allclose(found, wanted, err_msg=f"result {index}", **tolerance)

    grads = Gradients()
    d_given = vjp(_packed_as(results, case.series("d_result")), grads)
    d_inputs, d_states = (d_given[0], d_given[1:]) if with_state else (d_given, ())
    np.testing.assert_allclose(d_inputs, case["d_inputs"], err_msg="d_inputs", **tolerance)
    for parameter, wanted in zip(layer.weights, case.series("d_weight"), strict=True):
        np.testing.assert_allclose(
            grads[parameter], wanted, err_msg=f"d_{parameter.name}", **tolerance
        )
    for index, (found, wanted) in enumerate(zip(d_states, case.series("d_state"), strict=True)):
        np.testing.assert_allclose(found, wanted, err_msg=f"d_state {index}", **tolerance)

    again = layer(
        inputs, initial_state=_nested(layer, states) if with_state else None, mask=case.get("mask")
    )
    for found, wanted in zip(_flatten(again), flat, strict=True):
        np.testing.assert_array_equal(found, wanted)  # without residuals, the same bits


def _flatten(structure: Any) -> list[Any]:
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in _flatten(part)]
    return [structure]


def _packed_as(structure: Any, leaves: list[Any]) -> Any:
    """`leaves` in the nesting of `structure`."""
    iterator = iter(leaves)

    def place(part: Any) -> Any:
        return type(part)(map(place, part)) if isinstance(part, list | tuple) else next(iterator)

    return place(structure)


def _nested(layer: Any, states: list[Any]) -> Any:
    return _packed_as(layer.get_initial_state(len(states[0])), states)


@each_case("name", RECURRENT)
def test_results_and_gradients_are_those_of_keras(name: str, engine: str) -> None:
    case = golden.load("recurrent", name)
    about = case.about
    kind = getattr(ferrnn.layers, about["layer"])
    layer = kind(about["units"], return_state=True, dtype=about["dtype"], **about["options"])
    assert fused.supports(layer.cell) == (engine == "fused")
    _check(layer, case, with_state=bool(case.series("state")))


@each_case("name", golden.names("stacked"))
def test_stacks_are_those_of_keras(name: str, engine: str) -> None:
    case = golden.load("stacked", name)
    cells = [
        getattr(ferrnn.layers, kind)(units, dtype="float64", **options)
        for kind, units, options in case.about["cells"]
    ]
    stack = ferrnn.layers.StackedRNNCells(cells, dtype="float64")
    layer = ferrnn.layers.RNN(stack, return_state=True, dtype="float64", **case.about["options"])
    assert fused.supports(layer.cell) == (engine == "fused")
    _check(layer, case, with_state=True)


@each_case("name", STATEFUL)
def test_a_stateful_layer_goes_on_where_it_stopped(name: str, engine: str) -> None:
    case = golden.load("recurrent", name)
    about = case.about
    kind = getattr(ferrnn.layers, about["layer"])
    layer = kind(about["units"], return_state=True, dtype="float64", **about["options"])
    layer.build(case["inputs_0"].shape)
    layer.set_weights(case.series("weight"))
    for index, inputs in enumerate(case.series("inputs")):
        if index == 2:
            layer.reset_state()
        results = layer(inputs)
        expected = case.series(f"result_{index}")
        assert len(results) == len(expected) >= 2
        for found, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)
