"""Weights of samples of every shape that broadcasts, with masks, losses and metrics."""

import itertools

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case

L = keras.layers
RNG = np.random.default_rng(6)
X = RNG.normal(size=(4, 3, 2)).astype("float32")
X[1, 1:] = X[2, 2:] = 0.0  # masked steps
Y = RNG.integers(0, 2, size=(4, 3, 2)).astype("float32")
SHAPES = [(), (1,), (4,), (4, 1), (1, 1), (1, 3), (4, 3), (4, 3, 1), (4, 1, 1), (1, 3, 1)]
PER_STEP = ["mae", "RootMeanSquaredError", "CosineSimilarity", "Precision", "AUC", "MeanIoU"]
PER_STEP += ["BinaryAccuracy", "CategoricalAccuracy", "TopKCategoricalAccuracy", "TruePositives"]


def metric(name):
    if name == "mae":
        return name
    if name == "TopKCategoricalAccuracy":
        return keras.metrics.TopKCategoricalAccuracy(k=1)
    options = {"num_classes": 2, "dtype": "float32"} if name == "MeanIoU" else {}
    return getattr(keras.metrics, name)(**options)


def model(masked, features=2, names=PER_STEP):
    keras.utils.set_random_seed(1)
    mask = [L.Masking()] if masked else []
    read = L.GRU(5, return_sequences=True)
    made = keras.Sequential(
        [keras.Input((3, 2)), *mask, read, L.Dense(features, activation="sigmoid")]
    )
    made.compile(keras.optimizers.SGD(0.0), "mse", weighted_metrics=[metric(n) for n in names])
    return made


def spread(weight):
    """One weight for each step: the axes of samples and steps come first."""
    flat = weight[..., 0] if weight.ndim == 3 else weight
    return np.broadcast_to(flat[:, None] if flat.shape == (4,) else flat, (4, 3))


@each_case("masked", [False, True])
@each_case("shape", SHAPES, ids=str)
def test_a_weight_counts_for_all_that_it_stands_for(shape, masked):
    weight = np.asarray(RNG.uniform(0.25, 2.0, size=shape))
    full = spread(weight)
    made = model(masked)
    expected = made.test_on_batch(X, Y, np.array(full), return_dict=True)
    for logs in (
        made.test_on_batch(X, Y, weight, return_dict=True),
        made.train_on_batch(X, Y, weight, return_dict=True),
        made.evaluate(iter([(X, Y, weight)]), verbose=0, return_dict=True),
    ):
        assert logs == pytest.approx(expected, rel=1e-4, abs=1e-6)
    pred = made.predict(X, verbose=0)
    mask = X.any(-1) if masked else np.ones((4, 3), bool)
    values = ((pred - Y) ** 2).mean(-1) * full
    assert expected["loss"] == pytest.approx(values[mask].mean(), rel=1e-5)
    errors = abs(pred - Y).mean(-1)
    weighed = (errors * full)[mask].sum() / full[mask].sum()
    assert expected["mae"] == pytest.approx(weighed, rel=1e-5)


@pytest.mark.parametrize("weight", [2.0, np.float64(0.5)])
def test_a_number_weighs_the_whole_batch(weight):
    made = model(masked=True)
    plain = made.test_on_batch(X, Y, return_dict=True)
    logs = made.test_on_batch(X, Y, weight, return_dict=True)
    assert logs["loss"] == pytest.approx(weight * plain["loss"], rel=1e-6)
    assert logs["mae"] == pytest.approx(plain["mae"], rel=1e-6)


# Without a mask and with a weight for each sample the mean is over steps first, as in Keras.
WITHOUT_LAST_AXIS = [
    (shape, masked, flat)
    for shape, masked, flat in itertools.product(SHAPES, [False, True], [False, True])
    if not flat or masked or len(shape) > 1
]


@each_case(("shape", "masked", "flat"), WITHOUT_LAST_AXIS)
def test_targets_without_the_last_axis(shape, masked, flat):
    weight = np.asarray(RNG.uniform(0.25, 2.0, size=shape))
    made = model(masked, 1, ["mae", "RootMeanSquaredError", "BinaryAccuracy", "Precision"])
    y = Y[..., 0] if flat else Y[..., :1]
    expected = made.test_on_batch(X, Y[..., :1], np.array(spread(weight)), return_dict=True)
    logs = made.test_on_batch(X, y, weight, return_dict=True)
    assert logs["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    if masked or not flat or weight.ndim > 1:
        assert logs == pytest.approx(expected, rel=1e-4)


@each_case("shape", [(), (4,), (4, 1), (1,), (1, 1)], ids=str)
@each_case("name", ["F1Score", "R2Score", "Precision", "mae", "AUC"])
def test_of_outputs_without_time(shape, name):
    weight = np.asarray(RNG.uniform(0.25, 2.0, size=shape))
    made = keras.Sequential([keras.Input((2,)), L.Dense(2, activation="sigmoid")])
    made.compile("sgd", "mse", weighted_metrics=[metric(name)])
    full = np.array(np.broadcast_to(weight.ravel(), (4,)))
    expected = made.test_on_batch(X[:, 0], Y[:, 0], full)[1]
    np.testing.assert_allclose(made.test_on_batch(X[:, 0], Y[:, 0], weight)[1], expected, rtol=1e-5)


@each_case("shape", [(5,), (4, 2), (2, 3), (4, 3, 3), (4, 3, 1, 2)], ids=str)
@each_case("masked", [False, True])
def test_other_shapes_are_refused_in_a_sentence(shape, masked):
    with pytest.raises(ValueError, match=r"`sample_weight` must have one weight for each value"):
        model(masked).test_on_batch(X, Y, np.ones(shape))
