"""Damaged files are told apart from good ones, by one kind of error; none gives other numbers."""

import json
import os

import numpy as np
import pytest

from attacks import damage
from ferrnn.saving import FileError, load_model

pytest.importorskip("h5py")
deep = pytest.mark.skipif("FERRNN_DEEP" not in os.environ, reason="`make deep` runs it")
SUFFIXES = [".keras", ".weights.h5"]


def check(found):
    assert set(found) <= {"FileError", "right", "told by a warning"}, found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_bit_that_flipped(tmp_path, suffix):
    check(damage.damaged_files(tmp_path, suffix, damage.flips(30)))


@deep
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fresh", [damage.chain, damage.graph])
def test_many_bits_that_flipped(tmp_path, suffix, fresh):
    check(damage.damaged_files(tmp_path, suffix, damage.flips(1500), fresh))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_ends_early(tmp_path, suffix):
    found = damage.damaged_files(tmp_path, suffix, damage.truncations())
    assert found == {"FileError": 50}


def check_configs(tmp_path, every):
    path = tmp_path / "model.keras"
    model = damage.trained(damage.graph(), np.random.default_rng(4))
    model.save(path)
    content = path.read_bytes()
    for place, value, config in damage.changed_configs(damage.config_of(content), every):
        path.write_bytes(damage.with_config(content, config))
        said = damage.outcome(damage.loader(path, None), damage.state(model))
        assert said in {"FileError", "FileTypeError", "right", "WRONG", "told by a warning"}, (
            place,
            value,
            said,
        )


def test_something_else_in_the_configuration(tmp_path):
    check_configs(tmp_path, 251)


@deep
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_something_else_at_each_place_of_the_configuration(tmp_path):
    check_configs(tmp_path, 1)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"5", b"{}", b'{"a": 1}'])
def test_a_configuration_that_is_none(tmp_path, text):
    path = tmp_path / "model.keras"
    damage.chain().save(path)
    path.write_bytes(damage.with_config(path.read_bytes(), text))
    with pytest.raises(FileError) as caught:
        load_model(path)
    assert caught.value.filename == str(path)
    assert caught.value.place == "config.json"


def test_the_error_names_the_layer(tmp_path):
    path = tmp_path / "model.keras"
    damage.graph().save(path)
    config = damage.config_of(path.read_bytes())
    (both,) = (each for each in config["config"]["layers"] if each["name"] == "both")
    del both["config"]["layer"]["config"]["units"]
    path.write_bytes(damage.with_config(path.read_bytes(), json.loads(json.dumps(config))))
    with pytest.raises(FileError) as caught:
        load_model(path)
    places = "config.json, Functional 'graph', Bidirectional 'both', LSTM 'forward_inner'"
    assert caught.value.place.startswith(places)
