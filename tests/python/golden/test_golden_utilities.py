"""Windows, padding, labels and norms against Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case

GOLDEN = json.loads((Path(__file__).parent / "utilities.json").read_text(encoding="utf-8"))
ROWS, GOALS = np.arange(1, 43).reshape(21, 2), np.arange(100, 118)


def plain(batches: Any) -> list[Any]:
    return [[part.tolist() for part in batch] for batch in batches]


@each_case(("case", "expected"), GOLDEN["windows"])
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


@each_case(("case", "expected"), GOLDEN["padded"])
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


TEXTS = ["The cat sat on the mat.", "The dog, the CAT & a bird!", "A dog ran", ""]


@pytest.mark.parametrize("case", GOLDEN["tokenizers"], ids=lambda case: str(case["options"]))
def test_tokenizers_number_words_as_keras_does(case: dict[str, Any]) -> None:
    made = keras.preprocessing.text.Tokenizer(**case["options"])
    made.fit_on_texts(TEXTS[:3])
    read = keras.preprocessing.text.tokenizer_from_json(case["json"])
    for tokenizer in (made, read):
        assert tokenizer.word_index == case["word_index"]
        sequences = tokenizer.texts_to_sequences([*TEXTS, "a new cat"])
        assert sequences == case["sequences"]
        assert tokenizer.sequences_to_texts([*sequences, [1, 99, 2]]) == case["texts"]
        for mode, expected in case["matrices"]:
            matrix = tokenizer.texts_to_matrix(TEXTS, mode)
            np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    config, theirs = json.loads(made.to_json())["config"], json.loads(case["json"])["config"]
    assert {**config, "word_docs": 0, "index_docs": 0} == {
        **theirs,
        "word_docs": 0,
        "index_docs": 0,
    }
    for name in ("word_docs", "index_docs"):  # gathered from sets, in any order
        assert json.loads(config[name]) == json.loads(theirs[name])


def test_hashed_words_are_those_of_keras() -> None:
    assert keras.preprocessing.text.hashing_trick(TEXTS[1], 50, "md5") == GOLDEN["hashed"]
