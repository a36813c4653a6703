"""Crossentropies and accuracies in plans: one definition, in the engine, for all ways to train."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import losses
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import same

ROWS = 29


def labels(kind, steps=(), classes=4, seed=1):
    random = np.random.default_rng(seed)
    if kind == "binary":
        return random.integers(0, 2, (ROWS, *steps, classes))
    if kind == "soft":
        return random.dirichlet(np.ones(classes), (ROWS, *steps)).astype("float32")
    numbers = random.integers(0, classes, (ROWS, *steps))
    return np.eye(classes)[numbers] if kind == "one-hot" else numbers


def classifier(activation, units=4, steps=False, dtype="float32"):
    def build():
        stack = [keras.Input((6, 5), dtype=dtype), LSTM(4, return_sequences=steps, dtype=dtype)]
        return keras.Sequential([*stack, Dense(units, activation, dtype=dtype)])

    return build


def inputs(dtype="float32"):
    return np.random.default_rng(0).normal(size=(ROWS, 6, 5)).astype(dtype)


CASES = {
    "binary": (losses.BinaryCrossentropy, "binary", "sigmoid"),
    "smoothed": (lambda: losses.BinaryCrossentropy(label_smoothing=0.1), "binary", "sigmoid"),
    "one-hot": (losses.CategoricalCrossentropy, "one-hot", "softmax"),
    "soft": (lambda: losses.CategoricalCrossentropy(label_smoothing=0.2), "soft", "softmax"),
    "numbers": (losses.SparseCategoricalCrossentropy, "numbers", "softmax"),
    "binary logits": (
        lambda: losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        "binary",
        None,
    ),
    "one-hot logits": (lambda: losses.CategoricalCrossentropy(from_logits=True), "one-hot", None),
    "soft logits": (
        lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
        "soft",
        None,
    ),
    "logits": (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), "numbers", None),
}


METRICS = {
    "binary": lambda logits: keras.metrics.BinaryCrossentropy(from_logits=logits),
    "one-hot": lambda logits: keras.metrics.CategoricalCrossentropy(from_logits=logits),
    "soft": lambda logits: keras.metrics.CategoricalCrossentropy(from_logits=logits),
    "numbers": lambda logits: keras.metrics.SparseCategoricalCrossentropy(from_logits=logits),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_whole_passes_train_to_the_same_bits(case, steps, dtype, monkeypatch):
    loss, kind, activation = CASES[case]
    y = labels(kind, (6,) if steps else ())
    monkeypatch.setattr(TrainingPlan, "_judged", None)  # no step is judged in Python
    build, x = classifier(activation, steps=steps, dtype=dtype), inputs(dtype)
    compiled = {"loss": loss, "metrics": lambda: ["accuracy", METRICS[kind](activation is None)]}
    model = same(build, x, y, monkeypatch, compiled=compiled, validation_data=(x, y))
    assert 0 < model.evaluate(x, y, verbose=0)[1] < 1


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_a_single_probability_has_targets_of_any_type(shape, dtype, monkeypatch):
    y = labels("binary", classes=1).reshape(shape).astype(dtype)
    monkeypatch.setattr(TrainingPlan, "_judged", None)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.4)
    compiled = {"loss": "binary_crossentropy", "metrics": lambda: [accuracy]}
    same(classifier("sigmoid", 1), inputs(), y, monkeypatch, compiled=compiled)


def test_crossentropies_of_several_outputs_train_to_the_same_bits(monkeypatch):
    def build():
        x = keras.Input((6, 5))
        read = GRU(4, return_sequences=True)(x)
        steps = Dense(3, "softmax", name="steps")(read)
        return keras.Model(x, [Dense(1, "sigmoid", name="last")(LSTM(3)(read)), steps])

    compiled = {
        "loss": ["binary_crossentropy", "sparse_categorical_crossentropy"],
        "loss_weights": [0.7, 1.3],
        "metrics": [["accuracy"], ["accuracy"]],
    }
    y = [labels("binary", classes=1), labels("numbers", (6,), 3)]
    judged, steps = TrainingPlan._judged, []
    monkeypatch.setattr(TrainingPlan, "_judged", lambda *each: steps.append(1) or judged(*each))
    same(build, inputs(), y, monkeypatch, compiled=compiled)
    assert len(steps) == 1


def reference(loss, kind, true, pred):
    """The mean in double precision, as the formulas have it, of predictions within the clip."""
    true, pred = true.astype("float64"), pred.astype("float64")
    if loss.from_logits:
        pred = 1 / (1 + np.exp(-pred)) if kind == "binary" else np.exp(pred)
    if kind == "numbers":
        true = np.eye(pred.shape[-1])[true.astype(int)]
    smoothing = getattr(loss, "label_smoothing", 0.0)
    true = true * (1 - smoothing) + smoothing / (2 if kind == "binary" else true.shape[-1])
    if kind == "binary":
        return -np.mean(true * np.log(pred) + (1 - true) * np.log(1 - pred))
    return -np.mean(np.sum(true * np.log(pred / pred.sum(-1, keepdims=True)), -1))


@pytest.mark.parametrize("case", CASES)
def test_means_and_gradients_are_those_of_the_formulas(case):
    made, kind, _ = CASES[case]
    loss = made()
    true = labels(kind, (3,))
    pred = np.random.default_rng(3).uniform(0.1, 0.9, (ROWS, 3, 4))
    value, vjp = loss.forward(true, pred)
    np.testing.assert_allclose(value, reference(loss, kind, true, pred), rtol=1e-13)
    slopes, tiny = vjp(1.0, None), 1e-6
    for at in [(0, 0, 0), (3, 1, 2), (28, 2, 3), (11, 0, 1)]:
        moved = []
        for step in (tiny, -tiny):
            other = pred.copy()
            other[at] += step
            moved.append(reference(loss, kind, true, other))
        np.testing.assert_allclose(slopes[at], (moved[0] - moved[1]) / (2 * tiny), rtol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_the_mean_is_that_of_the_values(case):
    made, kind, _ = CASES[case]
    loss, true = made(), labels(kind)
    pred = np.random.default_rng(3).uniform(0.0, 1.0, (ROWS, 4)).astype("float32")
    pred[4], pred[5, :2] = [0, 1, 0, 0], [1, 0]  # where probabilities are clipped
    if loss.from_logits:
        pred *= 40
    values = loss(true, pred, np.ones(ROWS))
    np.testing.assert_allclose(loss(true, pred), values, rtol=2e-6)
    whole, weighed = (
        loss.forward(true, pred, sample_weight=weight)[1](1.0, None)
        for weight in (None, np.ones(ROWS))
    )
    np.testing.assert_allclose(whole, weighed, rtol=2e-5, atol=1e-6 * np.abs(weighed).max())


def test_labels_that_are_no_class_are_refused_as_before(monkeypatch):
    y = labels("numbers")
    y[20] = 4
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model = classifier("softmax")()
        model.compile("sgd", "sparse_categorical_crossentropy")
        for call in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match=r"must hold labels in \[0, 4\)"):
                call(inputs(), y, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda: losses.BinaryFocalCrossentropy(from_logits=True),
        losses.CategoricalFocalCrossentropy,
        type("SparseOwn", (losses.SparseCategoricalCrossentropy,), {}),
    ],
)
def test_others_are_judged_in_python_to_the_same_bits(loss, monkeypatch):
    kind = {"B": "binary", "S": "numbers", "C": "one-hot"}[type(loss()).__name__[0]]
    compiled = {"loss": loss, "metrics": ["accuracy"]}
    same(classifier("softmax"), inputs(), labels(kind), monkeypatch, compiled=compiled)
