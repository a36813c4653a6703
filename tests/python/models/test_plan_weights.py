"""Weights of samples, of steps and of classes in plans: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import losses, metrics
from ferrnn._src.training.planning import TrainingPlan
from ferrnn._src.training.steps import Steps
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same, trained
from models.test_plan_classes import CASES, METRICS, ROWS, classifier, inputs, labels

RANDOM = np.random.default_rng(4)
SAMPLES = RANDOM.uniform(0, 3, ROWS).round(2)
SAMPLES[3:11] = 0
WEIGHTS = {
    "samples": SAMPLES,
    "column": SAMPLES[:, None].astype("float32"),
    "whole": np.floor(SAMPLES).astype("int64"),
    "view": np.repeat(SAMPLES, 3)[1::3],
}


ERRORS = [losses.MeanSquaredError, losses.MeanAbsoluteError, losses.Huber, losses.LogCosh]


@pytest.fixture
def planned(monkeypatch):
    """No step is judged in Python, neither in training nor in a look."""
    monkeypatch.setattr(TrainingPlan, "_judged", None)
    monkeypatch.setattr(TrainingPlan, "_judged_in_python", None)
    return monkeypatch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_weighted_crossentropies_train_to_the_same_bits(case, steps, dtype, planned):
    loss, kind, activation = CASES[case]
    y, x = labels(kind, (6,) if steps else ()), inputs(dtype)
    compiled = {"loss": loss, "metrics": ["accuracy"], "weighted_metrics": lambda: both(kind)}

    def both(kind):
        return ["accuracy", METRICS[kind](activation is None)]

    build = classifier(activation, steps=steps, dtype=dtype)
    given = {"sample_weight": SAMPLES, "validation_data": (x, y, SAMPLES[::-1].copy())}
    model = same(build, x, y, planned, compiled=compiled, **given)
    names = model.metrics_names, [metric.name for metric in model.metrics[1].metrics]
    seen = model.evaluate(x, y, sample_weight=SAMPLES, verbose=0, return_dict=True)
    assert seen["accuracy"] != seen["weighted_accuracy"], names


@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight", "sum"])
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("loss", ERRORS)
def test_weighted_errors_train_to_the_same_bits(loss, weight, reduction, planned):
    x, y = data((ROWS, 6, 5), (17,))

    def build():
        return keras.Sequential([keras.Input((6, 5)), LSTM(4), Dense(17)])

    compiled = {
        "loss": lambda: loss(reduction=reduction),
        "metrics": lambda: ["mae", "mse", metrics.LogCoshError(), "RootMeanSquaredError"],
        "weighted_metrics": lambda: [metrics.MeanSquaredError(), "mae", "RootMeanSquaredError"],
    }
    given = {"sample_weight": WEIGHTS[weight]}
    same(build, x, y, planned, compiled=compiled, **given)


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS, 6), (ROWS, 6, 1)])
def test_weights_of_steps_train_to_the_same_bits(shape, planned):
    x, y = data((ROWS, 6, 5), (6, 3))

    def build():
        return keras.Sequential([keras.Input((6, 5)), GRU(4, return_sequences=True), Dense(3)])

    binary = metrics.BinaryAccuracy(threshold=0.4)
    weighed = ["mae", binary, "RootMeanSquaredError"]
    compiled = {"weighted_metrics": lambda: weighed, "metrics": ["mse"]}
    weight, y = RANDOM.uniform(0, 2, shape), (y > 0).astype("float32")
    model = same(build, x, y, planned, compiled=compiled, sample_weight=weight)
    found = model.evaluate(x, y, sample_weight=weight, verbose=0)[-1]
    squares = np.mean((model.predict(x, verbose=0) - y) ** 2, axis=-1)
    each = np.broadcast_to(weight.reshape(ROWS, -1), (ROWS, 6))
    np.testing.assert_allclose(found, np.sqrt(np.average(squares, weights=each)), rtol=1e-5)


@pytest.mark.parametrize("rows", [ROWS, 1500])
def test_targets_of_another_type_are_cast_where_they_are_weighed(rows, planned):
    x, y = data((rows, 6, 5), ())

    def build():
        return keras.Sequential([keras.Input((6, 5)), keras.layers.SimpleRNN(3), Dense(1)])

    compiled = {"loss": "mae", "metrics": ["mae", "mse"], "weighted_metrics": ["mse"]}
    given = {"sample_weight": np.linspace(0, 2, rows), "batch_size": 700, "epochs": 2}
    same(build, x, y.astype("float64"), planned, compiled=compiled, **given)


@pytest.mark.parametrize("case", ["numbers", "one-hot", "logits"])
def test_weights_of_classes_train_to_the_same_bits(case, planned):
    loss, kind, activation = CASES[case]
    compiled = {"loss": loss, "weighted_metrics": ["accuracy"]}
    given = {"class_weight": {0: 0.25, 2: 3.0}, "compiled": compiled}
    same(classifier(activation), inputs(), labels(kind), planned, **given)


def test_outputs_are_weighed_one_by_one(monkeypatch):
    def build():
        x = keras.Input((6, 5))
        read = GRU(4, return_sequences=True)(x)
        return keras.Model(x, [Dense(2, name="a")(LSTM(3)(read)), Dense(3, name="b")(read)])

    compiled = {
        "loss": ["mse", "mae"],
        "loss_weights": [0.7, 1.3],
        "weighted_metrics": [["mae"]] * 2,
    }
    x, a = data((ROWS, 6, 5), (2,))
    b = data((ROWS, 6, 5), (6, 3), seed=1)[1]
    judged, seen = TrainingPlan._judged, []
    monkeypatch.setattr(TrainingPlan, "_judged", lambda *each: seen.append(1) or judged(*each))
    for weight in (SAMPLES, [SAMPLES, RANDOM.uniform(0, 2, (ROWS, 6))], {"b": SAMPLES}):
        del seen[:]
        same(build, x, [a, b], monkeypatch, compiled=compiled, sample_weight=weight)
        assert len(seen) == 1  # the first step, which learns of the outputs


def test_batches_are_weighed_one_by_one(planned):
    x, y = data((ROWS, 6, 5), (3,))
    results = []
    for switch in (True, False):
        model, _ = trained(
            lambda: keras.Sequential([keras.Input((6, 5)), LSTM(4), Dense(3)]),
            x,
            y,
            planned,
            planned=switch,
            compiled={"metrics": ["mae"], "weighted_metrics": ["mae"]},
        )
        told = []
        if switch:
            planned.setattr(Steps, "loss_and_gradients", None)
        for weight in (SAMPLES, SAMPLES[::-1].copy(), None, SAMPLES[:, None]):
            told.append(model.train_on_batch(x, y, weight))
            told.append(model.test_on_batch(x, y, weight))
        planned.undo()
        results.append((told, [weight.tolist() for weight in model.get_weights()]))
    assert results[0] == results[1]


def test_weights_that_no_one_can_spread_are_refused_as_before(monkeypatch):
    x, y = data((ROWS, 6, 5), (3,))
    for switch in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        model = keras.Sequential([keras.Input((6, 5)), LSTM(4), Dense(3)])
        model.compile("sgd", "mse")
        for call in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match=r"`sample_weight` must have one weight"):
                call(x, y, sample_weight=np.ones((ROWS, 2)), verbose=0)
