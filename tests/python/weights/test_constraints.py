import numpy as np
import pytest

from each_case import each_case
from ferrnn import Constraint, constraints
from ferrnn.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm

EACH = [MaxNorm(1.5, axis=1), NonNeg(), UnitNorm(), MinMaxNorm(0.5, 1.0, 0.5, [0, 1])]
each_constraint = each_case("constraint", EACH, ids=lambda c: type(c).__name__)


def weight(dtype="float64"):
    scales = [3, 1, 0.1, 0.01]
    return (np.random.default_rng(1).normal(size=(5, 4)) * scales).astype(dtype)


def norms(w, axis):
    return np.sqrt(np.square(w).sum(axis=axis))


def test_norms_are_bounded_along_the_axis():
    w = weight()
    np.testing.assert_allclose(norms(UnitNorm()(w), 0), 1, rtol=1e-4)
    np.testing.assert_allclose(norms(UnitNorm(1)(w), 1), 1, rtol=1e-4)
    assert norms(w, 0).max() > 1
    assert norms(MaxNorm(1)(w), 0).max() <= 1
    np.testing.assert_allclose(MaxNorm(1)(w)[:, 2:], w[:, 2:], rtol=1e-4)
    bounded = norms(MinMaxNorm(0.2, 1.0)(w), 0)
    assert bounded.max() <= 1
    assert bounded.min() > 0.19
    halfway = norms(MinMaxNorm(0.0, 1.0, rate=0.5)(w), 0)
    np.testing.assert_allclose(halfway[0], (norms(w, 0)[0] + 1) / 2, rtol=1e-6)
    assert NonNeg()(w).min() == 0


@each_constraint
@each_case("dtype", ["float32", "float64"])
def test_a_projection_keeps_dtype_shape_and_the_given_array(constraint, dtype):
    w = weight(dtype)
    w.flags.writeable = False
    projected = constraint(w)
    assert projected.dtype == dtype
    assert projected.shape == w.shape
    assert not np.array_equal(projected, w)
    np.testing.assert_array_equal(constraint(np.zeros_like(w)), np.zeros_like(w))


@each_constraint
def test_the_configuration_makes_an_equal_constraint(constraint):
    config = constraints.serialize(constraint)
    assert config["module"] == "keras.constraints"
    again = constraints.deserialize(config)
    assert type(again) is type(constraint)
    np.testing.assert_array_equal(again(weight()), constraint(weight()))


def test_constraints_are_found_by_name_class_and_configuration():
    assert type(constraints.get("max_norm")) is MaxNorm
    assert type(constraints.get("MinMaxNorm")) is MinMaxNorm
    assert type(constraints.get(UnitNorm)) is UnitNorm
    found = constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 1}})
    assert (found.max_value, found.axis) == (3, 1)
    assert constraints.get(None) is None
    assert constraints.get(abs) is abs
    assert constraints.non_neg is constraints.NonNeg
    with pytest.raises(ValueError, match="Could not interpret constraint identifier: 'norm'"):
        constraints.get("norm")


def test_one_of_your_own_is_a_subclass_or_a_function():
    class Rounded(Constraint):
        def __call__(self, w):
            return np.round(w)

    config = constraints.serialize(Rounded())
    found = constraints.deserialize(config, custom_objects={"Rounded": Rounded})
    assert found(np.array([0.6])).tolist() == [1.0]
    assert constraints.serialize(np.sort)["config"] == "sort"
    assert Constraint()([1.0, -2.0]).tolist() == [1.0, -2.0]
