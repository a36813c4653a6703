"""Golden runs of models of recurrent and other layers: the loss of each of fifty steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from making import Cases, Random
from shared_models import RUNS, Run

STEPS, BATCH = 50, 8


def shared_run_cases(cases: Cases) -> None:
    """Fifty `train_on_batch` calls in float32 for each model, from random weights."""
    for name, run in RUNS.items():
        _run(cases, name, run)


def _run(cases: Cases, name: str, run: Run) -> None:
    random = Random(name)
    keras.config.set_floatx("float32")
    model = run.build(keras)
    model.compile(keras.optimizers.Adam(0.01), run.loss)
    weights = []
    for weight in model.weights:
        value = random.normal(*weight.shape, scale=0.4, dtype="float32")
        weights.append(np.abs(value) + 0.5 if _positive(weight.path) else value)
    model.set_weights(weights)
    x, y = _data(random, run)
    losses = []
    for inputs, targets in zip(x, y, strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(inputs, targets))
    arrays: dict[str, Any] = {"inputs": x, "targets": y, "losses": np.array(losses)}
    arrays |= {f"weight_{i}": weight for i, weight in enumerate(weights)}
    arrays["predictions"] = model.predict_on_batch(x[0])
    arrays["evaluated"] = np.asarray(model.evaluate(x[1], y[1], verbose=0)).reshape(1)
    cases.add(name, {"paths": [weight.path for weight in model.weights]}, arrays)


def _positive(path: str) -> bool:
    return "variance" in path or "gamma" in path


def _data(random: Random, run: Run) -> tuple[Any, Any]:
    shape = (STEPS, BATCH, *run.shape)
    if run.ids:
        x: Any = random.rng.integers(1, run.ids, size=shape).astype("int32")
    else:
        x = random.normal(*shape, dtype="float32")
    if run.padded:
        real = random.right_padded(STEPS * BATCH, run.shape[0]).reshape(shape[:3])
        x = x * (real if run.ids else real[..., None]).astype(x.dtype)
    if run.classes:
        y: Any = (x + np.arange(x.shape[2])) % run.classes
    elif run.ids:
        y = ((x % 3 == 1).sum(axis=2) > (x % 3 == 2).sum(axis=2))[..., None].astype("float32")
    else:
        y = x.mean(axis=(2, 3))[..., None] * 4
    return x, y
