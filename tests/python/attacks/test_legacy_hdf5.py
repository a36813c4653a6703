"""Damaged and hostile HDF5 files of old Keras: an error that names the file, and nothing else."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import ferrnn

sys.path.append(str(Path(__file__).parents[1] / "interop"))

import foreign


@pytest.fixture
def path(tmp_path):
    copied = tmp_path / "model.h5"
    copied.write_bytes(foreign.path("keras2/gru.h5").read_bytes())
    return copied


def refusal(path):
    with pytest.raises(ferrnn.saving.FileError) as caught:
        ferrnn.models.load_model(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_file_that_ends_early_is_refused(path):
    content = path.read_bytes()
    for at in range(1, 25):
        path.write_bytes(content[: len(content) * at // 25])
        refusal(path)


@pytest.mark.parametrize("link", [h5py.SoftLink("/model_weights/gru/gru"), "external"])
def test_links_are_not_followed(path, link):
    elsewhere = h5py.ExternalLink(str(path.with_name("other.h5")), "/kernel")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/gru"]
        del group["gru"]
        group["gru"] = elsewhere if link == "external" else link
    assert "received a link to another place" in refusal(path)


def changed(path, change):
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)


def test_a_layer_larger_than_the_file_is_refused(path):
    changed(path, lambda layers: layers[-1]["config"].update(units=10**9))
    assert "more than a file of this size may ask for" in refusal(path)


def test_code_and_operations_of_tensorflow_are_refused_by_name(path):
    code = {"name": "evil", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}
    whole = path.read_bytes()
    for kind, said in (
        ("Lambda", "the Lambda 'evil': it holds Python code"),
        ("TFOpLambda", "the TFOpLambda 'evil': a layer that"),
    ):
        path.write_bytes(whole)
        changed(path, lambda layers, kind=kind: layers.append({"class_name": kind, "config": code}))
        assert said in refusal(path)


def test_a_class_of_any_module_is_not_looked_for(path):
    module = {"class_name": "Popen", "module": "subprocess", "config": {"args": "true"}}
    changed(path, lambda layers: layers.append(module))
    assert "'Popen' is not known" in refusal(path)


def test_a_deep_configuration_is_refused(path):
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = '{"class_name":"Sequential","config":' + "[" * 15_000
    refusal(path)


def test_lists_that_name_what_is_not_there_are_refused(path):
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array([b"gru", b"../../gru"])
    assert "../../gru" in refusal(path)
