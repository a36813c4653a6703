"""Golden cases of whole training runs, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from making import Cases, Random

Stack = list[tuple[str, int, dict[str, Any]]]
RUNS: dict[str, tuple[Stack, str, tuple[str, dict[str, Any]], list[str]]] = {
    "lstm_dense_adam": (
        [("LSTM", 8, {"return_sequences": True}), ("LSTM", 5, {}), ("Dense", 3, {})],
        "mse", ("Adam", {"learning_rate": 0.01}), ["mae"],
    ),
    "gru_dense_nesterov": (
        [("GRU", 7, {"return_sequences": True}), ("Dense", 4, {"activation": "softmax"})],
        "sparse_categorical_crossentropy",
        ("SGD", {"learning_rate": 0.2, "momentum": 0.9, "nesterov": True}), ["accuracy"],
    ),
    "simple_rnn_dense_amsgrad": (
        [("SimpleRNN", 9, {"activation": "relu"}), ("Dense", 1, {"activation": "sigmoid"})],
        "binary_crossentropy", ("Adam", {"learning_rate": 0.02, "amsgrad": True}), ["accuracy"],
    ),
}  # fmt: skip


def run_cases(cases: Cases) -> None:
    """Fifty `train_on_batch` calls in float32: loss and metric of every step, last weights."""
    for name, (stack, loss, optimizer, metrics) in RUNS.items():
        _run(cases, name, stack, loss, optimizer, metrics)


def _run(
    cases: Cases,
    name: str,
    stack: Stack,
    loss: str,
    optimizer: tuple[str, dict[str, Any]],
    metrics: list[str],
) -> None:
    random = Random(name)
    keras.config.set_floatx("float32")
    layers = [getattr(keras.layers, kind)(units, **options) for kind, units, options in stack]
    model = keras.Sequential([keras.Input((6, 3)), *layers])
    model.compile(getattr(keras.optimizers, optimizer[0])(**optimizer[1]), loss, metrics=metrics)
    weights = [random.normal(*w.shape, scale=0.4, dtype="float32") for w in model.get_weights()]
    model.set_weights(weights)
    inputs = random.normal(50, 8, 6, 3, dtype="float32")
    sums = inputs.sum(axis=(2, 3))
    targets = {
        "mse": np.stack([sums, inputs[:, :, 0, 0], inputs[:, :, -1].prod(-1)], -1) / 4,
        "sparse_categorical_crossentropy": (inputs[..., 0] > 0) + 2 * (inputs[..., 1] > 0.5),
        "binary_crossentropy": (sums > 0).astype("float32")[..., None],
    }[loss]
    losses, results = [], []
    for x, y in zip(inputs, targets, strict=True):
        model.reset_metrics()
        logs = model.train_on_batch(x, y, return_dict=True)
        losses.append(logs["loss"])
        results.append(logs[metrics[0]])
    arrays: dict[str, Any] = {"inputs": inputs, "targets": targets}
    arrays |= {f"weight_{i}": w for i, w in enumerate(weights)}
    arrays |= {f"trained_{i}": w for i, w in enumerate(model.get_weights())}
    arrays |= {"losses": np.array(losses), "metrics": np.array(results)}
    arrays["predictions"] = model.predict_on_batch(inputs[0])
    description = {"stack": stack, "loss": loss, "optimizer": optimizer, "metrics": metrics}
    cases.add(name, description, arrays)
