"""Outputs that come with a mask, in plans: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import losses, metrics
from ferrnn.layers import GRU, LSTM, Bidirectional, Dense, Embedding, Masking, TimeDistributed
from models.planned import same
from models.test_plan_classes import CASES, METRICS, ROWS, labels
from models.test_plan_weights import ERRORS, SAMPLES, planned  # noqa: F401 - a fixture


def padded(dtype="float32", seed=0):
    """Sequences with steps that do not count, one of them with no other."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(ROWS, 6, 5)).astype(dtype)
    for row, length in enumerate(random.integers(1, 7, ROWS)):
        x[row, length:] = 0.5
    x[4] = 0.5
    return x


def tagger(units, activation=None, dtype="float32"):
    def build():
        stack = [keras.Input((6, 5), dtype=dtype), Masking(0.5, dtype=dtype)]
        stack += [LSTM(4, return_sequences=True, dtype=dtype)]
        return keras.Sequential([*stack, Dense(units, activation, dtype=dtype)])

    return build


@pytest.mark.parametrize("weight", [None, SAMPLES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_masked_crossentropies_train_to_the_same_bits(case, dtype, weight, planned):  # noqa: F811
    loss, kind, activation = CASES[case]

    def chosen():
        return ["accuracy", METRICS[kind](activation is None)]

    x, y = padded(dtype), labels(kind, (6,))
    compiled = {"loss": loss, "metrics": chosen, "weighted_metrics": chosen}
    given = {"sample_weight": weight, "validation_data": (x, y)}
    same(tagger(4, activation, dtype), x, y, planned, compiled=compiled, **given)


@pytest.mark.parametrize("target", ["float64", "int64", "column"])
@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight", "sum"])
@pytest.mark.parametrize("loss", ERRORS)
def test_masked_errors_train_to_the_same_bits(loss, reduction, target, planned):  # noqa: F811
    y = 3 * np.random.default_rng(2).normal(size=(ROWS, 6))
    y = y[..., None].astype("float32") if target == "column" else y.astype(target)
    compiled = {
        "loss": lambda: loss(reduction=reduction),
        "metrics": ["mae", "mse", "RootMeanSquaredError"],
        "weighted_metrics": lambda: [metrics.MeanAbsoluteError(), "RootMeanSquaredError"],
    }
    weight = np.random.default_rng(3).uniform(0, 2, (ROWS, 6))
    for given in ({}, {"sample_weight": weight}):
        same(tagger(1), padded(), y, planned, compiled=compiled, **given)


def test_words_are_tagged_to_the_same_bits(planned):  # noqa: F811
    def build():
        read = Bidirectional(GRU(4, return_sequences=True))
        stack = [keras.Input((None,), dtype="int32"), Embedding(11, 5, mask_zero=True), read]
        return keras.Sequential([*stack, TimeDistributed(Dense(3)), keras.layers.Dropout(0.2)])

    random = np.random.default_rng(3)
    words = random.integers(1, 11, (ROWS, 7)) * (np.arange(7) < random.integers(1, 8, (ROWS, 1)))
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    compiled = {"loss": lambda: loss, "metrics": ["accuracy"]}
    y = random.integers(0, 3, (ROWS, 7))
    model = same(build, words, y, planned, compiled=compiled, validation_data=(words, y))
    # What stands at padded steps does not count.
    told = model.evaluate(words, y, verbose=0)
    assert told == model.evaluate(words, np.where(words, y, 2), verbose=0)
    assert told != model.evaluate(words, np.where(words, 2, y), verbose=0)


def test_masked_outputs_beside_others_train_to_the_same_bits(monkeypatch):
    def build():
        x = keras.Input((6, 5))
        read = GRU(4, return_sequences=True)(Masking(0.5)(x))
        steps = Dense(3, "softmax", name="steps")(read)
        return keras.Model(x, [Dense(1, "sigmoid", name="last")(LSTM(3)(read)), steps])

    compiled = {
        "loss": ["binary_crossentropy", "sparse_categorical_crossentropy"],
        "loss_weights": [0.7, 1.3],
        "metrics": [["accuracy"], ["accuracy"]],
        "weighted_metrics": [["accuracy"], ["accuracy"]],
    }
    y = [labels("binary", classes=1), labels("numbers", (6,), 3)]
    for weight in (None, SAMPLES):
        same(build, padded(), y, monkeypatch, compiled=compiled, sample_weight=weight)
