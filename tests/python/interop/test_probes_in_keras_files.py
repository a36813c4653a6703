"""Probes in the files that Keras opens: kept, computed at every load, and left aside by Keras."""

import io
import json
import zipfile

import numpy as np
import pytest

import ferrnn
from ferrnn._src.command.files import info
from ferrnn._src.files import safetensors
from ferrnn._src.models.probes import PROBE_FILE, probe_file, read_probe_file
from ferrnn.layers import GRU, LSTM, Bidirectional, Dense, Input, StringLookup
from ferrnn.saving import FileError

h5py = pytest.importorskip("h5py")

ENDS = {
    ".keras": {},
    ".h5": {"keras": 2},
    ".hdf5": {},
}
pytestmark = pytest.mark.filterwarnings("ignore:.*considered legacy")


def small(seed=1):
    layers = [
        Input((None, 3)),
        Bidirectional(GRU(4, return_sequences=True), name="both"),
        LSTM(5, name="second"),
        Dense(2, name="head"),
    ]
    model = ferrnn.Sequential(layers)
    rng = np.random.default_rng(seed)
    model.set_weights([0.5 * rng.normal(size=weight.shape) for weight in model.weights])
    return model


def inputs():
    return np.random.default_rng(2).normal(size=(2, 6, 3)).astype("float32")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_probe_is_kept_and_holds(end, compiled, tmp_path):
    model, path = small(), tmp_path / f"m{end}"
    if compiled:
        model.compile("adam", "mse")
        model.fit(inputs(), np.ones((2, 2)), verbose=0)
    model.save(path, probe=inputs(), **ENDS[end])
    again = ferrnn.load_model(path)
    np.testing.assert_array_equal(again(inputs()), model(inputs()))
    assert "with a probe, which holds on this machine" in info(path)
    model.save(path, **ENDS[end])
    ferrnn.load_model(path)
    assert "no probe" in info(path)


def test_a_folder_keeps_a_probe_too(tmp_path):
    path = tmp_path / "folder"
    small().save(path, zipped=False, probe=inputs())
    ferrnn.load_model(path)
    (path / PROBE_FILE).write_bytes(probe_file(small(seed=3), inputs()))
    with pytest.raises(FileError, match="layer 'both' computes other outputs"):
        ferrnn.load_model(path)


def replaced(path, content):
    """The file with another probe."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, part in {**parts, PROBE_FILE: content}.items():
                archive.writestr(name, part)
        return
    with h5py.File(path, "a") as file:
        if PROBE_FILE in file:
            del file[PROBE_FILE]
        file[PROBE_FILE] = np.frombuffer(content, np.uint8)


@pytest.mark.parametrize("end", ENDS)
def test_a_probe_that_does_not_hold_names_the_layer(end, tmp_path):
    model, path = small(), tmp_path / f"m{end}"
    model.save(path, probe=inputs(), **ENDS[end])
    weights = model.get_weights()
    weights[-1] += 1e-3
    model.set_weights(weights)
    replaced(path, probe_file(model, inputs()))
    with pytest.raises(
        FileError, match=r"probe.safetensors: layer 'head' computes other outputs here.*256"
    ):
        ferrnn.load_model(path)


def hostile():
    """Probes by those who mean ill."""
    good = probe_file(small(), inputs())
    yield b""
    yield good[:-1]
    yield good[: len(good) // 2]
    yield b"\xff" * 40
    for text in ('{"layers": 1, "ulp": 1}', "[]", "{", '{"layers": ["a"], "ulp": 1}', "null"):
        file = io.BytesIO()
        safetensors.write(file, {"probe/inputs/0": inputs()}, {"probe": text})
        yield file.getvalue()
    file = io.BytesIO()
    wrong = json.dumps({"layers": ["both"], "ulp": 1})
    arrays = {"probe/inputs/0": np.ones((1, 2, 7)), "probe/0/0": np.ones((1, 2, 8))}
    safetensors.write(file, arrays, {"probe": wrong})
    yield file.getvalue()


@pytest.mark.parametrize("end", [".keras", ".h5"])
def test_damaged_probes_are_one_error(end, tmp_path):
    path = tmp_path / f"m{end}"
    for content in hostile():
        small().save(path, **ENDS[end])
        replaced(path, content)
        with pytest.raises(FileError, match=r"probe\.safetensors"):
            ferrnn.load_model(path)


def test_a_probe_that_is_no_array_of_bytes_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    for value in (np.array(["a"], dtype="S1"), np.zeros(1, [("a", "i4")])):
        small().save(path, keras=2)
        with h5py.File(path, "a") as file:
            file[PROBE_FILE] = value
        with pytest.raises(FileError, match=r"probe\.safetensors"):
            ferrnn.load_model(path)


def test_a_probe_is_read_as_it_was_written():
    model = small()
    kept, outputs, allowed = read_probe_file(probe_file(model, inputs()))
    np.testing.assert_array_equal(kept[0], inputs())
    assert list(outputs) == ["both", "second", "head"]
    np.testing.assert_array_equal(outputs["head"][0], model(inputs()))
    assert allowed == 256


@pytest.mark.parametrize("end", ENDS)
def test_a_probe_must_be_numbers(end, tmp_path):
    words = StringLookup(vocabulary=["a"])
    model = ferrnn.Sequential([Input((1,), dtype="string"), words])
    with pytest.raises(ValueError, match="`probe` must be numbers"):
        model.save(tmp_path / f"m{end}", probe=np.array([["a"]]), **ENDS[end])
    assert not (tmp_path / f"m{end}").exists()
