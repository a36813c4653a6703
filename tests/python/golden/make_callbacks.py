"""Makes callbacks.json beside it: what Keras' callbacks do with scripted values, and which calls
they get.

Run it as `make_golden.py` is run. Each case has the callback's name and arguments, the values that
it sees at the ends of epochs, and what became of the training.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

HERE = Path(__file__).parent
# Callback, arguments, the monitored name, its values.
SCRIPTS: dict[str, tuple[str, dict[str, Any], str, list[float]]] = {
    "stop_patience": ("EarlyStopping", {"patience": 2}, "val_loss", [3, 2, 2, 2.5, 1, 1]),
    "stop_at_once": ("EarlyStopping", {}, "val_loss", [1, 2, 3]),
    "stop_delta": (
        "EarlyStopping", {"min_delta": 0.2, "patience": 2}, "val_loss", [3, 2.9, 2.85, 2.7, 2.6, 1],
    ),
    "stop_baseline": (
        "EarlyStopping", {"baseline": 2.0, "patience": 2}, "val_loss", [5, 4, 3, 3, 1.5, 1, 2, 3],
    ),
    "stop_late": (
        "EarlyStopping", {"start_from_epoch": 3, "patience": 2}, "val_loss", [1, 5, 5, 4, 4, 4, 4],
    ),
    "stop_max": (
        "EarlyStopping", {"mode": "max", "patience": 1, "monitor": "score"}, "score", [1, 3, 2, 4],
    ),
    "stop_metric": ("EarlyStopping", {"patience": 1, "monitor": "mae"}, "mae", [3, 1, 2, 4]),
    "stop_restore": (
        "EarlyStopping",
        {"patience": 2, "restore_best_weights": True},
        "val_loss",
        [3, 1, 2, 2, 1],
    ),
    "restore_without_stop": (
        "EarlyStopping", {"patience": 9, "restore_best_weights": True}, "val_loss", [3, 1, 2],
    ),
    "plateau": (
        "ReduceLROnPlateau",
        {"factor": 0.5, "patience": 2, "min_lr": 0.02},
        "val_loss",
        [3, 3, 3, 2, 2, 2, 2, 2, 2],
    ),
    "plateau_cooldown": (
        "ReduceLROnPlateau",
        {"factor": 0.1, "patience": 1, "cooldown": 2, "min_delta": 0.5},
        "val_loss",
        [3, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 1],
    ),
    "plateau_max": (
        "ReduceLROnPlateau",
        {"patience": 1, "mode": "max", "monitor": "score"},
        "score",
        [1, 2, 2, 1, 3],
    ),
    "checkpoint": (
        "ModelCheckpoint", {"filepath": "{epoch:02d}-{val_loss:.2f}.keras"}, "val_loss", [3, 2, 4],
    ),
    "checkpoint_best": (
        "ModelCheckpoint",
        {"filepath": "{epoch}.weights.h5", "save_best_only": True, "save_weights_only": True},
        "val_loss",
        [3, 2, 4, 2, 1],
    ),
    "checkpoint_threshold": (
        "ModelCheckpoint",
        {"filepath": "{epoch}.keras", "save_best_only": True, "initial_value_threshold": 2.5},
        "val_loss",
        [3, 2, 4, 1],
    ),
    "checkpoint_batches": (
        "ModelCheckpoint",
        {"filepath": "{epoch}-{batch}.keras", "save_freq": 3},
        "val_loss",
        [1, 1],
    ),
    "csv": ("CSVLogger", {"filename": "log.csv", "separator": ";"}, "val_loss", [3, 2.5]),
    "csv_without_validation": ("CSVLogger", {"filename": "log.csv"}, "score", [3, 2.5]),
}  # fmt: skip
RATES = {"halve": lambda epoch, rate: rate * 0.5, "by_epoch": lambda epoch: 0.1 / (epoch + 1)}


class Scripted(keras.callbacks.Callback):
    """Replaces all logs by one value, and the weights by the epoch's number."""

    def __init__(self, name: str, values: list[float]) -> None:
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.clear()
        logs[self.name] = self.values[epoch]
        self.model.set_weights([np.full_like(w, epoch) for w in self.model.get_weights()])


