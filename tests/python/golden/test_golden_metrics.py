"""Metrics against Keras, over three updates of different sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import ferrnn
import golden
from each_case import each_case


@pytest.fixture(autouse=True)
def _default_dtype() -> Iterator[None]:
    yield
    ferrnn.config.set_floatx("float32")


def _adjusted_by_samples(score: float, metric: ferrnn.metrics.R2Score, features: int) -> float:
    """Keras up to 3.15 counts a sample once for each of its features."""
    samples, regressors = float(metric.num_samples), metric.num_regressors
    entries = samples * features
    missing = (1 - score) * (entries - regressors - 1) / (entries - 1)
    return float(1 - missing * (samples - 1) / (samples - regressors - 1))


@each_case("name", golden.names("metrics"))
def test_results_are_those_of_keras(name: str) -> None:
    case = golden.load("metrics", name)
    # Keras compares predictions with thresholds in the default dtype.
    ferrnn.config.set_floatx("float64")
    metric = getattr(ferrnn.metrics, case.about["metric"])(**case.about.get("options", {}))
    for update, result in enumerate(case["results"]):
        weight = case.get(f"sample_weight_{update}")
        y_true, y_pred = case[f"y_true_{update}"], case[f"y_pred_{update}"]
        metric.update_state(y_true, y_pred, sample_weight=weight)
        adjusted = name == "r2_adjusted"
        expected = _adjusted_by_samples(result, metric, y_true.shape[1]) if adjusted else result
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)
    distinct = {np.asarray(result).tobytes() for result in case["results"]}
    assert len(distinct) > 1, "one result three times proves little"
    metric.reset_state()
    metric.update_state(case["y_true_0"], case["y_pred_0"], case.get("sample_weight_0"))
    expected = case["results"][0]
    if name == "r2_adjusted":
        expected = _adjusted_by_samples(expected, metric, case["y_true_0"].shape[1])
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)
