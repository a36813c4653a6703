"""Copies of losses, metrics, callbacks and all that weights are given go on with the same bits."""

import copy
import importlib
import pickle

import numpy as np
import pytest

import ferrnn as keras
from copying import WAYS, ways
from each_case import each_case

EACH_AND_SHALLOW = {"copy": copy.copy, **WAYS}
each_and_shallow = each_case("way", EACH_AND_SHALLOW.values(), ids=EACH_AND_SHALLOW)
generator = np.random.default_rng(9)
X = generator.normal(size=(7, 5, 3)).astype("float32")
Y = generator.normal(size=(7, 1)).astype("float32")


def classes(module, *without):
    face = importlib.import_module(f"ferrnn.{module}")  # its names load when they are asked for
    members = {name: getattr(face, name) for name in dir(face)}
    kinds = {v: k for k, v in members.items() if isinstance(v, type) and k[0] != "_"}
    return [kind for kind in kinds if kind not in without]


def bits(value):
    array = np.asarray(value)
    return array.dtype, array.tobytes()


OF_WEIGHTS = [
    *classes("initializers", keras.initializers.Initializer),
    *classes("regularizers", keras.regularizers.Regularizer),
    *classes("constraints"),
]


@each_case("kind", OF_WEIGHTS, ids=lambda kind: kind.__name__)
def test_what_weights_are_given_goes_on(kind):
    made = kind()
    argument = X[0]
    if issubclass(kind, keras.initializers.Initializer):
        argument = (4, 3, 5) if kind is keras.initializers.STFT else (4, 3)
    for name, way in EACH_AND_SHALLOW.items():
        assert bits(way(made)(argument)) == bits(made(argument)), name
        assert way(made).get_config() == made.get_config(), name


SCHEDULES = {
    "CosineDecay": (0.1, 10),
    "CosineDecayRestarts": (0.1, 4),
    "ExponentialDecay": (0.1, 5, 0.5),
    "InverseTimeDecay": (0.1, 5, 0.5),
    "PiecewiseConstantDecay": ([3, 6], [0.3, 0.2, 0.1]),
    "PolynomialDecay": (0.1, 10),
}


@each_case(
    "kind",
    classes("optimizers.schedules", keras.optimizers.schedules.LearningRateSchedule),
    ids=lambda kind: kind.__name__,
)
def test_schedules_go_on(kind):
    made = kind(*SCHEDULES[kind.__name__])
    for name, way in EACH_AND_SHALLOW.items():
        other = way(made)
        assert [other(step) for step in range(12)] == [made(step) for step in range(12)], name


LOSSES = classes("losses", keras.losses.Loss, keras.losses.CTC, keras.losses.Circle)


@each_case("kind", LOSSES, ids=lambda kind: kind.__name__)
def test_losses_go_on(kind):
    made = kind()
    sparse = "Sparse" in kind.__name__ or "Generalized" in kind.__name__
    true = np.array([0, 2, 1, 2]) if sparse else np.eye(3, dtype="float32")[[0, 2, 1, 2]]
    pred = generator.uniform(0.1, 0.9, (4, 3)).astype("float32")
    for name, way in EACH_AND_SHALLOW.items():
        assert bits(way(made)(true, pred)) == bits(made(true, pred)), name


METRICS = {
    "IoU": (2, [0]),
    "MeanIoU": (2,),
    "OneHotIoU": (3, [0]),
    "OneHotMeanIoU": (3,),
    "MeanMetricWrapper": (keras.losses.mean_squared_error,),
    "MeanRelativeError": (np.array([1.0, 2.0, 3.0]),),
    "PrecisionAtRecall": (0.5,),
    "RecallAtPrecision": (0.5,),
    "SensitivityAtSpecificity": (0.5,),
    "SpecificityAtSensitivity": (0.5,),
}


def seen(metric, count):
    """The metric after so many batches."""
    name = type(metric).__name__
    rng = np.random.default_rng(1)
    for _ in range(count):
        labels = rng.integers(0, 3, 4)
        pred = rng.uniform(0.1, 0.9, (4, 3)).astype("float32")
        true = np.eye(3, dtype="float32")[labels]
        if name in ("Mean", "Sum"):
            metric.update_state(pred)
        elif "Sparse" in name:
            metric.update_state(labels, pred)
        elif name in ("IoU", "MeanIoU", "BinaryIoU"):
            metric.update_state(true.astype(int), (pred > 0.5).astype(int))
        else:
            metric.update_state(true, pred)
    return metric


@each_case("kind", classes("metrics", keras.metrics.Metric), ids=lambda kind: kind.__name__)
def test_metrics_go_on(kind):
    metric = kind(*METRICS.get(kind.__name__, ()))
    fresh = {name: way(metric) for name, way in WAYS.items()}
    after_two = bits(seen(metric, 2).result())
    others = {name: way(metric) for name, way in WAYS.items()}
    assert [bits(other.result()) for other in others.values()] == [after_two] * len(WAYS)
    after_five = bits(seen(metric, 3).result())
    for name, other in others.items():
        assert bits(seen(other, 3).result()) == after_five, name
        other.reset_state()
        assert bits(seen(other, 2).result()) == after_two, name
        assert bits(seen(fresh[name], 2).result()) == after_two, name


