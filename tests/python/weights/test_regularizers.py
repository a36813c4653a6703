import json

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Gradients, Regularizer, ops, regularizers
from ferrnn._src.weights.regularizers import penalty_of
from ferrnn.regularizers import L1, L1L2, L2, OrthogonalRegularizer
from ferrnn.testing import check_vjp

EACH = [
    L1(0.3),
    L2(0.2),
    L1L2(0.1, 0.7),
    OrthogonalRegularizer(0.4),
    OrthogonalRegularizer(0.4, mode="columns"),
]
each_regularizer = each_case("regularizer", EACH, ids=lambda r: type(r).__name__)


@each_regularizer
def test_gradients_match_finite_differences(regularizer):
    def forward(x):
        penalty, vjp = regularizer.forward(x)
        return np.float64(penalty), lambda d_penalty, grads: vjp(float(d_penalty))

    check_vjp(forward, np.random.default_rng(1).normal(size=(4, 6)))


@each_case("dtype", ["float32", "float64", ">f4", "float16"])
def test_sums_and_slopes_are_those_of_any_array(dtype):
    for count in (0, 1, 7, 8, 9, 130):
        x = np.random.default_rng(count).normal(size=(count, 4)).astype(dtype)[:, 1:3]
        x[count // 2 :, 0] = 0
        wide = x.astype("float64")
        wanted = 0.3 * np.abs(wide).sum() + 0.7 * np.square(wide).sum()
        penalty, vjp = L1L2(0.3, 0.7).forward(x)
        assert penalty == pytest.approx(wanted, rel=1e-13, abs=0)
        d_x = vjp(-2.0)
        assert d_x.dtype == x.dtype
        tiny = max(float(np.finfo(dtype).eps), 1e-13)
        expected = -0.6 * np.sign(wide) - 2.8 * wide
        np.testing.assert_allclose(d_x.astype("float64"), expected, rtol=4 * tiny, atol=tiny)


@each_regularizer
@each_case("dtype", ["float32", "float64"])
def test_gradients_keep_the_dtype(regularizer, dtype):
    x = np.random.default_rng(2).normal(size=(3, 5)).astype(dtype)
    penalty, vjp = penalty_of(regularizer, x)
    assert type(penalty) is float
    assert penalty == pytest.approx(regularizer(x.astype("float64")), rel=1e-6)
    assert vjp(1.0, Gradients()).dtype == dtype
    np.testing.assert_allclose(vjp(2.0, Gradients()), 2 * vjp(1.0, Gradients()), rtol=1e-5)


def test_a_row_of_zeros_has_no_direction_and_one_row_no_pairs():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    penalty, vjp = OrthogonalRegularizer(1.0).forward(x)
    assert penalty == pytest.approx(np.sqrt(0.5) / 3)
    assert np.isfinite(vjp(1.0)).all()
    assert OrthogonalRegularizer(1.0)(np.ones((1, 4))) == 0


@each_regularizer
def test_the_configuration_makes_an_equal_regularizer(regularizer):
    config = regularizers.serialize(regularizer)
    assert config["module"] == "keras.regularizers"
    again = regularizers.deserialize(config)
    assert type(again) is type(regularizer)
    assert regularizers.serialize(again) == config


@pytest.mark.parametrize(
    ("identifier", "kind", "config"),
    [
        ("l1", L1, {"l1": 0.01}),
        ("L2", L2, {"l2": 0.01}),
        ("l1_l2", L1L2, {"l1": 0.0, "l2": 0.0}),
        (OrthogonalRegularizer, OrthogonalRegularizer, {"factor": 0.01, "mode": "rows"}),
        ({"class_name": "l2", "config": {"l2": 0.5}}, L2, {"l2": 0.5}),
    ],
)
def test_regularizers_are_found_by_name_class_and_configuration(identifier, kind, config):
    found = regularizers.get(identifier)
    assert type(found) is kind
    assert found.get_config() == config


def test_what_is_none_or_callable_is_given_back():
    assert regularizers.get(None) is None
    assert regularizers.serialize(None) is None
    own = EACH[0]
    assert regularizers.get(own) is own
    assert regularizers.get(len) is len
    assert regularizers.l1 is regularizers.L1


def test_one_of_your_own_is_serialized():
    class Cubic(Regularizer):
        def forward(self, x):
            return float((np.abs(x) ** 3).sum()), lambda d: d * 3 * x * np.abs(x)

        def get_config(self):
            return {}

    assert Cubic()([1, -2]) == 9
    config = regularizers.serialize(Cubic())
    assert config["registered_name"] == "Cubic"
    found = regularizers.deserialize(config, custom_objects={"Cubic": Cubic})
    assert type(found) is Cubic
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier"):
        regularizers.deserialize(json.loads(json.dumps(config)))


def test_one_of_your_own_may_be_written_as_keras_has_it():
    class Quartic(Regularizer):
        def __call__(self, x):
            return 0.5 * ops.sum(x**4)

    x = np.array([1.0, -2.0])
    for regularizer in (Quartic(), lambda x: ops.sum(x**4) / 2):
        penalty, vjp = penalty_of(regularizer, x)
        assert penalty == 8.5
        np.testing.assert_allclose(vjp(3.0, Gradients()), 6 * x**3)
    penalty, vjp = penalty_of(np.sum, np.ones(2))
    assert penalty == 2
    with pytest.raises(TypeError, match=r"`numpy.sum` would.*use `ops.sum`"):
        vjp(1.0, Gradients())


@each_case("value", [-0.1, float("nan"), float("inf"), "0.1", True])
@each_case(
    ("kind", "argument"),
    [(L1, "l1"), (L2, "l2"), (L1L2, "l2"), (OrthogonalRegularizer, "factor")],
)
def test_bad_factors_are_named(kind, argument, value):
    with pytest.raises(ValueError, match=f"argument {argument}: expected a non-negative float"):
        kind(**{argument: value})


def test_bad_identifiers_modes_and_shapes_are_named():
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier: 'l3'"):
        regularizers.get("l3")
    with pytest.raises(ValueError, match="argument `mode`"):
        OrthogonalRegularizer(mode="both")
    with pytest.raises(ValueError, match="must have rank 2"):
        OrthogonalRegularizer()(np.ones(3))


def test_l1l2_is_a_name_too():
    assert isinstance(regularizers.get("l1l2"), L1L2)
    with pytest.raises(ValueError, match="Received: mode=diagonal"):
        OrthogonalRegularizer(mode="diagonal")
