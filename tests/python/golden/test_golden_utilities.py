"""Windows, padding, labels and norms against Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ferrnn as keras

GOLDEN = json.loads((Path(__file__).parent / "utilities.json").read_text(encoding="utf-8"))
ROWS, GOALS = np.arange(1, 43).reshape(21, 2), np.arange(100, 118)


def plain(batches: Any) -> list[Any]:
    return [[part.tolist() for part in batch] for batch in batches]


@pytest.mark.parametrize(("case", "expected"), GOLDEN["windows"])
def test_windows_are_those_of_keras(case: dict[str, Any], expected: list[Any]) -> None:
    made = keras.utils.timeseries_dataset_from_array(ROWS, GOALS, **case)
    assert plain(made) == plain(made) == expected
    assert len(made) == len(expected)


def test_windows_without_targets_are_those_of_keras() -> None:
    made = keras.preprocessing.timeseries_dataset_from_array(ROWS, None, 6)
    assert [batch.tolist() for batch in made] == GOLDEN["alone"]


@pytest.mark.parametrize(("case", "expected"), GOLDEN["generators"])
def test_generated_batches_are_those_of_keras(case: dict[str, Any], expected: list[Any]) -> None:
    made = keras.preprocessing.sequence.TimeseriesGenerator(ROWS, np.arange(21), **case)
    assert plain(made) == expected
    assert len(made) == len(expected)


@pytest.mark.parametrize(("case", "expected"), GOLDEN["padded"])
def test_padded_sequences_are_those_of_keras(case: dict[str, Any], expected: list[Any]) -> None:
    made = keras.utils.pad_sequences(**case)
    assert made.tolist() == expected
    assert made.dtype == case.get("dtype", "int32")


@pytest.mark.parametrize(("labels", "count", "expected"), GOLDEN["categorical"])
def test_one_hot_labels_are_those_of_keras(labels: Any, count: int, expected: Any) -> None:
    made = keras.utils.to_categorical(labels, count)
    assert made.tolist() == expected
    assert made.dtype == np.float64


@pytest.mark.parametrize(("values", "options", "expected"), GOLDEN["norms"])
def test_norms_are_those_of_keras(values: Any, options: dict[str, Any], expected: Any) -> None:
    made = keras.utils.normalize(np.array(values), **options)
    assert made.shape == np.shape(expected)
    np.testing.assert_allclose(made, expected, rtol=1e-12)
