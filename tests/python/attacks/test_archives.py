"""Archives and folders that want much memory, or lead out of themselves."""

import io
import json
import os
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest

import ferrnn
from attacks import damage
from ferrnn.saving import FileError, load_model

pytest.importorskip("h5py")


@pytest.fixture
def path(tmp_path):
    model = damage.chain()
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def folder(tmp_path):
    model = damage.chain()
    model.save(tmp_path / "folder", zipped=False)
    return tmp_path / "folder"


def rewritten(path, change, **options):
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, content in parts.items():
            new.writestr(name, content)


def peak_of(load):
    """The largest amount of memory that was taken, in bytes, and the error."""
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            load()
        return tracemalloc.get_traced_memory()[1], caught.value
    finally:
        tracemalloc.stop()


def test_members_that_share_their_bytes(path):
    blob = zipfile.ZipFile(io.BytesIO(), "w")
    with blob:
        blob.writestr("assets/0.txt", b"\0" * 90_000)
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    count, size, start = struct.unpack("<HLL", content[end + 10 : end + 20])
    directory = bytes(content[start : start + size])
    last = directory[directory.rindex(b"PK\x01\x02") :]
    extra = b"".join(last.replace(b"model.weights.h5", b"assets/x%08d" % at) for at in range(300))
    content[end:end] = extra
    end += len(extra)
    content[end + 8 : end + 16] = struct.pack("<HHL", *[count + 300] * 2, size + len(extra))
    path.write_bytes(content)
    peak, error = peak_of(lambda: load_model(path))
    assert "overlap in the archive" in error.reason
    assert peak < 8 * 2**20


def test_parts_that_grow(path):
    def change(parts):
        parts["config.json"] = b" " * 60 * 2**20 + parts["config.json"]

    rewritten(path, change, compression=zipfile.ZIP_DEFLATED)
    peak, error = peak_of(lambda: load_model(path))
    assert "would expand to" in error.reason
    assert error.place == "config.json"
    assert peak < 8 * 2**20


def test_texts_are_read_when_a_layer_wants_them(path):
    def change(parts):
        parts.update({f"assets/layers/{at}/vocabulary.txt": b"x" * 10**6 for at in range(100)})

    rewritten(path, change, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_parts_of_one_name(path):
    with (
        warnings.catch_warnings(action="ignore"),
        zipfile.ZipFile(path, "a") as archive,
    ):
        archive.writestr("config.json", "{}")
    with pytest.raises(FileError, match="several parts of the same name"):
        load_model(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_no_writer_of_models_uses(path, kind):
    rewritten(path, lambda parts: parts, compression=kind)
    with pytest.raises(FileError, match=r"config\.json: it must be stored or deflated"):
        load_model(path)


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5"])
def test_parts_that_are_not_there(path, part):
    rewritten(path, lambda parts: parts.pop(part))
    with pytest.raises(FileError, match=r"it has no"):
        load_model(path)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_link_in_a_folder_is_not_followed(tmp_path, folder, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="is a link, which is not followed"):
        load_model(folder)
    if name == "model.weights.h5":
        with pytest.raises(FileError, match="is a link, which is not followed"):
            damage.chain().load_weights(folder)


def test_a_folder_that_a_link_leads_to_is_read(tmp_path, folder):
    (tmp_path / "latest.keras").symlink_to(folder)
    assert load_model(tmp_path / "latest.keras").name == "chain"


def test_texts_behind_a_link_are_not_read(tmp_path):
    path = vectorizing(tmp_path, zipped=False)
    (path / "assets").rename(tmp_path / "elsewhere")
    (path / "assets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="is a link, which is not followed"):
        load_model(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_in_a_folder_is_not_waited_for(folder):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(FileError, match=r"config\.json: expected a regular file"):
        load_model(folder)


def vectorizing(folder, **options):
    words = ferrnn.layers.TextVectorization(output_sequence_length=4, name="words")
    words.adapt(["a b c", "b c"])
    model = ferrnn.Sequential([ferrnn.layers.Input((1,), dtype="string"), words])
    path = Path(folder, "words" if options else "words.keras")
    model.save(path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"zipped": False}])
def test_a_vocabulary_that_is_not_there(tmp_path, options):
    path = vectorizing(tmp_path, **options)
    if options:
        for text in (path / "assets").rglob("vocabulary.txt"):
            text.unlink()
    else:
        rewritten(path, lambda parts: [parts.pop(name) for name in [*parts] if "assets" in name])
    with pytest.raises(FileError, match="the text of the layer 'words' is missing"):
        load_model(path)


def test_a_vocabulary_elsewhere_on_the_machine(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("password", encoding="utf-8")
    path = vectorizing(tmp_path)
    config = damage.config_of(path.read_bytes())
    layer = config["config"]["layers"][1]["config"]
    layer["vocabulary"], layer["vocabulary_size"] = str(secret), None
    path.write_bytes(damage.with_config(path.read_bytes(), json.dumps(config).encode()))
    with pytest.raises(FileError, match="names the file"):
        load_model(path)
