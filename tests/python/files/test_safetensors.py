"""The container of safetensors, against the package of that name, and what is no such file."""

import json

import numpy as np
import pytest

from ferrnn._src.files.safetensors import opened, write

theirs = pytest.importorskip("safetensors.numpy")

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", ">f4", ">i2"]


def arrays(rng):
    shapes = [(), (0, 3), (5,), (2, 1, 3)]
    return {
        f"{dtype} {shape}": (10 * rng.normal(size=shape)).astype(dtype)
        for dtype in DTYPES
        for shape in shapes
    }


def test_the_package_reads_what_is_written(tmp_path):
    given = arrays(np.random.default_rng(1))
    with (tmp_path / "a").open("wb") as file:
        write(file, given, {"by": "me", "text": 'with "quotes" and 中'})
    found = theirs.load_file(tmp_path / "a")
    assert found.keys() == given.keys()
    for name, array in given.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_what_the_package_writes_is_read(tmp_path):
    given = {
        name: np.asarray(a, a.dtype.newbyteorder("="))
        for name, a in arrays(np.random.default_rng(2)).items()
    }
    theirs.save_file(given, tmp_path / "a", {"by": "them"})
    with opened(tmp_path / "a") as contents:
        assert contents.metadata == {"by": "them"}
        assert contents.tensors.keys() == given.keys()
        for name, array in given.items():
            found = contents.tensors[name].array()
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_arrays_outlive_the_file_and_are_read_only(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        write(file, {"x": np.arange(5.0)})
    with opened(tmp_path / "a") as contents:
        array = contents.tensors["x"].array()
    (tmp_path / "a").unlink()
    assert array.sum() == 10
    assert not array.flags.writeable


def test_bfloat16_becomes_float32(tmp_path):
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"\xc0\x3f\x00\xc0")
    with opened(tmp_path / "a") as contents:
        assert contents.tensors["x"].array().tolist() == [1.5, -2.0]


def test_arrays_of_objects_are_refused(tmp_path):
    with (tmp_path / "a").open("wb") as file, pytest.raises(TypeError, match="'x' must hold real"):
        write(file, {"x": np.array(["text"])})
