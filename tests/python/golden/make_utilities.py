"""Makes utilities.json beside it: windows, padding, labels and norms by Keras.

Run it as `make_golden.py` is run, with the package grain installed too: without TensorFlow, Keras
makes windows with it.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.legacy.preprocessing import text
from keras.src.legacy.preprocessing.sequence import TimeseriesGenerator

HERE = Path(__file__).parent
WINDOWS: list[dict[str, Any]] = [
    {"sequence_length": 4, "batch_size": 3},
    {"sequence_length": 4, "batch_size": 5, "sequence_stride": 2, "sampling_rate": 3},
    {"sequence_length": 3, "batch_size": 4, "start_index": 5, "end_index": 17},
    {"sequence_length": 3, "batch_size": 4, "start_index": 2, "sequence_stride": 3},
    {"sequence_length": 20, "batch_size": 4},
    {"sequence_length": 1, "batch_size": 64, "end_index": 9, "sampling_rate": 4},
]
GENERATORS: list[dict[str, Any]] = [
    {"length": 4, "batch_size": 3},
    {"length": 4, "batch_size": 4, "sampling_rate": 2, "stride": 3},
    {"length": 5, "batch_size": 3, "start_index": 2, "end_index": 15, "reverse": True},
]
PADDED: list[dict[str, Any]] = [
    {"sequences": [[1], [2, 3], [4, 5, 6], []]},
    {"sequences": [[1], [2, 3], [4, 5, 6]], "maxlen": 2, "padding": "post"},
    {"sequences": [[1], [2, 3], [4, 5, 6]], "maxlen": 2, "truncating": "post", "value": 9},
    {"sequences": [[1.5], [2.5, 3.5]], "dtype": "float32", "value": -1.0},
    {"sequences": [[[1, 2]], [[3, 4], [5, 6]]], "padding": "post"},
    {"sequences": [["a"], ["b", "c"]], "dtype": "<U2", "value": "pad"},
]
CATEGORICAL: list[tuple[Any, int | None]] = [
    ([0, 2, 1], None),
    ([[1], [3]], 5),
    ([[0, 1], [2, 0]], None),
    ([1.0, 0.0], None),
]
NORMS: list[tuple[Any, dict[str, Any]]] = [
    ([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], {}),
    ([[3.0, -4.0, 1.0], [1.0, 2.0, 3.0]], {"order": 1}),
    ([3.0, 4.0], {}),
]


TEXTS = ["The cat sat on the mat.", "The dog, the CAT & a bird!", "A dog ran", ""]
TOKENIZERS: list[dict[str, Any]] = [
    {},
    {"num_words": 4, "oov_token": "<OOV>"},
    {"num_words": 5, "lower": False},
    {"char_level": True, "num_words": 9},
    {"filters": ".", "split": "a"},
]


def tokenized(options: dict[str, Any]) -> dict[str, Any]:
    made = text.Tokenizer(**options)
    made.fit_on_texts(TEXTS[:3])
    sequences = made.texts_to_sequences([*TEXTS, "a new cat"])
    modes = ("binary", "count", "freq", "tfidf")
    return {
        "options": options,
        "word_index": made.word_index,
        "sequences": sequences,
        "texts": made.sequences_to_texts([*sequences, [1, 99, 2]]),
        "matrices": [[mode, made.texts_to_matrix(TEXTS, mode).tolist()] for mode in modes],
        "json": made.to_json(),
    }


def batches(made: Any) -> list[Any]:
    return [[np.asarray(part).tolist() for part in batch] for batch in made]


def main() -> None:
    rows = np.arange(1, 43).reshape(21, 2)
    goals = np.arange(100, 118)
    windows = keras.utils.timeseries_dataset_from_array
    made = {
        "keras": keras.__version__,
        "windows": [
            [case, batches(windows(rows, goals, format="grain", **case))] for case in WINDOWS
        ],
        "alone": [np.asarray(b).tolist() for b in windows(rows, None, 6, format="grain")],
        "generators": [
            [case, batches(TimeseriesGenerator(rows, np.arange(21), **case))] for case in GENERATORS
        ],
        "padded": [[case, keras.utils.pad_sequences(**case).tolist()] for case in PADDED],
        "categorical": [
            [x, count, keras.utils.to_categorical(x, count).tolist()] for x, count in CATEGORICAL
        ],
        "hashed": text.hashing_trick(TEXTS[1], 50, "md5"),
        "tokenizers": [tokenized(options) for options in TOKENIZERS],
        "norms": [
            [x, case, keras.utils.normalize(np.array(x), **case).tolist()] for x, case in NORMS
        ],
    }
    (HERE / "utilities.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
