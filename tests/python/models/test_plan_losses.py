"""Losses of forecasters, ignored labels and sums in plans: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, losses
from ferrnn._src.forecasting.network import make_network
from ferrnn._src.forecasting.quantiles import PROBABILITIES, PinballLoss
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same
from models.test_plan_classes import ROWS, inputs, labels
from models.test_plan_masks import padded, tagger
from models.test_plan_weights import SAMPLES, planned  # noqa: F401 - a fixture

REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight"]


@pytest.mark.parametrize("weight", [None, SAMPLES])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("logits", [False, True])
def test_labels_that_are_ignored_train_to_the_same_bits(logits, reduction, weight, planned):  # noqa: F811
    def loss():
        return losses.SparseCategoricalCrossentropy(logits, ignore_class=-1, reduction=reduction)

    y = labels("numbers", (6,))
    y[:, 2] = y[4] = -1
    compiled = {"loss": loss, "metrics": ["accuracy"]}
    given = {"compiled": compiled, "sample_weight": weight, "validation_data": (inputs(), y)}
    activation = None if logits else "softmax"
    same(tagger(4, activation), padded(), y, planned, **given)

    def build():
        read = LSTM(4, return_sequences=True)
        return keras.Sequential([keras.Input((6, 5)), read, Dense(4, activation)])

    model = same(build, inputs(), y, planned, **given)
    if weight is None and reduction == "sum":
        whole = model.evaluate(inputs(), y, batch_size=ROWS, verbose=0)[0]
        other = losses.SparseCategoricalCrossentropy(logits, reduction=None)
        each = other(np.maximum(y, 0), model.predict(inputs(), verbose=0))
        np.testing.assert_allclose(whole, np.sum(each[y >= 0]), rtol=1e-5)


def test_ignored_labels_neither_count_nor_move():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=2)
    true, pred = labels("numbers"), np.random.default_rng(3).dirichlet(np.ones(4), ROWS)
    value, vjp = loss.forward(true, pred)
    rest = losses.SparseCategoricalCrossentropy()(true[true != 2], pred[true != 2])
    np.testing.assert_allclose(value, rest, rtol=1e-13)
    slopes = vjp(1.0, None)
    assert not slopes[true == 2].any()
    assert slopes[true != 2].any(axis=-1).all()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sums_and_means_differ_by_what_they_are_divided_by(reduction):
    x, y = data((8, 3), (3,), "float64")
    weight = np.linspace(0, 2, 8)
    value, vjp = losses.MeanSquaredError(reduction).forward(y, x, sample_weight=weight)
    total = np.sum(weight * np.mean((x - y) ** 2, axis=-1))
    by = {"sum": 1, "sum_over_batch_size": 8, "mean_with_sample_weight": weight.sum()}[reduction]
    np.testing.assert_allclose(value, total / by, rtol=1e-14)
    slopes = 2 * weight[:, None] * (x - y) / 3 / by
    np.testing.assert_allclose(vjp(1.0, None), slopes, rtol=1e-14)


def forecasts(seed=5, steps=4, dtype="float32"):
    random = np.random.default_rng(seed)
    target = random.normal(size=(ROWS, steps)).astype(dtype)
    counts = (random.uniform(size=(ROWS, steps)) < 0.8).astype(dtype)
    return np.stack([target, counts], axis=-1)


@pytest.mark.parametrize("cell", ["gru", "lstm", "simple_rnn"])
def test_networks_of_forecasters_run_in_the_engine(cell, planned):  # noqa: F811
    def build():
        sizes = (6, 5, 4, 2)
        return make_network(sizes, cell=cell, units=4, layers=2, dropout=0.2, seed=3)

    random = np.random.default_rng(2)
    shapes = [(ROWS, 6, 5), (ROWS, 4, 2), (ROWS, 6)]
    x = [random.normal(size=shape).astype("float32") for shape in shapes]
    y = forecasts()
    given = {"compiled": {"loss": PinballLoss}, "validation_data": (x, y)}
    for weight in (None, SAMPLES):
        model = same(build, x, y, planned, sample_weight=weight, **given)
        assert all(node.back is None for node in model.explain_plan()), model.explain_plan()


@pytest.mark.parametrize("probabilities", [(0.5,), (0.2, 0.7), (0.1, 0.5, 0.9), PROBABILITIES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quantiles_train_to_the_same_bits(dtype, probabilities, planned):  # noqa: F811
    def build():
        stack = [keras.Input((6, 5), dtype=dtype), GRU(4, return_sequences=True, dtype=dtype)]
        stack.append(Dense(len(probabilities), dtype=dtype))
        return keras.Sequential([*stack, layers.Reshape((6, -1), dtype=dtype)])

    x, y = inputs(dtype), forecasts(steps=6, dtype=dtype)
    same(build, x, y, planned, compiled={"loss": lambda: PinballLoss(probabilities)})


@pytest.mark.parametrize("probabilities", [(0.5,), (0.2, 0.7), (0.1, 0.5, 0.9), PROBABILITIES])
def test_the_pinball_loss_is_that_of_its_formula(probabilities):
    loss, true = PinballLoss(probabilities), forecasts(dtype="float64")
    pred = np.random.default_rng(3).normal(size=(ROWS, 4, len(probabilities)))

    def reference(pred):
        return np.mean(loss.pointwise(true, pred)[0])

    value, vjp = loss.forward(true, pred)
    np.testing.assert_allclose(value, reference(pred), rtol=1e-13)
    slopes, tiny = vjp(1.0, None), 1e-6
    for at in np.ndindex(3, 4, len(probabilities)):
        moved = [np.array(pred), np.array(pred)]
        moved[0][at] += tiny
        moved[1][at] -= tiny
        slope = (reference(moved[0]) - reference(moved[1])) / (2 * tiny)
        np.testing.assert_allclose(slopes[at], slope, rtol=1e-6, atol=1e-10)


def test_targets_that_are_no_pairs_are_refused():
    model = keras.Sequential([keras.Input((6, 5)), GRU(4, return_sequences=True), Dense(11)])
    model.compile("sgd", PinballLoss())
    with pytest.raises(ValueError, match="must hold targets and weights"):
        model.fit(inputs(), forecasts(steps=6)[..., :1], verbose=0)
