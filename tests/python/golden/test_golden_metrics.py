"""Metrics against Keras, over three updates of different sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import ferrnn
import golden


@pytest.fixture(autouse=True)
def _default_dtype() -> Iterator[None]:
    yield
    ferrnn.config.set_floatx("float32")


@pytest.mark.parametrize("name", golden.names("metrics"))
def test_results_are_those_of_keras(name: str) -> None:
    case = golden.load("metrics", name)
    # Keras compares predictions with thresholds in the default dtype.
    ferrnn.config.set_floatx("float64")
    metric = getattr(ferrnn.metrics, case.about["metric"])(**case.about.get("options", {}))
    for update, expected in enumerate(case["results"]):
        weight = case.get(f"sample_weight_{update}")
        y_true, y_pred = case[f"y_true_{update}"], case[f"y_pred_{update}"]
        metric.update_state(y_true, y_pred, sample_weight=weight)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)
    distinct = {np.asarray(result).tobytes() for result in case["results"]}
    assert len(distinct) > 1, "one result three times proves little"
    metric.reset_state()
    metric.update_state(case["y_true_0"], case["y_pred_0"], case.get("sample_weight_0"))
    np.testing.assert_allclose(metric.result(), case["results"][0], rtol=1e-6)