def model() -> Any:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.125), loss="mse", metrics=["mae"])
    return made


def scripted(kind: str, options: dict[str, Any], name: str, values: list[float]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        callback, made = getattr(keras.callbacks, kind)(**options), model()
        history = made.fit(
            np.ones((8, 2)),
            np.ones((8, 1)),
            batch_size=2,
            epochs=len(values),
            verbose=0,
            callbacks=[Scripted(name, values), callback],
        )
        files = sorted(Path().iterdir())
        found: dict[str, Any] = {
            "epochs": history.epoch,
            "weight": float(made.get_weights()[0][0, 0]),
            "learning_rate": float(made.optimizer.learning_rate),
            "rates": history.history.get("learning_rate"),
            "files": [path.name for path in files],
            "text": files[0].read_text() if kind == "CSVLogger" else None,
        }
        if kind != "CSVLogger":
            found["best"] = callback.best
        os.chdir(HERE)
    script = {"callback": kind, "options": options, "name": name, "values": values}
    return script | {"found": found}


def scheduled(schedule: str) -> dict[str, Any]:
    made = model()
    callback = keras.callbacks.LearningRateScheduler(RATES[schedule])
    history = made.fit(np.ones((2, 2)), np.ones((2, 1)), epochs=4, verbose=0, callbacks=[callback])
    return {"schedule": schedule, "rates": history.history["learning_rate"]}


def averaged(swap_on_epoch: bool) -> dict[str, Any]:
    """Training with moving averages: tested with them, and what is left at the end."""
    x = np.arange(-8, 8).reshape(8, 2) / 8
    y = x @ np.array([[1.0], [-2.0]]) + 0.5
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.125, use_ema=True, ema_momentum=0.75)
    made.compile(optimizer, loss="mse")
    made.set_weights([np.array([[0.25], [0.5]]), np.zeros(1)])
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
    ends: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(made.get_weights()[0][:, 0].tolist())
    )
    history = made.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        shuffle=False,
        verbose=0,
        # If the averages are set at the end of an epoch, testing has to come before that.
        validation_data=None if swap_on_epoch else (x, y),
        callbacks=[swap, look],
    )
    return {
        "swap_on_epoch": swap_on_epoch,
        "history": history.history,
        "ends": ends,
        "weights": made.get_weights()[0][:, 0].tolist(),
        "evaluated": made.evaluate(x, y, verbose=0),
    }


HOOKS = [f"on_{k}_{w}" for k in ("train", "test", "predict") for w in ("begin", "end")]
HOOKS += [f"on_{k}_batch_{w}" for k in ("train", "test", "predict") for w in ("begin", "end")]
HOOKS += ["on_epoch_begin", "on_epoch_end"]


def heard() -> list[Any]:
    """The calls that a callback gets in `fit` with validation, `evaluate` and `predict`."""
    events: list[Any] = []

    def listener(hook: str) -> Any:
        def hear(self: Any, *arguments: Any, logs: Any = None) -> None:
            *place, values = arguments if logs is None else (*arguments, logs)
            events.append([hook, *place, sorted(values or {})])

        return hear

    recorder = type("Recorder", (keras.callbacks.Callback,), {h: listener(h) for h in HOOKS})()
    made, x, y = model(), np.ones((3, 2)), np.ones((3, 1))
    options = {"batch_size": 2, "verbose": 0, "callbacks": [recorder]}
    made.fit(x, y, epochs=2, validation_data=(x, y), **options)
    made.evaluate(x, y, **options)
    made.predict(x, **options)
    return events


def main() -> None:
    warnings.simplefilter("ignore")
    made = {
        "keras": keras.__version__,
        "scripted": {name: scripted(*script) for name, script in SCRIPTS.items()},
        "scheduled": [scheduled(name) for name in RATES],
        "averaged": [averaged(swap_on_epoch) for swap_on_epoch in (False, True)],
        "heard": heard(),
    }
    (HERE / "callbacks.json").write_text(json.dumps(made, indent=0) + "\n")


if __name__ == "__main__":
    main()