@ways
def test_random_streams_and_variables_go_on(way):
    stream = keras.random.SeedGenerator(3)
    keras.random.normal((2, 3), seed=stream)
    other = way(stream)
    assert bits(keras.random.normal((2, 3), seed=other)) == bits(
        keras.random.normal((2, 3), seed=stream)
    )
    count = keras.Variable(3, dtype="int32", name="count")
    again = way(count)
    again.assign_add(2)
    assert (again.numpy(), count.numpy(), type(again)) == (5, 3, keras.Variable)


class Named(keras.Variable):
    """A variable that a user has given more."""

    def __init__(self, value, unit):
        super().__init__(value)
        self.unit = unit


@each_and_shallow
def test_variables_of_a_class_of_ones_own_keep_what_it_adds(way):
    again = way(Named(2.5, "metres"))
    assert (type(again), again.unit, again.numpy()) == (Named, "metres", 2.5)


class Circular(keras.layers.Layer):
    """A layer that is the regularizer of its own weight."""

    def build(self, input_shape):
        self.kernel = self.add_weight((3,), "ones", regularizer=self.penalty)

    def penalty(self, weight):
        return (weight * weight).sum()

    def call(self, inputs):
        return inputs * self.kernel


@ways
def test_a_weight_may_know_the_layer_that_has_it(way):
    layer = Circular()
    layer(X)
    other = way(layer)
    assert other.kernel.regularizer.__self__ is other
    assert other.losses == layer.losses == [3.0]


def small():
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(3), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model


def decay(epoch, rate):
    return rate * 0.5


CALLBACKS = {
    "Callback": keras.callbacks.Callback,
    "CSVLogger": lambda: keras.callbacks.CSVLogger("log.csv"),
    "BackupAndRestore": lambda: keras.callbacks.BackupAndRestore("backup"),
    "EarlyStopping": lambda: keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
    "History": keras.callbacks.History,
    "LambdaCallback": keras.callbacks.LambdaCallback,
    "LearningRateScheduler": lambda: keras.callbacks.LearningRateScheduler(decay),
    "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint(
        "best.keras", "loss", save_best_only=True
    ),
    "ProgbarLogger": keras.callbacks.ProgbarLogger,
    "ReduceLROnPlateau": lambda: keras.callbacks.ReduceLROnPlateau("loss", patience=1),
    "SwapEMAWeights": keras.callbacks.SwapEMAWeights,
    "TensorBoard": lambda: keras.callbacks.TensorBoard("logs", histogram_freq=1),
    "TerminateOnNaN": keras.callbacks.TerminateOnNaN,
}
# `MonitorCallback` is the base of some, `CallbackList` holds others, `RemoteMonitor` asks a server.
# Those that tell a server or a package that need not be there are in `test_trackers.py`.
TRACKERS = {"MlflowCallback", "OptunaPruningCallback", "WandbMetricsLogger"}
OTHER = {"CallbackList", "MonitorCallback", "RemoteMonitor", *TRACKERS}


def test_the_table_holds_every_callback():
    assert {kind.__name__ for kind in classes("callbacks")} == CALLBACKS.keys() | OTHER


class Copies(keras.callbacks.Callback):
    """Copies model and callback together, after the third epoch."""

    def __init__(self, way, callback):
        super().__init__()
        self.way, self.callback = way, callback

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            self.model_copy, self.callback_copy = self.way((self.model, self.callback))


@pytest.mark.parametrize("way", [WAYS["deepcopy"], WAYS["pickle"]], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_in_the_middle_of_training(name, way, tmp_path, monkeypatch):
    if name == "TensorBoard":
        pytest.importorskip("tensorboardX")
    if name in ("BackupAndRestore", "ModelCheckpoint"):
        pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    model, callback = small(), CALLBACKS[name]()
    if name == "SwapEMAWeights":
        model.compile(keras.optimizers.SGD(0.1, use_ema=True), loss="mse")
    copies = Copies(way, callback)
    options = {"verbose": 0, "shuffle": False, "batch_size": 4}
    model.fit(X, Y, epochs=3, callbacks=[callback, copies], **options)
    model.stop_training = copies.model_copy.stop_training = False
    callback, other = copies.callback, copies.callback_copy
    assert other.model is copies.model_copy
    logs = {"loss": 0.5}
    for hook in ("on_epoch_begin", "on_epoch_end"):
        for each in (callback, other):
            if hook == "on_epoch_begin" or name not in ("CSVLogger", "TensorBoard"):
                getattr(each, hook)(3, logs)
    if name == "CSVLogger":
        other.on_epoch_end(3, logs)
        other.on_train_end()
        lines = (tmp_path / "log.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]
    rates = [float(each.model.optimizer.learning_rate) for each in (callback, other)]
    assert rates[0] == rates[1]
    for kept in ("best", "wait", "stopped_epoch", "cooldown_counter", "history", "epochs_since"):
        assert getattr(other, kept, None) == getattr(callback, kept, None)


def test_streams_are_copied_and_say_why_they_are_not_pickled():
    stream = small().stream()
    stream(X[0, 0])
    for other in (copy.copy(stream), copy.deepcopy(stream)):
        assert bits(other(X[0, 1])) == bits(stream.copy()(X[0, 1]))
    with pytest.raises(TypeError, match=r"pickle `stream\.state`"):
        pickle.dumps(stream)
