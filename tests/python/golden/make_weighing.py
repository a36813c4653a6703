"""Golden values of weighted losses and metrics of all combinations of shapes, by Keras on NumPy.

`KERAS_BACKEND=numpy python make_weighing.py` writes `weighing.json`; it holds what Keras accepts.
Some metrics of Keras count masked steps; for these, masked steps get the weight 0. A loss whose
weights have two axes more than its values is left out: Keras multiplies each value by each weight.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from weighing import LOSSES, combinations, data

BLIND = ("RootMeanSquaredError", "Precision", "AUC", "TruePositives")


def where_real(weight: Any, mask: Any) -> Any:
    """A weight for each step, 0 where it is masked."""
    full = np.ones((), "float32") if weight is None else np.asarray(weight)
    if full.ndim == 3:
        return full * mask[..., None]
    return (full[:, None] if full.shape == (len(mask),) else full) * mask


def measured(measure: str, about: dict[str, Any]) -> float | None:
    """The value, None where Keras refuses or fails, or gives no number."""
    pred = about["y_pred"]
    masking = [keras.layers.Masking()] if about["masked"] else []
    model = keras.Sequential(
        [keras.Input(pred.shape[1:]), *masking, keras.layers.Activation("linear")]
    )
    of_loss = measure in LOSSES
    metric = measure if of_loss or measure == "mae" else getattr(keras.metrics, measure)(name="it")
    model.compile(loss=LOSSES.get(measure, "mse"), weighted_metrics=[] if of_loss else [metric])
    true, weight = about["y_true"], about["sample_weight"]
    if of_loss and np.size(weight) > 1 and np.ndim(weight) > min(true.ndim, pred.ndim):
        return None
    outputs = model(pred)

    def of_metric(weight: Any) -> Any:
        model.reset_metrics()
        return list(model.compute_metrics(pred, true, outputs, weight).values())[-1]

    try:
        if of_loss:
            value = np.asarray(model.compute_loss(pred, true, outputs, weight))
        else:
            value = np.asarray(of_metric(weight))
            if about["masked"] and measure in BLIND:
                value = np.asarray(of_metric(where_real(weight, pred.any(-1))))
    except Exception:  # noqa: BLE001 - whatever it is, Keras does not do it
        return None
    return float(value) if value.ndim == 0 and np.isfinite(value) else None


def main() -> None:
    """Writes the table."""
    warnings.simplefilter("ignore")
    found = {}
    for target, weight, masked, measure in combinations():
        value = measured(measure, data(target, weight, masked))
        if value is not None:
            found[f"{target}/{weight}/{'masked' if masked else 'whole'}/{measure}"] = value
    table = {"versions": {"keras": keras.__version__}, "values": found}
    path = Path(__file__).parent / "weighing.json"
    path.write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")
    print(len(combinations()), len(found))


if __name__ == "__main__":
    main()
