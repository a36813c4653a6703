"""Golden cases of metrics, by Keras on JAX: results over several updates."""

from __future__ import annotations

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
