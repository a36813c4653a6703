"""Probes in files, and comparisons of models layer by layer."""

import os
import subprocess
import sys

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers
from ferrnn._src.files.safetensors import opened
from ferrnn._src.files.sums import summed
from ferrnn._src.models import native_file
from ferrnn.saving import FileError
from keras_models import MODELS


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return model


def inputs_of(model, seed=2):
    rng = np.random.default_rng(seed)

    def one(tensor):
        shape = [tensor.shape[0] or 3, *(size or 7 for size in tensor.shape[1:])]
        ids = tensor.shape[1:] == (None,)
        return rng.integers(1, 9, size=shape) if ids else rng.normal(size=shape)

    made = [one(tensor) for tensor in model.inputs]
    return made[0] if len(made) == 1 else made


def small():
    return randomized(
        ferrnn.Sequential([
            ferrnn.Input((None, 3)),
            layers.LSTM(4, return_sequences=True, name="first"),
            layers.GRU(3, name="second"),
            layers.Dense(2, name="head"),
        ])
    )  # fmt: skip


@each_case("name", MODELS)
def test_float64_step_by_step_agrees_with_the_engine(name):
    model = randomized(MODELS[name](ferrnn))
    report = ferrnn.verify(model, inputs_of(model))
    assert 0 < report.largest < 2e-6
    assert len(report.layers) >= len([each for each in model.layers if each.weights])


@pytest.mark.parametrize("name", MODELS)
def test_a_probe_is_kept_and_holds(name, tmp_path):
    model = randomized(MODELS[name](ferrnn))
    x = inputs_of(model)
    model.save(tmp_path / "m.safetensors", probe=x)
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    kept, outputs = native_file.stored_probe(tmp_path / "m.safetensors")
    for found, given in zip(kept, x if isinstance(x, list) else [x], strict=True):
        np.testing.assert_array_equal(found, np.asarray(given, found.dtype))
    assert ferrnn.verify(again, x, outputs).largest == 0


def test_float64_does_not_run_in_the_engine(monkeypatch):
    model = small()
    other = native_file.in_float64(model)
    x = np.random.default_rng(3).normal(size=(2, 5, 3))
    expected = other(x)

    def refused(*args, **options):
        raise AssertionError("the engine")

    monkeypatch.setattr("ferrnn._src.sequence.fused.rnn_forward", refused)
    np.testing.assert_array_equal(other(x), expected)
    assert expected.dtype == np.float64
    with pytest.raises(AssertionError, match="the engine"):
        model(x)


def changed(path, name, change):
    """The file with another array under a name, and its checksums right."""
    with opened(path) as contents:
        texts = dict(contents.metadata)
        arrays = {key: np.array(each.array()) for key, each in contents.tensors.items()}
    change(arrays[name])
    with path.open("wb") as file:
        native_file.write(file, arrays, summed(arrays, texts))


def test_a_probe_that_does_not_hold_names_the_layer(tmp_path):
    path = tmp_path / "m.safetensors"
    model = small()
    model.save(path, probe=np.ones((2, 5, 3)))

    def shift(array):
        array += 1e-3

    changed(path, "probe/1/0", shift)
    with pytest.raises(FileError, match=r"probe: layer 'second' computes other outputs here.*256"):
        ferrnn.load_model(path)
    model.save(path, probe=np.ones((2, 5, 3)))
    changed(path, "layers/lstm/cell/vars/1", shift)
    with pytest.raises(FileError, match="layer 'first' computes other outputs"):
        ferrnn.load_model(path)


def test_nan_and_infinity_are_outputs_like_others(tmp_path):
    model = small()
    x = np.ones((2, 5, 3))
    x[0, 1] = np.nan
    model.save(tmp_path / "m.safetensors", probe=x)
    ferrnn.load_model(tmp_path / "m.safetensors")
    changed(tmp_path / "m.safetensors", "probe/2/0", lambda array: array.fill(0))
    with pytest.raises(FileError, match=r"layer 'head'.*inf"):
        ferrnn.load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("level", ["portable", "avx2"])
def test_a_probe_holds_at_other_levels_of_instructions(level, tmp_path):
    if level not in ferrnn.show_config(mode="dicts")["SIMD"]["found"]:
        pytest.skip("this machine has no such level")
    model = randomized(
        ferrnn.Sequential([ferrnn.Input((None, 8)), layers.LSTM(64), layers.Dense(3)])
    )
    path = tmp_path / "m.safetensors"
    model.save(path, probe=np.random.default_rng(4).normal(size=(2, 200, 8)))
    code = f"import ferrnn; ferrnn.load_model({str(path)!r}); print(ferrnn.simd_level())"
    environment = {**os.environ, "FERRNN_SIMD": level}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == level


def test_stateful_layers_carry_what_they_carried():
    model = MODELS["stateful"](ferrnn)
    x = np.random.default_rng(5).normal(size=model.input_shape)
    model(x)
    before = [np.array(each) for each in model.layers[1].states]
    ferrnn.verify(model, x)
    for found, expected in zip(model.layers[1].states, before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_onnx_runtime_agrees_layer_by_layer():
    pytest.importorskip("onnxruntime")
    model = small()
    report = ferrnn.verify(model, inputs_of(model), "onnxruntime")
    assert [each.layer for each in report.layers] == ["first", "second", "head"]
    assert 0 < report.largest < 2e-6


def test_other_sources():
    model, other = small(), small()
    x = np.random.default_rng(6).normal(size=(2, 5, 3))
    assert ferrnn.verify(model, x, other).largest == 0
    assert ferrnn.verify(model, x, lambda x: model(x) + 1).largest > 0.01
    assert ferrnn.verify(model, x, {"head": model(x)}).largest == 0
    other.set_weights([1.1 * each for each in other.get_weights()])
    report = ferrnn.verify(model, x, other)
    assert report.largest > 1e-3
    assert "second" in str(report)
    with pytest.raises(ValueError, match="`against` must be one of"):
        ferrnn.verify(model, x, "keras")


def test_load_model_prints_a_report(tmp_path, capsys):
    small().save(tmp_path / "m.safetensors")
    ferrnn.load_model(tmp_path / "m.safetensors", verify=np.ones((2, 5, 3)))
    assert "against the same model in float64: at most" in capsys.readouterr().out


def test_arguments_that_do_not_go_together(tmp_path):
    with pytest.raises(ValueError, match="`streams` can only be stored in"):
        small().save(tmp_path / "m.keras", streams={"a": small().stream()})
    words = layers.StringLookup(vocabulary=["a"])
    model = ferrnn.Sequential([ferrnn.Input((1,), dtype="string"), words])
    with pytest.raises(ValueError, match="`probe` must be numbers"):
        model.save(tmp_path / "m.safetensors", probe=np.array([["a"]]))


@pytest.mark.parametrize(
    "text",
    [
        '{"layers": 1, "ulp": 1}',
        '{"layers": ["a"], "ulp": NaN}',
        "{}",
        '{"layers": ["a"], "ulp": -1}',
        '{"layers": ["a"], "ulp": 1}',
    ],
)
def test_hostile_probes(text, tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    with opened(path) as contents:
        texts = {**contents.metadata, "probe": text}
        arrays = {key: np.array(each.array()) for key, each in contents.tensors.items()}
    texts = summed(arrays, texts)
    with path.open("wb") as file:
        native_file.write(file, arrays, texts)
    with pytest.raises(FileError, match="probe"):
        ferrnn.load_model(path)
