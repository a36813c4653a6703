"""Golden cases of metrics, by Keras on JAX: results over several updates."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from making import Array, Cases, Random

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

    for name, (kind, options, data, rank) in MORE.items():
        _more(cases, name, kind, options, data, rank)


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


# Options, what `y_true` and `y_pred` are, and the weights' rank (0: no weights).
MORE: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "mape": ("MeanAbsolutePercentageError", {}, "numbers", 1),
    "msle": ("MeanSquaredLogarithmicError", {}, "numbers", 2),
    "log_cosh": ("LogCoshError", {}, "numbers", 0),
    "poisson": ("Poisson", {}, "numbers", 1),
    "kl": ("KLDivergence", {}, "numbers", 1),
    "hinge": ("Hinge", {}, "labels", 1),
    "squared_hinge": ("SquaredHinge", {}, "labels", 0),
    "categorical_hinge": ("CategoricalHinge", {}, "one_hot", 1),
    "binary_crossentropy": ("BinaryCrossentropy", {"label_smoothing": 0.1}, "labels", 1),
    "categorical_crossentropy": ("CategoricalCrossentropy", {"from_logits": True}, "one_hot", 1),
    "sparse_ignored": ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "classes", 0),
    "sparse_ignored_weighted": ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "classes", 1),
    "rmse": ("RootMeanSquaredError", {}, "numbers", 0),
    "rmse_weighted": ("RootMeanSquaredError", {}, "numbers", 1),
    "rmse_elements": ("RootMeanSquaredError", {}, "numbers", 2),
    "cosine": ("CosineSimilarity", {}, "numbers", 1),
    "pearson": ("PearsonCorrelation", {}, "numbers", 1),
    "concordance": ("ConcordanceCorrelation", {}, "numbers", 1),
    "r2": ("R2Score", {}, "numbers", 1),
    "r2_each": ("R2Score", {"class_aggregation": None}, "numbers", 0),
    "r2_adjusted": (
        "R2Score",
        {"class_aggregation": "variance_weighted_average", "num_regressors": 2},
        "numbers",
        0,
    ),
    "top_k": ("TopKCategoricalAccuracy", {"k": 2}, "one_hot", 1),
    "sparse_top_k": ("SparseTopKCategoricalAccuracy", {"k": 3}, "classes", 0),
    "accuracy": ("Accuracy", {}, "equal", 1),
    "true_positives": ("TruePositives", {}, "labels", 1),
    "false_positives": ("FalsePositives", {"thresholds": [0.25, 0.75]}, "labels", 1),
    "true_negatives": ("TrueNegatives", {"thresholds": [0.0, 0.5, 1.0]}, "labels", 0),
    "false_negatives": ("FalseNegatives", {"thresholds": 0.375}, "labels", 2),
    "precision": ("Precision", {}, "labels", 1),
    "precision_top_k": ("Precision", {"top_k": 2}, "labels", 1),
    "precision_class": ("Precision", {"class_id": 3, "thresholds": [0.75, 0.25]}, "labels", 1),
    "recall": ("Recall", {"thresholds": [0.125, 0.5, 0.625]}, "labels", 2),
    "recall_top_k": ("Recall", {"top_k": 2, "class_id": 1}, "labels", 0),
    "sensitivity": ("SensitivityAtSpecificity", {"specificity": 0.5}, "labels", 1),
    "specificity": (
        "SpecificityAtSensitivity", {"sensitivity": 0.75, "num_thresholds": 50}, "labels", 0,
    ),
    "precision_at_recall": ("PrecisionAtRecall", {"recall": 0.5}, "labels", 1),
    "recall_at_precision": (
        "RecallAtPrecision", {"precision": 0.5, "num_thresholds": 1}, "labels", 0,
    ),
    "auc": ("AUC", {}, "labels", 0),
    "auc_weighted": ("AUC", {"num_thresholds": 20}, "labels", 1),
    "auc_pr": ("AUC", {"curve": "PR"}, "labels", 1),
    "auc_pr_minoring": ("AUC", {"curve": "PR", "summation_method": "minoring"}, "labels", 0),
    "auc_gain": ("AUC", {"curve": "PRGAIN", "summation_method": "majoring"}, "labels", 1),
    "auc_thresholds": ("AUC", {"thresholds": [0.1, 0.35, 0.8]}, "labels", 1),
    "auc_logits": ("AUC", {"from_logits": True}, "labels", 0),
    "auc_labels": ("AUC", {"multi_label": True, "num_thresholds": 30}, "labels", 1),
    "auc_label_weights": (
        "AUC",
        {"multi_label": True, "num_labels": 5, "label_weights": [1.0, 0.5, 2.0, 0.25, 1.5]},
        "labels",
        0,
    ),
    "auc_flat_label_weights": (
        "AUC", {"label_weights": [1.0, 0.5, 2.0, 0.25, 1.5], "curve": "PR"}, "labels", 0,
    ),
    "f1": ("F1Score", {}, "one_hot", 1),
    "f1_threshold": ("F1Score", {"average": "weighted", "threshold": 0.4}, "labels", 1),
    "f_beta": ("FBetaScore", {"average": "micro", "beta": 2.0}, "one_hot", 0),
    "f_beta_macro": ("FBetaScore", {"average": "macro", "beta": 0.5}, "one_hot", 1),
    "iou": ("IoU", {"num_classes": 5, "target_class_ids": [1, 3]}, "both_classes", 0),
    "mean_iou": (
        "MeanIoU", {"num_classes": 5, "ignore_class": 2, "dtype": "float64"}, "both_classes", 1,
    ),
    "binary_iou": ("BinaryIoU", {"threshold": 0.4}, "labels", 0),
    "one_hot_iou": ("OneHotIoU", {"num_classes": 5, "target_class_ids": [0, 4]}, "one_hot", 0),
    "one_hot_mean_iou": ("OneHotMeanIoU", {"num_classes": 5}, "one_hot", 0),
}  # fmt: skip


def _more(
    cases: Cases, name: str, kind: str, options: dict[str, Any], data: str, rank: int
) -> None:
    random = Random(name)
    keras.config.set_floatx("float64")
    metric = getattr(keras.metrics, kind)(**({"dtype": None} | options))
    arrays: dict[str, Array] = {}
    results = []
    for update, batch in enumerate((6, 9, 4)):
        y_true, y_pred = _data(random, data, batch)
        arrays |= {f"y_true_{update}": y_true, f"y_pred_{update}": y_pred}
        weight = None
        if rank:
            shape = (batch,) if rank == 1 else (batch, 5)
            if kind == "MeanSquaredLogarithmicError":
                shape = (batch, 1)
            weight = random.uniform(*shape, low=0.25, high=2.0)
            arrays[f"sample_weight_{update}"] = weight
        metric.update_state(y_true, y_pred, sample_weight=weight)
        results.append(np.asarray(metric.result()))
    arrays["results"] = np.stack(results)
    cases.add(name, {"metric": kind, "updates": 3, "options": options}, arrays)


def _data(random: Random, data: str, batch: int) -> tuple[Array, Array]:
    y_pred = random.uniform(batch, 5)
    classes = random.rng.integers(0, 5, size=batch)
    if data == "numbers":
        return random.uniform(batch, 5), y_pred
    if data == "labels":
        return (random.uniform(batch, 5) < 0.4).astype("float64"), y_pred
    if data == "equal":
        return random.rng.integers(0, 2, (batch, 5)), random.rng.integers(0, 2, (batch, 5))
    if data == "both_classes":
        return classes, random.rng.integers(0, 5, size=batch)
    return (classes if data == "classes" else np.eye(5)[classes]), y_pred
