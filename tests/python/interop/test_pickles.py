"""A pickle of PyTorch is read without importing or calling anything that it names."""

import contextlib
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

import foreign
from each_case import each_case
from ferrnn._src.interop.torch.files import read_torch_file
from ferrnn._src.interop.torch.pickles import Inert, PickleError, read_pickle


def read(data):
    return read_pickle(data, {}, lambda key: key)


class Calls:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


class Plain:
    """An object with attributes."""

    def __init__(self):
        self.units = 3


@pytest.mark.parametrize("value", [{}, {"a": (1, 2.5, -3), "b": [None, True, 2**70]}, ((), [])])
def test_plain_data_is_read(value):
    assert read(pickle.dumps(value, protocol=2)) == value


def test_an_object_is_inert():
    found = read(pickle.dumps(Plain(), protocol=2))
    assert isinstance(found, Inert)
    assert found.kind.endswith("test_pickles.Plain")
    assert found.state == {"units": 3}


@pytest.mark.parametrize(
    "evil",
    [
        Calls(os.system, "touch called"),
        Calls(eval, "1"),
        Calls(getattr, "", "upper"),
        Calls(open, "x"),
    ],
    ids=["system", "eval", "getattr", "open"],
)
def test_a_call_is_refused(evil, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PickleError, match="which is not allowed"):
        read(pickle.dumps(evil, protocol=2))
    assert list(tmp_path.iterdir()) == []


ALLOWED = b"\x80cqrhjXJKM\x8aGN\x88\x89]})(t\x85\x86\x87aesuQR\x81b."


def test_every_other_opcode_is_refused():
    for code in {*range(256)} - {*ALLOWED}:
        content = b"\x80\x02" + bytes([code]) + b"\x00" * 16 + b"."
        with pytest.raises(PickleError, match="is not allowed"):
            read(content)


@each_case("around", [b"", b"(", b"N", b"NN", b"}", b"]", b")", b"(N"])
def test_an_opcode_in_a_wrong_place_is_an_error_or_harmless(around):
    for code in {*ALLOWED} - {*b"."}:
        for tail in (b"", b"\x00" * 20, b"\xff" * 20, b"a\nb\n" + b"\x01" * 20):
            content = b"\x80\x02" + around + bytes([code]) + tail + b"."
            with contextlib.suppress(PickleError):
                read(content)


def test_every_shortened_pickle_is_an_error():
    whole = pickle.dumps({"a": [1, (2.0, "text")], "b": Plain()}, protocol=2)
    for size in range(len(whole)):
        with pytest.raises(PickleError):
            read(whole[:size])


def test_lists_in_lists_without_end_are_refused():
    with pytest.raises(PickleError, match="levels"):
        read(b"\x80\x02" + b"]" * 500 + b"a" * 499 + b".")


def torch_file(path, pickled, storages, folder="archive", compress=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compress) as archive:
        archive.writestr(f"{folder}/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"{folder}/data/{key}", data)
    return path


def short(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def numbers(*values):
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor_pickle(offset, size, stride, count=6, kind=b"ctorch\nFloatStorage\n"):
    """The pickle of a state dict of one tensor of the storage 0."""
    storage = b"(" + short("storage") + kind + short("0") + short("cpu")
    storage += b"J" + struct.pack("<i", count) + b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"J" + struct.pack("<i", offset)
    made += numbers(*size) + numbers(*stride) + b"\x89N" + b"tR"
    return b"\x80\x02}" + short("weight") + made + b"s."


VALUES = np.arange(6, dtype="<f4")


def test_a_view_of_a_storage_is_read(tmp_path):
    path = torch_file(tmp_path / "a.pt", tensor_pickle(1, (2, 2), (1, 3)), {"0": VALUES.tobytes()})
    weight = read_torch_file(path)["weight"]
    assert weight.tolist() == [[1.0, 4.0], [2.0, 5.0]]
    assert not weight.flags.writeable


@pytest.mark.parametrize(
    ("offset", "size", "stride", "count", "message"),
    [
        (1, (6,), (1,), 6, "outside the storage's 6 elements"),
        (0, (2, 4), (4, 1), 6, "outside the storage's 6 elements"),
        (0, (2,), (2**31 - 1,), 6, "outside the storage's 6 elements"),
        (-1, (2,), (1,), 6, "all must be non-negative integers"),
        (5, (2,), (-1,), 6, "all must be non-negative integers"),
        (0, (2, 3), (1,), 6, "all must be non-negative integers"),
        (0, (6,), (1,), 7, "must have 7 elements"),
        (0, (2**30,), (0,), 6, "more elements than its bytes can hold"),
    ],
)
def test_a_view_outside_of_its_storage_is_refused(tmp_path, offset, size, stride, count, message):
    pickled = tensor_pickle(offset, size, stride, count)
    path = torch_file(tmp_path / "a.pt", pickled, {"0": VALUES.tobytes()})
    with pytest.raises(ValueError, match=message):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"storages": {}}, "is missing"),
        ({"kind": b"ctorch\nQInt8Storage\n"}, "not supported"),
        ({"kind": b"cos\nsystem\n"}, "not supported"),
        ({"compress": zipfile.ZIP_DEFLATED}, "without compression"),
    ],
)
def test_what_torch_does_not_write_is_refused(tmp_path, change, message):
    options = {"storages": {"0": VALUES.tobytes()}, "compress": zipfile.ZIP_STORED, **change}
    kind = options.pop("kind", b"ctorch\nFloatStorage\n")
    pickled = tensor_pickle(0, (6,), (1,), kind=kind)
    with pytest.raises(ValueError, match=message):
        read_torch_file(torch_file(tmp_path / "a.pt", pickled, **options))


def test_every_shortened_file_is_an_error(tmp_path):
    whole = torch_file(
        tmp_path / "a.pt", tensor_pickle(0, (6,), (1,)), {"0": VALUES.tobytes()}
    ).read_bytes()
    for part in range(50):
        path = tmp_path / "short.pt"
        path.write_bytes(whole[: len(whole) * part // 50])
        with pytest.raises(ValueError, match=r"short\.pt"):
            read_torch_file(path)


def test_two_pickles_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("b/data.pkl", b"\x80\x02}.")
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="must have one pickle"):
        read_torch_file(tmp_path / "a.pt")


LEGACY = foreign.DATA / "torch" / "legacy.pth"


class TestOldFiles:
    """Those of before PyTorch 1.6."""

    def test_a_shortened_file_is_an_error(self, tmp_path):
        whole = LEGACY.read_bytes()
        for part in range(50):
            path = tmp_path / "short.pth"
            path.write_bytes(whole[: len(whole) * part // 50])
            with pytest.raises(ValueError, match=r"short\.pth: "):
                read_torch_file(path)

    def test_flipped_bytes_are_errors_or_other_numbers(self, tmp_path):
        whole = LEGACY.read_bytes()
        path = tmp_path / "flipped.pth"
        rng = np.random.default_rng(1)
        for at in rng.integers(14, len(whole), 200 if "FERRNN_DEEP" in os.environ else 60):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            with contextlib.suppress(ValueError):
                read_torch_file(path)

    def test_a_storage_that_says_another_count_is_named(self, tmp_path):
        whole = LEGACY.read_bytes()
        counts = [at for at in range(len(whole) - 8) if whole[at : at + 8] == struct.pack("<q", 21)]
        path = tmp_path / "count.pth"
        for wrong in (16, -1, 2**60):
            damaged = bytearray(whole)
            damaged[counts[0] : counts[0] + 8] = struct.pack("<q", wrong)
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=f"must have 21 elements, received {wrong}"):
                read_torch_file(path)
