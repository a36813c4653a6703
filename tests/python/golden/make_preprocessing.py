"""Makes `preprocessing.json` and `texts.keras`: what real Keras makes of texts and categories.

These layers of Keras are written in TensorFlow, so the script needs an environment with it::

    python3.11 -m venv /tmp/texts && /tmp/texts/bin/pip install keras==3.15.1 tensorflow-cpu h5py
    /tmp/texts/bin/python tests/python/golden/make_preprocessing.py

A case is a layer, its options, what it is adapted to and called on; and Keras' vocabulary, outputs,
output shape and configuration.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
TEXTS = ["The cat, sat on the mat!", "a dog\u00a0barked\tÉcole é", "", "the the cat", "x-y_z's 1"]
WORDS = [["b", "a", "b"], ["z", "b", "a"], ["ä", "", "[UNK]"]]
IDS = [[5, 5, 7], [7, 9, -1], [-4, 9, 0]]
VALUES = np.round(np.random.default_rng(2).normal(size=(40, 3)) * 8) / 8
KEYS = ["b", "a", "z"]
PADDED = {"max_tokens": 12, "pad_to_max_tokens": True}

# The layer, its options, what it is adapted to (or None), what it is called on.
CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    *(
        ("TextVectorization", options, TEXTS, [*TEXTS, "the zebra sat"])
        for options in (
            {},
            {"standardize": None},
            {"standardize": "lower"},
            {"standardize": "strip_punctuation"},
            {"split": "character"},
            {"ngrams": 2},
            {"ngrams": [1, 3]},
            {"max_tokens": 5},
            {"output_sequence_length": 3},
            {"output_sequence_length": 9},
            {"output_mode": "multi_hot"},
            {"output_mode": "count"},
            {"output_mode": "count", **PADDED, "max_tokens": 20},
            {"output_mode": "tf_idf"},
            {"output_mode": "tf_idf", **PADDED},
            {"output_mode": "tf_idf", "ngrams": 2, "max_tokens": 6},
        )
    ),
    ("TextVectorization", {"vocabulary": ["the", "cat"]}, None, [["the cat"], ["dog the"]]),
    ("TextVectorization", {"vocabulary": ["", "[UNK]", "the"]}, None, "the cat"),
    (
        "TextVectorization",
        {"output_mode": "tf_idf", "vocabulary": ["the", "cat"], "idf_weights": [0.25, 2.0]},
        None,
        ["the the cat", "dog"],
    ),
    ("TextVectorization", {"split": None}, WORDS, WORDS),
    ("TextVectorization", {"split": None, "output_sequence_length": 2}, WORDS, WORDS),
    *(
        ("StringLookup", options, WORDS, [["a", "q", "b"], ["", "[UNK]", "ä"]])
        for options in (
            {},
            {"mask_token": ""},
            {"max_tokens": 3},
            {"oov_token": "b"},
            {"output_mode": "one_hot"},
            {"output_mode": "multi_hot"},
            {"output_mode": "multi_hot", "mask_token": ""},
            {"output_mode": "count", **PADDED},
            {"output_mode": "tf_idf"},
        )
    ),
    ("StringLookup", {"vocabulary": KEYS, "num_oov_indices": 0}, None, [["a", "z"]]),
    ("StringLookup", {"vocabulary": KEYS, "mask_token": "z0"}, None, ["z0", "a", "q"]),
    ("StringLookup", {"vocabulary": KEYS, "output_mode": "multi_hot"}, None, "a"),
    ("StringLookup", {"vocabulary": KEYS, "output_mode": "one_hot"}, None, [["a"], ["q"]]),
    ("StringLookup", {"vocabulary": KEYS, "invert": True}, None, [[0, 1], [3, 9]]),
    (
        "StringLookup",
        {"vocabulary": KEYS, "invert": True, "mask_token": "", "oov_token": "?"},
        None,
        [[0, 1], [2, 4]],
    ),
    *(
        ("IntegerLookup", options, IDS, [[5, 8, 9], [0, -1, 7]])
        for options in (
            {},
            {"mask_token": 0},
            {"num_oov_indices": 3},
            {"output_mode": "count"},
            {"output_mode": "tf_idf"},
        )
    ),
    (
        "IntegerLookup",
        {"vocabulary": [12, 36], "num_oov_indices": 2, "mask_token": 0},
        None,
        [12, 5, -3, 0, 6],
    ),
    ("IntegerLookup", {"vocabulary": [5, 7], "mask_token": 0, "invert": True}, None, [0, 1, 2, 3]),
    ("CategoryEncoding", {"num_tokens": 4}, None, [[0, 1], [0, 0], [1, 2], [3, 1]]),
    ("CategoryEncoding", {"num_tokens": 4, "output_mode": "one_hot"}, None, [3, 2, 0, 1]),
    ("CategoryEncoding", {"num_tokens": 3, "output_mode": "count"}, None, [[0, 1], [0, 0]]),
    ("CategoryEncoding", {"num_tokens": 3, "output_mode": "count"}, None, [2, 1, 2]),
    ("Discretization", {"bin_boundaries": [0.0, 1.0, 2.0]}, None, [[-1.5, 1.0, 3.4, 0.5]]),
    (
        "Discretization",
        {"bin_boundaries": [0.0, 1.0], "output_mode": "one_hot"},
        None,
        [[-1.5], [1.0]],
    ),
    ("Discretization", {"num_bins": 4, "epsilon": 0.05}, VALUES.tolist(), [[-1.5, 0.25, 3.0]]),
    ("Discretization", {"num_bins": 3}, VALUES.tolist(), [[-1.5, 0.25, 3.0]]),
    ("Normalization", {"axis": -1}, VALUES.tolist(), [[0.5, 1.0, -2.0]]),
    ("Normalization", {"axis": None, "invert": True}, VALUES.tolist(), [[0.5, 1.0, -2.0]]),
]


def main() -> None:
    """Writes both files."""
    made = [_case(*case) for case in CASES]
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in made)
    text = f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n'
    (HERE / "preprocessing.json").write_text(text, encoding="utf-8")
    _model()


def _case(name: str, options: dict[str, Any], data: Any, inputs: Any) -> dict[str, Any]:
    given = {key: tuple(v) if key == "ngrams" and isinstance(v, list) else v
             for key, v in options.items()}  # fmt: skip
    layer = getattr(keras.layers, name)(**given, name="layer")
    if data is not None:
        layer.adapt(np.array(data))
    array = np.array(inputs)
    outputs = layer(tf.constant(inputs) if array.dtype.kind == "U" else array)
    shape = layer.compute_output_shape((None, *array.shape[1:])) if array.ndim else None
    config = {k: v for k, v in layer.get_config().items() if k not in ("dtype", "standardize")}
    return {
        "layer": name,
        "options": options,
        "data": data,
        "inputs": inputs,
        "outputs": _plain(np.asarray(outputs).tolist()),
        "output_shape": shape,
        "vocabulary": _plain(layer.get_vocabulary()) if hasattr(layer, "get_vocabulary") else None,
        "config": _plain(config),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def _model() -> None:
    """A model that counts words beside one that reads them, adapted and in one file."""
    keras.utils.set_random_seed(1)
    texts = keras.Input((), dtype="string", name="texts")
    read = keras.layers.TextVectorization(output_sequence_length=5, name="read")
    rare = keras.layers.TextVectorization(output_mode="tf_idf", name="rare")
    for layer in (read, rare):
        layer.adapt(TEXTS)
    words = keras.layers.Embedding(16, 3, mask_zero=True, name="words")(read(texts))
    both = [keras.layers.LSTM(4, name="lstm")(words), rare(texts)]
    outputs = keras.layers.Dense(2, name="dense")(keras.layers.Concatenate(name="both")(both))
    model = keras.Model(texts, outputs, name="reader")
    model.save(HERE / "texts.keras")
    predicted = model.predict(tf.constant(TEXTS), verbose=0)
    (HERE / "texts.json").write_text(
        json.dumps({"texts": TEXTS, "outputs": predicted.tolist()}, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
