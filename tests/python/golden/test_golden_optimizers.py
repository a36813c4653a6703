"""Optimizers against Keras: twenty steps on given gradients, in both dtypes; schedules."""

from __future__ import annotations

from typing import Any

import numpy as np

import ferrnn
import golden
from each_case import each_case
from ferrnn import Gradients, Parameter
from ferrnn.optimizers import schedules

TOLERANCE = {"float64": 1e-11, "float32": 2e-5}


def built(about: dict[str, Any]) -> Any:
    options = dict(about["options"])
    rate = options.get("learning_rate")
    if isinstance(rate, list):
        options["learning_rate"] = getattr(schedules, rate[0])(**rate[1])
    return getattr(ferrnn.optimizers, about["optimizer"])(**options)


@each_case("name", golden.names("optimizers"))
def test_weights_and_state_move_as_in_keras(name: str) -> None:
    case = golden.load("optimizers", name)
    optimizer = built(case.about)
    if "spared" in name:
        optimizer.exclude_from_weight_decay(var_names=["v1"])
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
    state = case.series("state")
    names = [variable.path.rpartition("/")[2] for variable in optimizer.variables]
    # Keras gives the product of Nadam's momenta no name of its own.
    known = ["u_product" if name.startswith("variable") else name for name in case.about["names"]]
    assert names == known
    for variable, expected in zip(optimizer.variables, state, strict=True):
        np.testing.assert_allclose(
            variable.value, expected, rtol=tolerance, atol=tolerance, err_msg=variable.path
        )
    if optimizer.use_ema:
        optimizer.finalize_variable_values(parameters)
        for parameter, expected in zip(parameters, case.series("final"), strict=True):
            np.testing.assert_allclose(parameter.value, expected, rtol=tolerance, atol=tolerance)


def same(ours: Any, theirs: Any) -> bool:
    """Equal configurations, names of objects apart; Keras rounds rates to float32."""
    if isinstance(theirs, dict):
        keys = set(theirs) - {"name", "build_config"}
        return all(same(ours[key], theirs[key]) for key in keys)
    if isinstance(theirs, float):
        return abs(ours - theirs) <= 1e-6 * abs(theirs)
    return bool(ours == theirs)


@each_case("name", golden.names("optimizers"))
def test_configurations_are_those_of_keras_and_make_equal_optimizers(name: str) -> None:
    about = golden.load("optimizers", name).about
    optimizer = built(about)
    assert same(ferrnn.optimizers.serialize(optimizer), about["config"])
    again = ferrnn.optimizers.deserialize(about["config"])
    assert type(again) is type(optimizer)
    assert same(again.get_config(), about["config"]["config"])


@each_case("name", golden.names("schedules"))
def test_rates_fall_as_in_keras(name: str) -> None:
    case = golden.load("schedules", name)
    schedule = getattr(schedules, case.about["schedule"])(**case.about["options"])
    steps = np.arange(len(case["rates"]))
    np.testing.assert_allclose(schedule(steps), case["rates"], rtol=1e-9)
    one_by_one = [schedule(step) for step in range(len(steps))]
    assert type(one_by_one[0]) is float
    np.testing.assert_allclose(one_by_one, case["rates"], rtol=1e-9)
    assert same(schedules.serialize(schedule), case.about["config"])
    again = schedules.deserialize(case.about["config"])
    np.testing.assert_array_equal(again(steps), schedule(steps))
