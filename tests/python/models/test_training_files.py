"""Callbacks with the files that models write."""

import numpy as np
import pytest

import ferrnn as keras

pytest.importorskip("h5py")


def model():
    keras.utils.set_random_seed(3)
    made = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.GRU(4, name="gru"), keras.layers.Dense(1, name="out")],
        name="forecast",
    )
    made.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    return made


def data(count=40):
    x = np.random.default_rng(0).normal(size=(count, 5, 3)).astype("float32")
    return x, x.sum((1, 2))[:, None]


def test_the_best_model_is_read_again(tmp_path):
    x, y = data()
    path = tmp_path / "best.keras"
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_mae", save_best_only=True)
    each = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    made = model()
    history = made.fit(
        x, y, epochs=4, verbose=0, validation_data=(x[30:], y[30:]), callbacks=[best, each]
    ).history
    read = keras.models.load_model(path)
    loss, mae = read.evaluate(x[30:], y[30:], verbose=0)
    assert mae == pytest.approx(min(history["val_mae"]))
    for epoch in (2, 4):
        made.load_weights(tmp_path / f"{epoch}.weights.h5")
        loss, _ = made.evaluate(x[30:], y[30:], verbose=0)
        assert loss == pytest.approx(history["val_loss"][epoch - 1])


def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    def train(*callbacks):
        made = model()
        history = made.fit(*data(), epochs=6, shuffle=False, verbose=0, callbacks=list(callbacks))
        return made.get_weights(), history

    whole, expected = train()
    with pytest.raises(KeyboardInterrupt):
        train(keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interrupt())
    weights, history = train(keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    assert history.history == expected.history
    for one, other in zip(weights, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "backup").exists()
