"""Callbacks refuse in their constructors what they cannot do when it is due."""

import sys

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import callbacks

WRONG = {
    "a model as .h5": (
        lambda: callbacks.ModelCheckpoint("best.h5"),
        r"must end in `.keras`.*best\.h5",
    ),
    "weights as .keras": (
        lambda: callbacks.ModelCheckpoint("best.keras", save_weights_only=True),
        r"must end in `.weights.h5`",
    ),
    "batches of an epoch": (
        lambda: callbacks.ModelCheckpoint("{epoch}-{batch}.keras"),
        "names 'batch'.*save_freq='epoch'",
    ),
    "validation after batches": (
        lambda: callbacks.ModelCheckpoint("{val_loss:.2f}.keras", save_freq=5),
        "names 'val_loss'.*save_freq=5",
    ),
    "the best after batches": (
        lambda: callbacks.ModelCheckpoint("a.keras", save_best_only=True, save_freq=5),
        "monitor='val_loss' every 5 batches",
    ),
    "a place without a name": (lambda: callbacks.ModelCheckpoint("{}.keras"), "names ''"),
    "no format": (
        lambda: callbacks.ModelCheckpoint("{epoch.keras"),
        "is not a valid format string",
    ),
    "no batches": (lambda: callbacks.ModelCheckpoint("a.keras", save_freq=0), "save_freq: 0"),
    "no batches to back up": (lambda: callbacks.BackupAndRestore("a", save_freq=-1), "-1"),
    "two characters": (lambda: callbacks.CSVLogger("a.csv", separator=", "), "one character"),
    "no function": (lambda: callbacks.LambdaCallback(on_epoch_end=3), "`on_epoch_end` must be"),
    "no schedule": (lambda: callbacks.LearningRateScheduler(0.1), "`schedule` must be a function"),
    "no frequency": (lambda: callbacks.TensorBoard("a", update_freq=0), "`update_freq` must be"),
}


@each_case("kind", WRONG)
def test_what_cannot_be_done_is_refused_at_once(kind):
    make, message = WRONG[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("path", ["{epoch:02d}-{val_loss:.2f}.keras", "{loss}.keras", "a.keras"])
def test_what_may_be_known_is_taken(path):
    assert callbacks.ModelCheckpoint(path, save_best_only=True).filepath == path
    assert callbacks.ModelCheckpoint("{batch:03d}.keras", save_freq=2).save_freq == 2


def model(optimizer="sgd"):
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile(optimizer, "mse")
    return made


def begun(made, *given, **options):
    """Whether a batch was trained on before `fit` refused."""
    before = made.get_weights()
    with pytest.raises((TypeError, ValueError)) as error:
        made.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=list(given), **options)
    return str(error.value), any((made.get_weights()[0] != before[0]).ravel())


@pytest.mark.parametrize("kind", ["ReduceLROnPlateau", "LearningRateScheduler"])
def test_a_rate_with_a_schedule_is_set_by_no_callback(kind):
    options = {"monitor": "loss"} if kind.startswith("R") else {"schedule": lambda epoch, r: r / 2}
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    told, trained = begun(model(keras.optimizers.SGD(rate)), getattr(callbacks, kind)(**options))
    assert not trained
    assert f"{kind} sets the learning rate, which the optimizer" in told
    assert "ExponentialDecay" in told


def test_averages_are_swapped_where_the_optimizer_keeps_them():
    told, trained = begun(model(), callbacks.SwapEMAWeights())
    assert not trained
    assert "use_ema=True" in told


def test_values_of_a_validation_are_in_a_path_only_with_one(tmp_path):
    pytest.importorskip("h5py")
    path = str(tmp_path / "{epoch}-{val_loss:.3f}.keras")
    told, trained = begun(model(), callbacks.ModelCheckpoint(path))
    assert not trained
    assert "names 'val_loss', but `fit` has no validation" in told

    class Own(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = 0.25

    x, y = np.ones((4, 2)), np.ones((4, 1))
    for given in ([Own(), callbacks.ModelCheckpoint(path)], [callbacks.ModelCheckpoint(path)]):
        split = 0.0 if len(given) == 2 else 0.5
        model().fit(x, y, verbose=0, callbacks=given, validation_split=split)
    assert "1-0.250.keras" in {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("kind", "package"), [("TensorBoard", "tensorboardX"), ("RemoteMonitor", "requests")]
)
def test_a_missing_package_is_named_at_once(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{kind} requires the `{package}` library: pip install"):
        getattr(callbacks, kind)()
