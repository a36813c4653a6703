"""Losses of regression and of margins in plans: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import losses, metrics
from ferrnn._src.training.work import measured
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same
from models.test_plan_classes import ROWS, inputs
from models.test_plan_masks import padded, tagger
from models.test_plan_weights import SAMPLES, planned  # noqa: F401 - a fixture

# The loss, its metric, and the activation of outputs that it is for.
CASES = {
    "percentage": (
        losses.MeanAbsolutePercentageError,
        metrics.MeanAbsolutePercentageError,
        None,
    ),
    "logarithmic": (
        losses.MeanSquaredLogarithmicError,
        metrics.MeanSquaredLogarithmicError,
        None,
    ),
    "poisson": (losses.Poisson, metrics.Poisson, "softplus"),
    "divergence": (losses.KLDivergence, metrics.KLDivergence, "softmax"),
    "hinge": (losses.Hinge, metrics.Hinge, "tanh"),
    "squared hinge": (losses.SquaredHinge, metrics.SquaredHinge, "tanh"),
}


def targets(case, shape, dtype):
    random = np.random.default_rng(5)
    if "hinge" in case:
        return random.integers(0, 2, shape).astype(dtype)
    if case == "divergence":
        return random.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(dtype)
    y = random.poisson(2.0, shape) if case == "poisson" else random.normal(size=shape)
    return y.astype(dtype)


@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight", "sum"])
@pytest.mark.parametrize("weight", [None, SAMPLES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_errors_train_to_the_same_bits(case, dtype, weight, reduction, planned):  # noqa: F811
    loss, metric, activation = CASES[case]
    x, y = inputs(dtype), targets(case, (ROWS, 17), dtype)

    def build():
        stack = [keras.Input((6, 5), dtype=dtype), LSTM(4, dtype=dtype)]
        return keras.Sequential([*stack, Dense(17, activation, dtype=dtype)])

    compiled = {
        "loss": lambda: loss(reduction=reduction),
        "metrics": lambda: [metric(), metrics.RootMeanSquaredError()],
        "weighted_metrics": lambda: [metric(), "mae"],
    }
    given = {"sample_weight": weight, "validation_data": (x, y)}
    model = same(build, x, y, planned, compiled=compiled, **given)
    seen = model.evaluate(x, y, batch_size=ROWS, verbose=0, return_dict=True)
    own = metric()
    own.update_state(y.tolist(), model.predict(x, verbose=0).tolist())  # value by value
    assert seen[own.name] == pytest.approx(own.result(), rel=1e-5)


@pytest.mark.parametrize("weight", [None, SAMPLES])
@pytest.mark.parametrize("case", CASES)
def test_masked_errors_train_to_the_same_bits(case, weight, planned):  # noqa: F811
    loss, metric, activation = CASES[case]
    x, y = padded(), targets(case, (ROWS, 6, 3), "float32")
    compiled = {"loss": loss, "metrics": lambda: [metric()], "weighted_metrics": lambda: [metric()]}
    given = {"sample_weight": weight, "validation_data": (x, y)}
    same(tagger(3, activation), x, y, planned, compiled=compiled, **given)


@pytest.mark.parametrize("case", ["hinge", "squared hinge"])
@pytest.mark.parametrize("weight", [None, SAMPLES])
def test_each_batch_says_what_its_labels_are(case, weight, planned):  # noqa: F811
    loss, metric, _ = CASES[case]
    x, y = data((ROWS, 6, 5), (2,))
    y = (y > 0).astype("float32")
    y[10:17] = 2 * y[10:17] - 1  # batches of 8: the first is of 0 and 1, the second is not

    def build():
        return keras.Sequential([keras.Input((6, 5)), GRU(4), Dense(2, "tanh")])

    compiled = {"loss": loss, "metrics": lambda: [metric()]}
    given = {"sample_weight": weight, "shuffle": False}
    model = same(build, x, y, planned, compiled=compiled, **given)
    pred = model.predict(x, verbose=0)
    found = []
    for at in range(0, ROWS, 8):
        true = y[at : at + 8]
        signs = true if (true < 0).any() else 2 * true - 1
        values = np.maximum(1 - signs * pred[at : at + 8], 0) ** (2 if "squared" in case else 1)
        found += values.mean(-1).tolist()
    assert model.evaluate(x, y, batch_size=8, verbose=0)[1] == pytest.approx(np.mean(found))


def test_the_epsilon_is_that_of_the_configuration(planned):  # noqa: F811
    x, y = inputs(), targets("percentage", (ROWS, 3), "float32")
    y[::3] = 0

    def build():
        return keras.Sequential([keras.Input((6, 5)), LSTM(4), Dense(3)])

    before = keras.config.epsilon()
    try:
        seen = []
        for epsilon in (0.5, before):
            keras.config.set_epsilon(epsilon)
            model = same(build, x, y, planned, compiled={"loss": "mape", "optimizer": "sgd"})
            pred = model.predict(x, verbose=0)
            expected = 100 * np.mean(np.abs(pred - y) / np.maximum(np.abs(y), epsilon))
            seen.append(model.evaluate(x, y, batch_size=ROWS, verbose=0))
            assert seen[-1] == pytest.approx(expected, rel=1e-5)
        assert seen[1] > 100 * seen[0]
    finally:
        keras.config.set_epsilon(before)


def test_classes_of_ones_own_are_not_taken_for_those_that_the_engine_knows():
    class Doubled(metrics.MeanSquaredError):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_true, 2 * y_pred, sample_weight)

    class Half(losses.Poisson):
        def pointwise(self, y_true, y_pred):
            return super().pointwise(y_true, y_pred / 2)

    assert measured(Doubled()) is None
    assert Half().measured() is None
    assert losses.Poisson().measured() is not None
