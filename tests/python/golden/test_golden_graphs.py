"""Functional models against Keras, in float32: the loss of fifty steps, weights, the table."""

from __future__ import annotations

import numpy as np
import pytest

import ferrnn
import golden
from each_case import each_case
from graph_models import GRAPHS


def train(name: str) -> tuple[ferrnn.Model, list[float], golden.Case]:
    case = golden.load("graphs", name)
    ferrnn.utils.clear_session()
    model = GRAPHS[name](ferrnn)
    model.set_weights(case.series("weight"))
    inputs, targets = case.series("inputs"), case.series("targets")
    losses = []
    for step in range(len(case["losses"])):
        x, y = [each[step] for each in inputs], [each[step] for each in targets]
        model.reset_metrics()
        logs = model.train_on_batch(x, y if len(y) > 1 else y[0], return_dict=True)
        losses.append(logs["loss"])
    return model, losses, case


@each_case("name", GRAPHS)
def test_fifty_steps_are_those_of_keras(name: str, engine: str) -> None:
    model, losses, case = train(name)
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    for weight, expected in zip(model.get_weights(), case.series("trained"), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
    assert losses[-1] < losses[0], "a loss that does not fall proves nothing"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_table_is_that_of_keras(name: str) -> None:
    model, _, case = train(name)
    lines: list[str] = []
    model.summary(line_length=76, print_fn=lines.append)
    expected = case.about["summary"].rstrip().splitlines()
    found = "\n".join(lines).rstrip().splitlines()
    # The optimizers keep other numbers besides the moments: ours have more digits.
    same = [line for line in found if "Total params" not in line and "Optimizer" not in line]
    assert same == [line for line in expected if "Total" not in line and "Optimizer" not in line]
