"""Regularizers and constraints against Keras on JAX."""

from __future__ import annotations

import numpy as np
import pytest

import golden
from each_case import each_case
from ferrnn import Gradients, constraints, regularizers
from ferrnn._src.weights.regularizers import penalty_of


@pytest.mark.parametrize("name", golden.names("regularizers"))
def test_penalties_and_their_gradients_are_those_of_keras(name: str) -> None:
    case = golden.load("regularizers", name)
    regularizer = regularizers.deserialize(case.about["config"])
    penalty, vjp = penalty_of(regularizer, case["x"])
    np.testing.assert_allclose(penalty, case["value"], rtol=1e-7)
    np.testing.assert_allclose(vjp(1.0, Gradients()), case["d_x"], rtol=1e-6, atol=1e-9)
    written = regularizers.serialize(regularizer)["config"]
    assert written == case.about["config"]["config"]


@each_case("name", golden.names("constraints"))
def test_projections_are_those_of_keras(name: str) -> None:
    case = golden.load("constraints", name)
    constraint = constraints.deserialize(case.about["config"])
    np.testing.assert_allclose(constraint(case["w"]), case["projected"], rtol=1e-10)
    assert constraints.serialize(constraint)["config"] == case.about["config"]["config"]
