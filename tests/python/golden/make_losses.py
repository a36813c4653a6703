"""Golden cases of losses, by Keras on JAX: values and gradients with respect to the predictions."""

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
MORE_LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "mape": ("MeanAbsolutePercentageError", {}),
    "msle": ("MeanSquaredLogarithmicError", {}),
    "huber": ("Huber", {"delta": 0.75}),
    "log_cosh": ("LogCosh", {}),
    "cosine": ("CosineSimilarity", {}),
    "cosine_axis": ("CosineSimilarity", {"axis": 1}),
    "poisson": ("Poisson", {}),
    "kl": ("KLDivergence", {}),
    "hinge": ("Hinge", {}),
    "hinge_signs": ("Hinge", {}),
    "squared_hinge": ("SquaredHinge", {}),
    "categorical_hinge": ("CategoricalHinge", {}),
    "binary_focal": ("BinaryFocalCrossentropy", {"gamma": 1.5, "label_smoothing": 0.1}),
    "binary_focal_balanced": (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.3, "from_logits": True},
    ),
    "categorical_focal": (
        "CategoricalFocalCrossentropy", {"alpha": 0.4, "gamma": 2.5, "label_smoothing": 0.1},
    ),
    "categorical_focal_logits": (
        "CategoricalFocalCrossentropy",
        {"alpha": [0.25, 0.5, 0.75, 1.0, 1.25], "from_logits": True},
    ),
    "categorical_axis": ("CategoricalCrossentropy", {"axis": 1}),
    "binary_axis": ("BinaryCrossentropy", {"axis": 1}),
    "generalized": ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}),
    "dice": ("Dice", {}),
    "dice_axis": ("Dice", {"axis": -1}),
    "tversky": ("Tversky", {"alpha": 0.3, "beta": 0.7}),
    "tversky_axis": ("Tversky", {"alpha": 0.3, "beta": 0.7, "axis": -1}),
}  # fmt: skip
MORE_VARIANTS = ("plain", "both", "none")
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
    _more_losses(cases)
    _other_means(cases)
    _similarity_and_alignment(cases)
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


WHOLE = ("Dice", "Tversky")


def _more_losses(cases: Cases) -> None:
    for name, (kind, options) in MORE_LOSSES.items():
        # Without an axis of steps there is nothing that a mask could mask.
        variants = (
            MORE_VARIANTS if options.get("axis", -1) == -1 and kind not in WHOLE else ("plain",)
        )
        for variant in variants:
            weighted, masked, reduction = VARIANTS[variant]
            random = Random(f"{name}-{variant}")
            y_true, y_pred = _more_targets(random, name, kind, options)
            arrays = {"y_true": y_true, "y_pred": y_pred}
            if weighted:
                arrays["sample_weight"] = random.uniform(4, 3, low=0.25, high=2.0)
            if masked:
                arrays["mask"] = random.right_padded(4, 3)
            _loss(cases, f"{name}-{variant}", kind, options | {"reduction": reduction}, arrays)


def _other_means(cases: Cases) -> None:
    for reduction in ("mean", "mean_with_sample_weight"):
        for masked in (False, True):
            name = f"{reduction}-{'both' if masked else 'weighted'}"
            random = Random(name)
            arrays = {"y_true": random.normal(4, 3, 5), "y_pred": random.normal(4, 3, 5)}
            arrays["sample_weight"] = random.uniform(4, 3, low=0.25, high=2.0)
            if masked:
                arrays["mask"] = random.right_padded(4, 3)
            _loss(cases, name, "Huber", {"reduction": reduction}, arrays)


def _more_targets(
    random: Random, name: str, kind: str, options: dict[str, Any]
) -> tuple[Array, Array]:
    shape = (4, 3, 5)
    if name in ("mape", "huber", "log_cosh", "cosine", "cosine_axis"):
        return random.normal(*shape), random.normal(*shape)
    if kind.endswith("Hinge"):
        labels = (random.uniform(*shape) < 0.5).astype("float64")
        if kind == "CategoricalHinge":
            labels = np.eye(5)[random.rng.integers(0, 5, size=shape[:2])]
        # Off the grid of 1/256: 1 is a kink.
        y_pred = random.normal(*shape) + 1.0 / 512
        return (2 * labels - 1 if name == "hinge_signs" else labels), y_pred
    logits = options.get("from_logits", False)
    y_pred = random.normal(*shape, scale=2.0) if logits else random.uniform(*shape)
    if kind.startswith("Categorical"):
        classes = random.rng.integers(0, shape[options.get("axis", -1)], size=shape[:2])
        if "axis" in options:
            return np.moveaxis(np.eye(3)[random.rng.integers(0, 3, size=(4, 5))], -1, 1), y_pred
        return (classes if "Generalized" in kind else np.eye(5)[classes]), y_pred
    if kind in ("BinaryCrossentropy", "BinaryFocalCrossentropy", *WHOLE):
        return (random.uniform(*shape) < 0.5).astype("float64"), y_pred
    return random.uniform(*shape), y_pred


def _similarity_and_alignment(cases: Cases) -> None:
    """Circle on embeddings of norm 1, CTC on logits; whole-batch losses with weights."""
    for name, options in {
        "circle": {"gamma": 4.0, "margin": 0.3},
        "circle_diagonal": {"gamma": 2.0, "remove_diagonal": False},
    }.items():
        random = Random(name)
        embeddings = random.normal(7, 4)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        if name == "circle_diagonal":
            embeddings *= 0.875  # a distance of exactly 0 to itself would be a kink
        arrays = {"y_true": np.array([0, 1, 1, 2, 0, 1, 0]), "y_pred": embeddings}
        arrays["sample_weight"] = random.uniform(7, low=0.25, high=2.0)
        _loss(cases, name, "Circle", options, arrays)
    random = Random("ctc")
    labels = np.array([[1, 1, 2, 0], [3, 0, 0, 0], [2, 1, 3, 3], [0, 0, 0, 0]])
    arrays = {"y_true": labels, "y_pred": random.normal(4, 6, 4)}
    arrays["sample_weight"] = random.uniform(4, low=0.25, high=2.0)
    _loss(cases, "ctc", "CTC", {}, arrays)
    for name in ("dice", "tversky"):
        random = Random(f"{name}-weighted")
        arrays = {"y_true": (random.uniform(3, 5) < 0.5).astype("float64")}
        arrays |= {"y_pred": random.uniform(3, 5)}
        arrays["sample_weight"] = random.uniform(3, low=0.25, high=2.0)
        _loss(cases, f"{name}-weighted", name.title(), {}, arrays)


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
