"""Losses whose mean the engine computes: what the long way, value by value, gives."""

from functools import partial

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Gradients
from ferrnn._src.training import losses

SHORT = [
    losses.MeanSquaredError,
    losses.MeanAbsoluteError,
    partial(losses.Huber, 0.75),
    losses.LogCosh,
    losses.MeanAbsolutePercentageError,
    losses.MeanSquaredLogarithmicError,
    losses.Poisson,
    losses.KLDivergence,
    losses.Hinge,
    losses.SquaredHinge,
]


@each_case("kind", SHORT)
@each_case("dtype", [np.float32, np.float64])
@each_case("shape", [(5, 1), (3, 4, 2), (7,)])
def test_the_short_way_gives_what_the_long_one_gives(kind, dtype, shape):
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.standard_normal((2, *shape)).astype(dtype)
    if kind is losses.Poisson:  # of the logarithm of predictions
        y_pred = np.abs(y_pred)

    class Long(type(kind())):
        def pointwise(self, y_true, y_pred):
            return super().pointwise(y_true, y_pred)

    assert kind().unweighted_mean(y_true, y_pred) is not None
    tolerance = 1e-6 if dtype is np.float32 else 1e-14
    weights = [None] if len(shape) == 1 else [None, rng.uniform(size=shape[:-1])]
    for reduction in ("mean", "mean_with_sample_weight"):
        for weight in weights:
            ways = kind(reduction=reduction), kind(reduction=reduction)
            ways[0].__class__ = Long
            (long, long_vjp), (short, short_vjp) = (
                way.forward(y_true, y_pred, sample_weight=weight) for way in ways
            )
            np.testing.assert_allclose(short, long, rtol=tolerance)
            for d_loss in (1.0, -0.5):
                found, wanted = short_vjp(d_loss, Gradients()), long_vjp(d_loss, Gradients())
                assert found.dtype == dtype
                assert found.shape == shape
                np.testing.assert_allclose(found, wanted, rtol=tolerance)


@pytest.mark.parametrize("kind", SHORT)
def test_targets_are_cast_and_aligned_on_the_short_way(kind):
    y_true, y_pred = np.array([1, 4, -2]), np.array([[0.5], [1.5], [2.0]], "float32")
    expected = kind().forward(y_true[:, None].astype("float32"), y_pred)
    for given in (y_true, y_true[:, None], y_true.astype("float64")):
        assert kind().unweighted_mean(given, y_pred) is not None
        found = kind().forward(given, y_pred)
        assert found[0] == expected[0]
        assert found[1](1.0, Gradients()).tolist() == expected[1](1.0, Gradients()).tolist()


@pytest.mark.parametrize("kind", SHORT)
def test_arrays_laid_out_in_any_way_take_the_short_way(kind):
    y_true, y_pred = np.random.default_rng(3).uniform(size=(2, 6, 4))
    expected = kind().forward(y_true.T.copy(), y_pred.T.copy())
    found = kind().forward(y_true.T, y_pred.T)
    assert found[0] == expected[0]
    assert found[1](1.0, Gradients()).tolist() == expected[1](1.0, Gradients()).tolist()


@pytest.mark.parametrize("kind", [losses.Hinge, losses.SquaredHinge])
@pytest.mark.parametrize("labels", [[[0, 1], [1, 1]], [[0, 1], [-1, 1]], [[0, 1], [0.5, 1]]])
@pytest.mark.parametrize("weight", [None, [0.5, 2.0]])
def test_labels_are_0_and_1_if_all_of_a_batch_are(kind, labels, weight):
    y_true, y_pred = np.array(labels, "float64"), np.array([[0.25, -0.5], [0.75, 3.0]])
    signs = 2 * y_true - 1 if set(y_true.ravel()) <= {0, 1} else y_true
    values = np.maximum(1 - signs * y_pred, 0) ** (1 if kind is losses.Hinge else 2)
    expected = np.mean(values.mean(-1) * (1 if weight is None else np.array(weight)))
    found, _ = kind().forward(y_true, y_pred, sample_weight=weight)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_formula_or_dtype_of_ones_own_takes_the_long_way():
    class Fourth(losses.MeanSquaredError):
        def pointwise(self, y_true, y_pred):
            error = y_pred - y_true
            return (error**4).mean(-1), lambda d: d[..., None] * 4 * error**3 / error.shape[-1]

    class Called(losses.MeanAbsoluteError):
        def call(self, y_true, y_pred):
            return (y_pred - y_true).sum(-1)

    y_true, y_pred = np.zeros((2, 1)), np.full((2, 1), 2.0)
    assert Fourth().forward(y_true, y_pred)[0] == 16.0
    assert Called().unweighted_mean(y_true, y_pred) is None
    assert losses.MeanSquaredError(dtype="float32").unweighted_mean(y_true, y_pred) is None
    assert losses.MeanSquaredError("sum").forward(y_true, y_pred)[0] == 8.0
