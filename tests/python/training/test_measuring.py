"""What a pass gathers is of that pass alone, and `metrics` holds what Keras' holds."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn._src.training.metrics import Metric

RNG = np.random.default_rng(5)
X = RNG.normal(size=(12, 4, 3)).astype("float32")
Y = RNG.integers(0, 2, size=(12, 3)).astype("float32")
WEIGHT = RNG.uniform(0.25, 2.0, size=12)
OPTIONS = {
    "IoU": {"num_classes": 2, "target_class_ids": [0, 1]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 3},
    "BinaryIoU": {"target_class_ids": [0, 1]},
    "MeanRelativeError": {"normalizer": [1.0, 2.0, 3.0]},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
# They take what `compile` does not hand over as it is: single values, or class numbers.
OTHERWISE = {"Mean", "Sum", "MeanMetricWrapper", "Metric"}
SPARSE = {name for name in vars(keras.metrics) if name.startswith("Sparse")}


class Largest(Metric):
    """A metric of a user's with a metric inside and a state of its own."""

    def __init__(self, name="largest"):
        super().__init__(name=name)
        self.largest = self.add_variable((), "zeros", name="largest")
        self.inner = keras.metrics.MeanAbsoluteError()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(np.maximum(self.largest, np.abs(y_true - y_pred).max()))
        self.inner.update_state(y_true, y_pred, sample_weight)

    def result(self):
        return float(self.largest) + self.inner.result()


def kinds():
    for name, cls in sorted(vars(keras.metrics).items()):
        known = isinstance(cls, type) and issubclass(cls, Metric) and name == cls.__name__
        if known and name not in OTHERWISE:
            yield name


def made(name):
    if name == "Largest":
        return Largest()
    return getattr(keras.metrics, name)(**OPTIONS.get(name, {}))


def targets(name):
    return Y.argmax(-1)[:, None] if name in SPARSE else Y


WAYS = {
    "evaluate": lambda m, y: m.evaluate(X, y, sample_weight=WEIGHT, verbose=0)[1],
    "fit": lambda m, y: list(
        m.fit(X, y, sample_weight=WEIGHT, shuffle=False, verbose=0).history.values()
    )[-1][0],
    "train_on_batch": lambda m, y: m.train_on_batch(X, y, WEIGHT)[1],
    "test_on_batch": lambda m, y: m.test_on_batch(X, y, WEIGHT)[1],
}


@pytest.mark.filterwarnings("ignore")
@each_case("name", [*kinds(), "Largest"])
@each_case(
    ("argument", "ways"),
    [("metrics", ["evaluate", "train_on_batch"]), ("weighted_metrics", ["fit", "test_on_batch"])],
)
def test_a_metric_used_before_starts_anew(name, argument, ways):
    y = targets(name)
    loss = "sparse_categorical_crossentropy" if name in SPARSE else "mse"
    read = keras.Sequential([keras.layers.GRU(5), keras.layers.Dense(3, activation="softmax")])
    for way in map(WAYS.get, ways):
        read.compile(keras.optimizers.SGD(0.0), loss, **{argument: [made(name)]})
        expected = way(read, y)
        used = made(name)
        used.update_state(y[::-1].copy(), RNG.uniform(size=(12, 3)).astype("float32"))
        read.compile(keras.optimizers.SGD(0.0), loss, **{argument: [used]})
        np.testing.assert_array_equal(way(read, y), expected)
        read.compile(keras.optimizers.SGD(0.0), loss, **{argument: [used]})  # the same model
        np.testing.assert_array_equal(way(read, y), expected)


def test_one_list_of_metrics_serves_all_folds():
    metrics = [keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.RootMeanSquaredError()]
    zeros = np.zeros((12, 1), "float32")
    for bias in (10.0, 0.0, 3.0):
        fold = keras.Sequential(
            [keras.layers.GRU(2), keras.layers.Dense(1, kernel_initializer="zeros")]
        )
        fold.build((None, 4, 3))
        fold.layers[-1].set_weights([np.zeros((2, 1)), np.full(1, bias)])
        fold.compile("sgd", "mse", metrics=metrics)
        assert fold.evaluate(X, zeros, verbose=0) == [bias**2, bias, bias]


class Counting(keras.Layer):
    """A layer that measures what passes through it."""

    def __init__(self):
        super().__init__()
        self.seen = [keras.metrics.Sum(name="seen")]

    def call(self, inputs):
        self.seen[0].update_state(keras.ops.convert_to_numpy(inputs).size)
        return inputs


class Own(keras.Sequential):
    def __init__(self, *args):
        super().__init__(*args)
        self.trackers = {"b": keras.metrics.Mean(name="tracked")}

    def test_step(self, data):
        self.trackers["b"].update_state(5.0)
        return super().test_step(data)


class TestOfAttributes:
    def test_are_found_in_layers_and_lists_and_reset(self):
        read = Own([Counting(), keras.layers.GRU(2), keras.layers.Dense(1)])
        read.compile("sgd", "mse", metrics=["mae"])
        read.predict(X, verbose=0)  # builds it
        assert read.metrics_names == ["loss", "compile_metrics", "tracked", "seen"]
        for _ in range(2):
            logs = read.evaluate(X, X[:, 0, :1], batch_size=4, verbose=0, return_dict=True)
            assert list(logs) == ["loss", "mae", "seen", "tracked"]
            assert (logs["tracked"], logs["seen"]) == (5.0, X.size)

    def test_of_a_model_inside_are_its_own(self):
        inner = keras.Sequential([keras.layers.Dense(3)], name="inner")
        inner.compile("sgd", "mse", metrics=["mse"])
        inner.tracker = keras.metrics.Mean(name="inner_tracker")
        outer = keras.Sequential([keras.Input((4, 3)), inner, keras.layers.GRU(1)])
        outer.compile("sgd", "mse", metrics=["mae"])
        assert outer.metrics_names == ["loss", "compile_metrics"]
        logs = outer.evaluate(X, X[:, 0, :1], verbose=0, return_dict=True)
        assert list(logs) == ["loss", "mae"]
        assert inner.metrics_names == ["loss", "compile_metrics", "inner_tracker"]


def test_outputs_of_a_subclass_go_by_their_keys():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.read, self.up, self.down = (
                keras.layers.GRU(2),
                keras.layers.Dense(1),
                keras.layers.Dense(1),
            )

        def call(self, inputs):
            h = self.read(inputs)
            return {"up": self.up(h), "down": self.down(h)}

    two, y = Two(), {"up": Y[:, :1], "down": Y[:, 1:2]}
    two.compile("sgd", {"up": "mse", "down": "mae"}, metrics={"down": ["mse"]})
    logs = two.evaluate(X, y, verbose=0, return_dict=True)
    assert list(logs) == ["down_loss", "down_mse", "loss", "up_loss"]
    pred = two.predict(X, verbose=0)
    assert logs["up_loss"] == pytest.approx(np.mean((pred["up"] - y["up"]) ** 2), rel=1e-5)
    ordered = ["loss", "up_loss", "down_loss", "down_mse"]
    assert two.evaluate(X, y, verbose=0) == [logs[name] for name in ordered]
