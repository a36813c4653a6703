"""Interrupts training runs, and checks that they resume to the same bits."""

import itertools
import os

import numpy as np
import pytest

import ferrnn as keras

layers = keras.layers


class Stop(keras.callbacks.Callback):
    """Interrupts after a number of batches."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt

    def get_state(self):
        return None

    def set_state(self, state):
        pass


def data(count=44, time=4):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, time, 3)).astype("float32")
    return x, x.sum((1, 2))[:, None]


def small():
    made = keras.Sequential([keras.Input((4, 3)), layers.GRU(3, dropout=0.3), layers.Dense(1)])
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return made


def check(tmp_path, make, fit, *, stops=(3, 7, 13), save_freqs=(1, 4, "epoch")):
    """`fit(model, callbacks)` ends with the same bits, wherever it is interrupted.

    Each stop meets one frequency of saving, and every other where FERRNN_DEEP is set.
    """
    pairs = zip(itertools.cycle(save_freqs), stops, strict=False)
    if "FERRNN_DEEP" in os.environ:
        pairs = itertools.product(save_freqs, stops)

    def run(*callbacks, seed=2):
        keras.utils.set_random_seed(seed)
        made = make()
        history = fit(made, list(callbacks))
        variables = [each.numpy() for each in made.optimizer.variables]
        return [*made.get_weights(), *variables], history.history, history.epoch

    expected = run()
    assert any((one != other).any() for one, other in zip(expected[0], run(seed=3)[0], strict=True))
    for save_freq, stop in pairs:
        folder = tmp_path / f"{save_freq}-{stop}"
        keep = keras.callbacks.BackupAndRestore(folder, save_freq=save_freq)
        with pytest.raises(KeyboardInterrupt):
            run(keep, Stop(stop))
        if folder.exists():
            found = run(keras.callbacks.BackupAndRestore(folder, save_freq=save_freq), seed=9)
            assert not folder.exists()
            for one, other in zip(found[0], expected[0], strict=True):
                np.testing.assert_array_equal(one, other)
            np.testing.assert_equal(found[1:], expected[1:])
