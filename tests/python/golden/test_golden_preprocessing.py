"""Texts, tokens and categories against Keras on TensorFlow; a model of Keras that reads texts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import TextVectorization

HERE = Path(__file__).parent
CASES = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))["cases"]
READER = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))


def options_of(case: dict[str, Any]) -> dict[str, Any]:
    options = dict(case["options"])
    if isinstance(options.get("ngrams"), list):
        options["ngrams"] = tuple(options["ngrams"])
    return options


def made(case: dict[str, Any]) -> Any:
    layer = getattr(ferrnn.layers, case["layer"])(**options_of(case), name="layer")
    if case["data"] is not None:
        layer.adapt(np.array(case["data"]))
    return layer


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


@each_case("case", CASES, ids=lambda case: f"{case['layer']}-{case['options']}")
def test_vocabularies_outputs_and_settings_are_those_of_keras(case: dict[str, Any]) -> None:
    layer = made(case)
    if case["vocabulary"] is not None:
        assert layer.get_vocabulary() == case["vocabulary"]
        assert layer.vocabulary_size() == len(case["vocabulary"])
    for given in (case["inputs"], np.array(case["inputs"])):
        outputs = layer(given)
        if case["options"].get("invert") and case["layer"] == "StringLookup":
            assert outputs.tolist() == case["outputs"]
        else:
            np.testing.assert_allclose(outputs, case["outputs"], rtol=2e-6)
    inputs = np.array(case["inputs"])
    if inputs.ndim:
        shape = layer.compute_output_shape((None, *inputs.shape[1:]))
        fits = zip(shape[1:], outputs.shape[1:], strict=True)
        assert all(said in (None, found) for said, found in fits)
        # Keras' own are wrong for texts `[batch, 1]` and for more than one axis of ids.
        if inputs.ndim == 1:
            assert list(shape) == case["output_shape"]
    config = plain(layer.get_config())
    boundaries = case["config"].pop("bin_boundaries", None)
    if boundaries is not None:
        np.testing.assert_allclose(config["bin_boundaries"], boundaries, rtol=1e-6)
    assert {key: config[key] for key in case["config"]} == case["config"]
    left_out = {"dtype", "standardize", "bin_boundaries"}
    assert set(config) - left_out == set(case["config"])
    again = plain(type(layer).from_config(json.loads(json.dumps(config))).get_config())
    # What was learnt stands in the assets of a file, not in the configuration.
    again["vocabulary_size"] = config["vocabulary_size"] = None
    assert again == config


def test_a_model_of_keras_that_reads_texts_gives_the_same_outputs() -> None:
    pytest.importorskip("h5py")
    model = ferrnn.models.load_model(HERE / "texts.keras")
    texts = np.array(READER["texts"])
    np.testing.assert_allclose(model.predict(texts, verbose=0), READER["outputs"], rtol=2e-5)
    assert model.get_layer("read").get_vocabulary()[:3] == ["", "[UNK]", "the"]


def test_what_it_is_saved_as_has_keras_layout(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model = ferrnn.models.load_model(HERE / "texts.keras")
    texts = np.array(READER["texts"])
    for name, zipped in (("file.keras", True), ("folder", False)):
        model.save(tmp_path / name, zipped=zipped)
        again = ferrnn.models.load_model(tmp_path / name)
        np.testing.assert_allclose(again.predict(texts, verbose=0), READER["outputs"], rtol=2e-5)
        assert isinstance(again.get_layer("rare"), TextVectorization)
    found = (tmp_path / "folder" / "assets").rglob("vocabulary.txt")
    names = sorted(each.relative_to(tmp_path / "folder").as_posix() for each in found)
    assert names == [
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt",
        "assets/layers/text_vectorization/vocabulary.txt",
        "assets/layers/text_vectorization_1/_lookup_layer/vocabulary.txt",
        "assets/layers/text_vectorization_1/vocabulary.txt",
    ]
