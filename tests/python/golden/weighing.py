"""Combinations of the shapes of targets, outputs, weights and masks, and the metrics to weigh."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BATCH, TIME, FEATURES = 4, 3, 2
TARGETS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "last": ((4, 1), (4, 1)),
    "last-flat": ((4,), (4, 1)),
    "last-features": ((4, 2), (4, 2)),
    "steps": ((4, 3, 1), (4, 3, 1)),
    "steps-flat": ((4, 3), (4, 3, 1)),
    "steps-features": ((4, 3, 2), (4, 3, 2)),
    "labels": ((4, 3), (4, 3, 2)),
    "labels-axis": ((4, 3, 1), (4, 3, 2)),
}
WEIGHTS: dict[str, tuple[int, ...] | None] = {
    "none": None,
    "scalar": (),
    "one": (1,),
    "batch": (4,),
    "batch-1": (4, 1),
    "1-1": (1, 1),
    "steps": (4, 3),
    "1-time": (1, 3),
    "time": (3,),
    "steps-1": (4, 3, 1),
    "batch-1-1": (4, 1, 1),
    "1-time-1": (1, 3, 1),
    "1-1-1": (1, 1, 1),
    "features": (4, 3, 2),
}
MEASURES = {
    "plain": ("loss", "mae", "MeanAbsoluteError", "RootMeanSquaredError", "CosineSimilarity"),
    "binary": ("BinaryAccuracy", "Precision", "AUC", "TruePositives"),
    "labels": ("SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SparseCrossentropy"),
}

LOSSES = {"loss": "mse", "SparseCrossentropy": "sparse_categorical_crossentropy"}


def measures(target: str) -> tuple[str, ...]:
    """The names of the measures for targets of this kind."""
    if target.startswith("labels"):
        return MEASURES["labels"]
    return (*MEASURES["plain"], *MEASURES["binary"])


def combinations() -> list[tuple[str, str, bool, str]]:
    """Kinds of targets and of weights, whether there is a mask, and what is measured."""
    found = []
    for target, weight, masked in itertools.product(TARGETS, WEIGHTS, (False, True)):
        if masked and len(TARGETS[target][1]) < 3:
            continue
        found += [(target, weight, masked, measure) for measure in measures(target)]
    return found


def data(target: str, weight: str, masked: bool) -> dict[str, Any]:
    """Targets, outputs, weights and the mask; outputs are 0 where they are masked."""
    rng = np.random.default_rng(zlib.crc32(f"{target}-{masked}".encode()))
    true_shape, pred_shape = TARGETS[target]
    pred = (rng.integers(16, 240, size=pred_shape) / 256.0).astype("float32")
    true: Array = rng.integers(0, 2, size=true_shape).astype("float32")
    if masked:
        mask = np.arange(TIME) < np.array([3, 1, 2, 3])[:, None]
        pred = pred * mask[..., None].astype("float32")
    shape = WEIGHTS[weight]
    given = None
    if shape is not None:
        given = rng.integers(32, 512, size=shape).astype("float32") / np.float32(256.0)
    return {"y_true": true, "y_pred": pred, "sample_weight": given, "masked": masked}
