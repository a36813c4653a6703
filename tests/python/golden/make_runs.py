"""Golden training runs of models that `specs` describes: the loss of 50 steps, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from making import Array, Cases, Random
from specs import build

STEPS, BATCH, TIME, FEATURES = 50, 8, 6, 3
L2 = {"class_name": "L2", "config": {"l2": 0.02}}
L1 = {"class_name": "L1", "config": {"l1": 0.01}}
BOTH = {"class_name": "L1L2", "config": {"l1": 0.005, "l2": 0.01}}
ORTHOGONAL = {"class_name": "OrthogonalRegularizer", "config": {"factor": 0.1, "mode": "rows"}}
PENALIZED = {
    "kernel_regularizer": L2,
    "recurrent_regularizer": ORTHOGONAL,
    "bias_regularizer": L1,
    "activity_regularizer": BOTH,
}
CONSTRAINED = {
    "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 0.9, "axis": 0}},
    "recurrent_constraint": {"class_name": "UnitNorm", "config": {"axis": 0}},
    "bias_constraint": {"class_name": "NonNeg", "config": {}},
}
EVERY_STEP = {"return_sequences": True}
RUNS: dict[str, dict[str, Any]] = {
    "penalized_lstm": {"layers": [["LSTM", [5], PENALIZED], ["Dense", [1], {}]]},
    "penalized_gru": {
        "layers": [
            ["GRU", [4], PENALIZED | EVERY_STEP],
            ["SimpleRNN", [4], {"kernel_regularizer": L2, "recurrent_regularizer": ORTHOGONAL}],
            ["Dense", [1], {"kernel_regularizer": BOTH, "activity_regularizer": L2}],
        ],
    },
    "constrained": {
        "layers": [
            ["GRU", [4], CONSTRAINED | EVERY_STEP],
            ["LSTM", [5], CONSTRAINED | {"recurrent_regularizer": L2}],
            [
                "Dense",
                [1],
                {
                    "kernel_constraint": {
                        "class_name": "MinMaxNorm",
                        "config": {"min_value": 0.5, "max_value": 0.75, "rate": 0.5, "axis": 0},
                    },
                    "bias_constraint": {"class_name": "NonNeg", "config": {}},
                },
            ],
        ],
    },
}
RUNS |= {
    "bidirectional": {
        "layers": [
            ["Bidirectional", [["LSTM", [4], EVERY_STEP]], {"merge_mode": "mul"}],
            ["Bidirectional", [["GRU", [3], {}]], {}],
            ["Dense", [1], {}],
        ],
    },
    "stacked": {
        "layers": [
            ["RNN", [[["LSTMCell", [4], {}], ["GRUCell", [5], {}]]], EVERY_STEP],
            ["RNN", [["SimpleRNNCell", [6], {}]], {"go_backwards": True}],
            ["Dense", [1], {}],
        ],
    },
    "masked": {
        "padded": True,
        "layers": [
            ["Masking", [], {}],
            ["LSTM", [5], EVERY_STEP],
            ["Bidirectional", [["GRU", [3], EVERY_STEP]], {"merge_mode": "sum"}],
            ["Dense", [1], {}],
        ],
    },
    "masked_steps": {
        "padded": True,
        "layers": [
            ["Masking", [], {}],
            ["GRU", [5], EVERY_STEP],
            ["TimeDistributed", [["Dense", [1], {}]], {}],
        ],
    },
    "stateful": {
        "stateful": True,
        "layers": [
            ["LSTM", [5], EVERY_STEP | {"stateful": True}],
            ["GRU", [4], {"stateful": True}],
            ["Dense", [1], {}],
        ],
    },
}


def run_cases(cases: Cases) -> None:
    """Fifty `train_on_batch` calls in float32 with Adam: every loss, and the last weights."""
    for name, about in RUNS.items():
        _run(cases, name, about)


def _losses(model: Any, inputs: Array, targets: Array) -> list[float]:
    losses = []
    for x, y in zip(inputs, targets, strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
    return losses


def _stateful_losses(model: Any, inputs: Array, targets: Array) -> list[float]:
    """As `_losses`, with states handed from batch to batch: on JAX, Keras itself drops them."""
    carried = [
        [np.zeros((BATCH, size), "float32") for size in layer.state_size]
        for layer in model.layers[:-1]
    ]

    def loss(weights: Any, carried: Any, x: Any, y: Any) -> Any:
        final, outputs, left = [], x, list(weights)
        for layer, states in zip(model.layers, [*carried, None], strict=True):
            own, left = left[: len(layer.weights)], left[len(layer.weights) :]
            with keras.StatelessScope(list(zip(layer.weights, own, strict=True))):
                if states is None:
                    outputs = layer(outputs)
                else:
                    layer.stateful, layer.return_state = False, True
                    outputs, *last = layer(outputs, initial_state=states)
                    final.append(last)
        return keras.ops.mean(keras.ops.square(outputs - y)), final

    step = jax.value_and_grad(loss, has_aux=True)
    losses = []
    for x, y in zip(inputs, targets, strict=True):
        weights = [weight.value for weight in model.trainable_weights]
        (value, carried), gradients = step(weights, carried, jnp.asarray(x), jnp.asarray(y))
        model.optimizer.apply(gradients, model.trainable_weights)
        losses.append(float(value))
    return losses


def _run(cases: Cases, name: str, about: dict[str, Any]) -> None:
    random = Random(name)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    layers = [build(keras.layers, spec) for spec in about["layers"]]
    model = keras.Sequential([keras.Input(batch_shape=(BATCH, TIME, FEATURES)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    weights = [random.normal(*w.shape, scale=0.4, dtype="float32") for w in model.get_weights()]
    model.set_weights(weights)
    inputs = random.normal(STEPS, BATCH, TIME, FEATURES, dtype="float32")
    if about.get("padded"):
        for batch in inputs:
            batch[~random.right_padded(BATCH, TIME)] = 0
    every_step = len(model.output_shape) == 3
    targets = inputs.prod(axis=3) if every_step else inputs.sum(axis=(2, 3)) / 4
    targets = targets[..., None]
    train = _stateful_losses if about.get("stateful") else _losses
    losses = train(model, inputs, targets)
    arrays: dict[str, Array] = {"inputs": inputs, "targets": targets, "losses": np.array(losses)}
    arrays |= {f"weight_{i}": w for i, w in enumerate(weights)}
    arrays |= {f"trained_{i}": w for i, w in enumerate(model.get_weights())}
    if not about.get("stateful"):
        model.reset_metrics()
        arrays["evaluated"] = np.array(model.test_on_batch(inputs[0], targets[0]))
    cases.add(name, about, arrays)
