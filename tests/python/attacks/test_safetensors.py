"""Damaged and hostile files of safetensors: one error, bounded memory, no wrong numbers."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from attacks import damage
from ferrnn._src.files import sums
from ferrnn.saving import FileError, load_model

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.fixture
def path(tmp_path):
    damage.trained(damage.chain(), np.random.default_rng(3)).save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def parts_of(path):
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


HOSTILE = {
    "no header": (b"\x08\0\0\0\0\0\0\0{", "its header would have 8 bytes"),
    "a header longer than the file": (b"\x88\x13" + bytes(6) + b"{}", "would have 5000 bytes"),
    "no JSON": (file_of(b"{{{{"), "the header is not JSON"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "must be UTF-8"),
    "deep JSON": (file_of(b'{"a":' + b"[" * 100_000), "nested too deeply"),
    "deeper JSON": (file_of(b'{"a":' + b"[" * 2_000_000), "more lists and objects than"),
    "many lists": (file_of(b'{"a":[' + b"[]," * 2_000_000 + b"0]}"), "more lists and objects than"),
    "not a number": (file_of(b'{"a": NaN}'), "the number NaN"),
    "a name twice": (file_of(b'{"a": 1, "a": 2}'), "'a' twice"),
    "metadata of numbers": (file_of({"__metadata__": {"a": 1}}), "JSON object of strings"),
    "no entry": (file_of({"a": [1]}), "must have the keys dtype"),
    "more in an entry": (file_of({"a": {**ONE, "b": 1}}), "must have the keys dtype"),
    "a type that is none": (file_of({"a": {**ONE, "dtype": "X" * 1000}}), "the dtype XXXX"),
    "a type that is a list": (file_of({"a": {**ONE, "dtype": "4F"}}), "which is not supported"),
    "NaN as a count": (file_of(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}'),
                       "integers"),
    "a fraction as a count": (file_of({"a": {**ONE, "shape": [2.0]}}, b"12345678"), "integers"),
    "a truth as a count": (file_of({"a": {**ONE, "shape": [True]}}, b"12345678"), "integers"),
    "a negative count": (file_of({"a": {**ONE, "shape": [-2]}}, b"12345678"), "integers"),
    "huge counts": (file_of({"a": {**ONE, "shape": [2**62] * 8}}, b"12345678"), "has 8 bytes for"),
    "many counts": (file_of({"a": {**ONE, "shape": [1] * 100}}, b"12345678"), "at most 32"),
    "places in the wrong order": (file_of({"a": {**ONE, "data_offsets": [8, 0]}}), "two offsets"),
    "one place": (file_of({"a": {**ONE, "data_offsets": [8]}}), "two offsets"),
    "beyond the file": (file_of({"a": ONE}, b"1234"), "would end at byte 8"),
    "overlapping": (file_of({"a": ONE, "b": {**ONE, "data_offsets": [4, 12]}}, b"x" * 12),
                    "overlap"),
    "the same bytes": (file_of({"a": ONE, "b": ONE}, b"x" * 8), "overlap"),
    "a hole": (file_of({"a": {**ONE, "data_offsets": [4, 12]}}, b"x" * 12), "leave a hole"),
    "bytes at the end": (file_of({"a": ONE}, b"x" * 9), "1 bytes at the end"),
    "weights alone": (file_of({"a": ONE}, b"x" * 8), "the file holds only weights"),
    "another version": (file_of({"__metadata__": {"ferrnn": "2"}}), "received '2'"),
    "no checksum": (file_of({"__metadata__": {"ferrnn": "1"}}), "the metadata is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_sentence(name, tmp_path):
    content, reason = HOSTILE[name]
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises((FileError, ValueError), match=reason) as caught:
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 16 * len(content) + 2**20
    tracemalloc.stop()
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_damaged_bytes_give_the_right_numbers_or_an_error(tmp_path):
    found = damage.damaged_files(
        tmp_path, ".safetensors", [*damage.flips(150), *damage.truncations()]
    )
    assert "WRONG" not in found
    assert found["FileError"] > 150


def resigned(path, change):
    """The file with other texts or arrays, and the checksums of those."""
    header, data = parts_of(path)
    texts = header["__metadata__"]
    change(header, texts)
    texts["checksum"] = str(sums._of_texts(texts))
    path.write_bytes(file_of(header, data))


def test_configurations_name_no_code(path):
    def change(header, texts):
        texts["config"] = texts["config"].replace('"LSTM"', '"os.system"')

    resigned(path, change)
    with pytest.raises(FileError, match=r"config"):
        load_model(path)


def test_large_sizes_in_a_configuration(path):
    def change(header, texts):
        texts["config"] = texts["config"].replace('"units": 4', '"units": 400000')

    resigned(path, change)
    with pytest.raises(FileError, match="more than a file of this size may ask for"):
        load_model(path)


def test_deep_configurations(path):
    def change(header, texts):
        texts["config"] = "[" * 200_000

    resigned(path, change)
    with pytest.raises(FileError, match="RecursionError"):
        load_model(path)


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"class_name": "LSTM"}'])
def test_configurations_that_are_none(path, text):
    resigned(path, lambda header, texts: texts.update(config=text))
    with pytest.raises(FileError):
        load_model(path)


def test_arrays_of_other_shapes(path):
    def change(header, texts):
        entry = header["layers/dense/vars/0"]
        entry["shape"] = entry["shape"][::-1]

    resigned(path, change)
    with pytest.raises(FileError, match=r"the array 'layers/dense/vars/0' is damaged"):
        load_model(path)


@pytest.mark.parametrize("text", ['{"a": -1}', '{"a": "x"}', '{"a": 1000000000000}', '{"a": true}'])
def test_streams_of_hostile_counts(path, text):
    resigned(path, lambda header, texts: texts.update(streams=text))
    with pytest.raises((FileError, MemoryError)):
        ferrnn.saving.load_streams(path)


@pytest.mark.parametrize("name", ["m.safetensors", "m.keras", "m.h5", "m.onnx", "m"])
def test_a_file_that_is_not_there_is_said_to_be_missing(name, tmp_path):
    with pytest.raises(ValueError, match="File not found: filepath=.*" + name) as raised:
        load_model(tmp_path / name)
    no_format = name in ("m.onnx", "m")
    assert ("File format not supported" in str(raised.value)) == no_format
    assert ("a `.safetensors` file of ferrnn" in str(raised.value)) == no_format


def test_devices_are_not_read():
    device = Path("/dev/zero")
    if not device.exists():
        pytest.skip("there is no such device")
    with pytest.raises(ValueError, match="File format not supported"):
        load_model(device)
