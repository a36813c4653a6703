"""Golden cases of losses, optimizers, metrics and whole training runs, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src import backend

from making import Array, Cases, Random

LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "mse": ("MeanSquaredError", {}),
    "mae": ("MeanAbsoluteError", {}),
    "binary": ("BinaryCrossentropy", {}),
    "binary_smooth": ("BinaryCrossentropy", {"label_smoothing": 0.2}),
    "binary_logits": ("BinaryCrossentropy", {"from_logits": True}),
    "binary_logits_smooth": ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    "categorical": ("CategoricalCrossentropy", {}),
    "categorical_smooth": ("CategoricalCrossentropy", {"label_smoothing": 0.2}),
    "categorical_logits": ("CategoricalCrossentropy", {"from_logits": True}),
    "categorical_logits_smooth": (
        "CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1},
    ),
    "sparse": ("SparseCategoricalCrossentropy", {}),
    "sparse_logits": ("SparseCategoricalCrossentropy", {"from_logits": True}),
}  # fmt: skip
VARIANTS: dict[str, tuple[bool, bool, str]] = {
    "plain": (False, False, "sum_over_batch_size"),
    "weighted": (True, False, "sum_over_batch_size"),
    "masked": (False, True, "sum_over_batch_size"),
    "both": (True, True, "sum_over_batch_size"),
    "sum": (True, True, "sum"),
    "none": (True, False, "none"),
}


def loss_cases(cases: Cases) -> None:
    """Each loss on `[batch, time, classes]`, with weights and masks; and the clipped edges."""
    for name, (kind, options) in LOSSES.items():
        for variant, (weighted, masked, reduction) in VARIANTS.items():
            random = Random(f"{name}-{variant}")
            y_true, y_pred = _targets(random, kind, options)
            arrays = {"y_true": y_true, "y_pred": y_pred}
            if weighted:
                arrays["sample_weight"] = random.uniform(4, 3, low=0.25, high=2.0)
            if masked:
                arrays["mask"] = random.right_padded(4, 3)
            _loss(cases, f"{name}-{variant}", kind, options | {"reduction": reduction}, arrays)
    for kind, y_true in [
        ("BinaryCrossentropy", np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])),
        ("CategoricalCrossentropy", np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])),
        ("SparseCategoricalCrossentropy", np.array([1, 0])),
    ]:
        edges = np.array([[0.0, 1.0, 0.5, 0.25], [1.0, 0.0, 0.75, 0.125]])
        _loss(cases, f"edges-{kind}", kind, {}, {"y_true": y_true, "y_pred": edges})


def _targets(random: Random, kind: str, options: dict[str, Any]) -> tuple[Array, Array]:
    shape = (4, 3, 5)
    logits = options.get("from_logits", False)
    squared = kind.startswith("Mean")
    y_pred = random.normal(*shape, scale=2.0) if logits or squared else random.uniform(*shape)
    if squared:
        return random.normal(*shape), y_pred
    if kind == "BinaryCrossentropy":
        return (random.uniform(*shape) < 0.5).astype("float64"), y_pred
    classes = random.rng.integers(0, 5, size=shape[:2])
    return (classes if kind.startswith("Sparse") else np.eye(5)[classes]), y_pred


def _loss(
    cases: Cases, name: str, kind: str, options: dict[str, Any], arrays: dict[str, Array]
) -> None:
    keras.config.set_floatx("float64")
    loss = getattr(keras.losses, kind)(dtype="float64", **options)

    def value(y_pred: Any) -> Any:
        if "mask" in arrays:
            backend.set_keras_mask(y_pred, jnp.asarray(arrays["mask"]))
        return loss(arrays["y_true"], y_pred, sample_weight=arrays.get("sample_weight"))

    result = value(jnp.asarray(arrays["y_pred"]))
    direction = Random(f"{name}-direction").normal(*result.shape)
    d_pred = jax.grad(lambda p: jnp.sum(direction * value(p)))(jnp.asarray(arrays["y_pred"]))
    made = {"value": result, "d_value": direction, "d_pred": d_pred}
    cases.add(name, {"loss": kind, "options": options}, arrays | made)


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd_momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "sgd_clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}),
    "sgd_clipvalue": ("SGD", {"learning_rate": 0.1, "momentum": 0.5, "clipvalue": 0.5}),
    "sgd_decay": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.9}),
    "rmsprop_centered": ("RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-3}),
    "adam": ("Adam", {}),
    "adam_amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "adam_betas": ("Adam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    "adam_global_clipnorm": ("Adam", {"learning_rate": 0.01, "global_clipnorm": 0.7}),
    "adam_decay": ("Adam", {"learning_rate": 0.01, "weight_decay": 0.1}),
}
SHAPES = [(3, 4), (5,), (2, 3, 2)]
STEPS = 20


def optimizer_cases(cases: Cases) -> None:
    """Three variables after 1, 2 and 20 steps on given gradients, in both dtypes."""
    for name, (kind, options) in OPTIMIZERS.items():
        for dtype in ("float64", "float32"):
            _optimizer(cases, f"{name}-{dtype}", kind, options, dtype)


def _optimizer(cases: Cases, name: str, kind: str, options: dict[str, Any], dtype: str) -> None:
    random = Random(name)
    keras.config.set_floatx(dtype)
    values = [random.normal(*shape, dtype=dtype) for shape in SHAPES]
    variables = [keras.Variable(v, dtype=dtype, name=f"v{i}") for i, v in enumerate(values)]
    optimizer = getattr(keras.optimizers, kind)(**options)
    optimizer.build(variables)
    arrays: dict[str, Array] = {f"value_{i}": v for i, v in enumerate(values)}
    steps = [[random.normal(*s, scale=0.8, dtype=dtype) for s in SHAPES] for _ in range(STEPS)]
    for i in range(len(SHAPES)):
        arrays[f"gradients_{i}"] = np.stack([step[i] for step in steps])
    for step, gradients in enumerate(steps, start=1):
        optimizer.apply([jnp.asarray(g) for g in gradients], variables)
        if step in (1, 2, STEPS):
            arrays |= {f"after_{step}_{i}": np.array(v.value) for i, v in enumerate(variables)}
    cases.add(name, {"optimizer": kind, "options": options, "dtype": dtype}, arrays)


METRICS = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "MeanAbsoluteError",
    "MeanSquaredError",
]


def metric_cases(cases: Cases) -> None:
    """Results after each of three updates, without and with sample weights, of ranks 2 and 3."""
    for kind in METRICS:
        for weighted in (False, True):
            for rank in (2, 3):
                _metric(
                    cases, f"{kind}-{rank}{'-weighted' if weighted else ''}", kind, weighted, rank
                )


def _metric(cases: Cases, name: str, kind: str, weighted: bool, rank: int) -> None:
    random = Random(name)
    keras.config.set_floatx("float64")
    metric = getattr(keras.metrics, kind)(dtype="float64")
    arrays: dict[str, Array] = {}
    results = []
    for update, batch in enumerate((4, 7, 1)):
        lead = (batch,) if rank == 2 else (batch, 3)
        y_pred = random.uniform(*lead, 5)
        if kind == "BinaryAccuracy":
            y_true: Array = (random.uniform(*lead, 5) < 0.5).astype("float64")
        elif kind.startswith("Mean"):
            y_true = random.normal(*lead, 5)
        else:
            y_true = random.rng.integers(0, 5, size=lead)
            y_pred[..., 2] += 0.25
            y_true = y_true if kind.startswith("Sparse") else np.eye(5)[y_true]
        weight = random.uniform(*lead, low=0.25, high=2.0) if weighted else None
        arrays |= {f"y_true_{update}": y_true, f"y_pred_{update}": y_pred}
        if weight is not None:
            arrays[f"sample_weight_{update}"] = weight
        metric.update_state(y_true, y_pred, sample_weight=weight)
        results.append(np.asarray(metric.result()))
    arrays["results"] = np.stack(results)
    cases.add(name, {"metric": kind, "updates": 3}, arrays)


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
    """Twenty `train_on_batch` calls in float32: loss and metric of every step, last weights."""
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
    inputs = random.normal(20, 8, 6, 3, dtype="float32")
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
