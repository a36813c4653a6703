"""A training run that is killed and restarted: `interrupted.py WHAT FOLDER SAVE_FREQ SEED OUT`.

Writes the final weights, the optimizer's variables and the history to OUT. WHAT is the data.
Without arguments it reads them line by line and forks for each: it prints the process id, and later
how that process ended.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np

import ferrnn as keras

BATCHES, SIZE = 8, 8


class Shuffled(keras.utils.PyDataset):
    """Changes the order of its samples after each epoch, and adds noise to each batch."""

    def __init__(self, x, y, rng):
        super().__init__()
        self.x, self.y, self.rng = x, y, rng
        self.order = np.arange(len(x))

    def __len__(self):
        return BATCHES

    def __getitem__(self, index):
        chosen = self.order[index * SIZE : (index + 1) * SIZE]
        noise = self.rng.normal(size=self.x[chosen].shape).astype("float32")
        return self.x[chosen] + 0.1 * noise, self.y[chosen]

    def on_epoch_end(self):
        np.random.shuffle(self.order)  # noqa: NPY002 - as users write it


class Watch(keras.callbacks.Callback):
    """Remembers, as users' callbacks do, without saying how to keep it."""

    def __init__(self):
        super().__init__()
        self.losses, self.calmest = [], None

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        spread = float(np.std(self.losses[-BATCHES:]))
        self.calmest = spread if self.calmest is None else min(self.calmest, spread)
        logs["calmest"] = self.calmest


def samples():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(BATCHES * SIZE + 24, 6, 3)).astype("float32")
    return x, (x.sum((1, 2)) > 0).astype("float32")[:, None]


def batches(x, y, rng):
    while True:
        chosen = rng.permutation(BATCHES * SIZE)[:SIZE]
        yield x[chosen], y[chosen]


def data(what, seed):
    x, y = samples()
    training, rest = slice(0, BATCHES * SIZE), slice(BATCHES * SIZE, None)
    rng = np.random.default_rng(seed)
    if what == "dataset":
        return {
            "x": Shuffled(x[training], y[training], rng),
            "validation_data": (x[rest], y[rest]),
        }
    if what == "generator":
        return {
            "x": batches(x, y, rng),
            "steps_per_epoch": BATCHES,
            "validation_data": batches(x, y, np.random.default_rng(seed)),
            "validation_steps": 2,
        }
    return {"x": x, "y": y, "batch_size": SIZE, "validation_split": 24 / len(x)}


def model(what):
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.GaussianNoise(0.1),
            layers.LSTM(5, dropout=0.2, recurrent_dropout=0.3, return_sequences=True),
            layers.Dropout(0.3),
            layers.Bidirectional(layers.GRU(4, recurrent_dropout=0.2)),
            layers.BatchNormalization(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 7, 0.9) if what == "arrays" else 0.01
    optimizer = keras.optimizers.Adam(rate, use_ema=what == "dataset")
    made.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "AUC"])
    return made


def callbacks(what, folder, save_freq):
    kinds = keras.callbacks
    found = [
        kinds.EarlyStopping(patience=4, restore_best_weights=True),
        kinds.BackupAndRestore(
            folder, save_freq="epoch" if save_freq == "epoch" else int(save_freq)
        ),
        Watch(),
    ]
    if what != "arrays":
        found.append(kinds.ReduceLROnPlateau(factor=0.5, patience=1))
    return found


def main(what, folder, save_freq, seed, out):
    if seed != "none":
        keras.utils.set_random_seed(int(seed))
    made = model(what)
    print("begins", os.getpid(), flush=True)
    history = made.fit(
        **data(what, None if seed == "none" else int(seed)),
        epochs=6,
        verbose=0,
        callbacks=callbacks(what, folder, save_freq),
    )
    weights = [each.tolist() for each in made.get_weights()]
    variables = [each.numpy().tolist() for each in made.optimizer.variables]
    text = json.dumps([weights, variables, history.history, history.epoch])
    draft = Path(out + ".draft")
    draft.write_text(text)
    draft.replace(out)


def serve():
    # Loaded before the forks, each of which would load it again.
    importlib.import_module("ferrnn._src.training.loop")
    model("arrays"), callbacks("arrays", "nowhere", "epoch")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                main(*line.split())
            except BaseException:  # noqa: BLE001 - told to whoever reads
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
