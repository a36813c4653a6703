"""Callbacks against Keras: the same values give the same decisions, files and calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ferrnn as keras

GOLDEN = json.loads((Path(__file__).parent / "callbacks.json").read_text(encoding="utf-8"))


class Scripted(keras.callbacks.Callback):
    """Replaces all logs by one value, and the weights by the epoch's number."""

    def __init__(self, name: str, values: list[float]) -> None:
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs.clear()
        logs[self.name] = self.values[epoch]
        self.model.set_weights([np.full_like(w, epoch) for w in self.model.get_weights()])


class Writing(keras.Sequential):
    """A model whose files are empty: here their names matter."""

    def save(self, path: str, overwrite: bool = True) -> None:
        Path(path).write_text("", encoding="utf-8")

    save_weights = save


def model() -> Any:
    made = Writing([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.125), loss="mse", metrics=["mae"])
    return made


@pytest.mark.filterwarnings("ignore:.*available:UserWarning")
@pytest.mark.parametrize("case", GOLDEN["scripted"])
def test_decisions_are_those_of_keras(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    about = GOLDEN["scripted"][case]
    found = about["found"]
    callback, made = getattr(keras.callbacks, about["callback"])(**about["options"]), model()
    history = made.fit(
        np.ones((8, 2)),
        np.ones((8, 1)),
        batch_size=2,
        epochs=len(about["values"]),
        verbose=0,
        callbacks=[Scripted(about["name"], about["values"]), callback],
    )
    assert history.epoch == found["epochs"]
    assert float(made.get_weights()[0][0, 0]) == found["weight"]
    assert float(made.optimizer.learning_rate) == pytest.approx(found["learning_rate"], rel=1e-6)
    if found["rates"] is not None:
        assert history.history["learning_rate"] == pytest.approx(found["rates"], rel=1e-6)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == found["files"]
    if found["text"] is None:
        assert callback.best == found["best"]
    else:
        assert files[0].read_text(encoding="utf-8") == found["text"]


@pytest.mark.parametrize("case", GOLDEN["scheduled"], ids=lambda case: case["schedule"])
def test_scheduled_rates_are_those_of_keras(case: dict[str, Any]) -> None:
    rates = {"halve": lambda epoch, rate: rate * 0.5, "by_epoch": lambda epoch: 0.1 / (epoch + 1)}
    callback = keras.callbacks.LearningRateScheduler(rates[case["schedule"]])
    history = model().fit(
        np.ones((2, 2)), np.ones((2, 1)), epochs=4, verbose=0, callbacks=[callback]
    )
    assert history.history["learning_rate"] == pytest.approx(case["rates"], rel=1e-6)


@pytest.mark.parametrize(
    "case", GOLDEN["averaged"], ids=lambda case: f"swap_on_epoch={case['swap_on_epoch']}"
)
def test_averaged_weights_are_those_of_keras(case: dict[str, Any]) -> None:
    x = np.arange(-8, 8).reshape(8, 2) / 8
    y = x @ np.array([[1.0], [-2.0]]) + 0.5
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.125, use_ema=True, ema_momentum=0.75)
    made.compile(optimizer, loss="mse")
    made.set_weights([np.array([[0.25], [0.5]]), np.zeros(1)])
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=case["swap_on_epoch"])
    ends: list[Any] = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(made.get_weights()[0][:, 0])
    )
    history = made.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        shuffle=False,
        verbose=0,
        validation_data=None if case["swap_on_epoch"] else (x, y),
        callbacks=[swap, look],
    )
    assert history.history.keys() == case["history"].keys()
    for name, values in case["history"].items():
        assert history.history[name] == pytest.approx(values, rel=1e-5)
    np.testing.assert_allclose(ends, case["ends"], rtol=1e-5)
    np.testing.assert_allclose(made.get_weights()[0][:, 0], case["weights"], rtol=1e-5)
    assert made.evaluate(x, y, verbose=0) == pytest.approx(case["evaluated"], rel=1e-5)


def test_what_is_heard_is_what_keras_tells() -> None:
    events: list[Any] = []

    def listener(hook: str) -> Any:
        def hear(self: Any, *arguments: Any) -> None:
            *place, values = arguments
            events.append([hook, *place, sorted(values or {})])

        return hear

    hooks = {event[0] for event in GOLDEN["heard"]}
    recorder = type("Recorder", (keras.callbacks.Callback,), {h: listener(h) for h in hooks})()
    made, x, y = model(), np.ones((3, 2)), np.ones((3, 1))
    options = {"batch_size": 2, "verbose": 0, "callbacks": [recorder]}
    made.fit(x, y, epochs=2, validation_data=(x, y), **options)
    made.evaluate(x, y, **options)
    made.predict(x, **options)
    assert events == GOLDEN["heard"]
