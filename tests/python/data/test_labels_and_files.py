"""Labels, padding, files that are here, and data sets that are not."""

import hashlib
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.datasets import imdb, mnist
from ferrnn.utils import get_file, normalize, pad_sequences, to_categorical


class TestPadding:
    def test_errors(self):
        with pytest.raises(ValueError, match="must be iterable"):
            pad_sequences(3)
        with pytest.raises(ValueError, match="Found non-iterable: 2"):
            pad_sequences([[1], 2])
        with pytest.raises(ValueError, match='Padding type "left" not understood'):
            pad_sequences([[1]], padding="left")
        with pytest.raises(ValueError, match='Truncating type "left" not understood'):
            pad_sequences([[1]], truncating="left")
        with pytest.raises(ValueError, match="not compatible with `value`'s type"):
            pad_sequences([[1]], value="x")
        with pytest.raises(ValueError, match=r"\(3,\) of sequence at position 1.*\(2,\)"):
            pad_sequences([[[1, 2]], [[1, 2, 3]]])

    def test_nothing(self):
        assert pad_sequences([]).shape == (0, 0)
        assert pad_sequences([[1, 2]], maxlen=0).shape == (1, 0)
        assert pad_sequences([["a"], []], dtype=object, value="-").tolist() == [["a"], ["-"]]


def test_classes_out_of_range_are_named():
    for labels in ([0, 3], [-1, 0]):
        with pytest.raises(IndexError, match=r"classes in \[0, 3\)"):
            to_categorical(labels, 3)


def test_norms_along_any_axis():
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(np.linalg.norm(normalize(x, axis=0), axis=0), np.ones(4))


def test_batches_of_a_step_of_ones_own():
    unpack, pack = keras.utils.unpack_x_y_sample_weight, keras.utils.pack_x_y_sample_weight
    assert unpack([1, 2]) == (1, 2, None)
    assert unpack(5) == (5, None, None)
    assert unpack((1, 2, 3)) == (1, 2, 3)
    assert pack([1, 2]) == ([1, 2],)
    assert pack(1, 2, 3) == (1, 2, 3)
    with pytest.raises(ValueError, match="in format `x`"):
        unpack((1, 2, 3, 4))


class TestFiles:
    def test_a_local_file_is_copied_and_checked(self, tmp_path):
        source = tmp_path / "my data.csv"
        source.write_text("1,2")
        digest = hashlib.sha256(b"1,2").hexdigest()
        for origin in (str(source), source.as_uri()):
            path = Path(get_file("d.csv", origin, file_hash=digest, cache_dir=tmp_path / "cache"))
            assert path == tmp_path / "cache" / "datasets" / "d.csv"
            assert path.read_text() == "1,2"
        with pytest.raises(ValueError, match="corrupted"):
            get_file("d.csv", str(source), md5_hash="0" * 32, cache_dir=tmp_path / "cache")

    def test_a_changed_copy_is_made_again(self, tmp_path):
        source = tmp_path / "d.csv"
        source.write_text("1,2")
        options = {"origin": str(source), "cache_dir": tmp_path / "cache"}
        copy = Path(get_file(**options))
        copy.write_text("other")
        assert Path(get_file(**options)).read_text() == "other"
        digest = hashlib.md5(b"1,2").hexdigest()
        assert Path(get_file(**options, file_hash=digest)).read_text() == "1,2"
        copy.write_text("other")
        assert Path(get_file(**options, force_download=True)).read_text() == "1,2"

    def test_a_wrong_hash_leaves_the_old_copy(self, tmp_path):
        source = tmp_path / "d.csv"
        source.write_text("1,2")
        options = {"origin": str(source), "cache_dir": tmp_path / "cache"}
        copy = Path(get_file(**options))
        source.write_text("damaged")
        digest = hashlib.sha256(b"3,4").hexdigest()
        with pytest.raises(ValueError, match=r"hash of .*d\.csv does not match"):
            get_file(**options, file_hash=digest, force_download=True)
        assert copy.read_text() == "1,2"

    def test_an_archive_is_unpacked_as_a_whole(self, tmp_path):
        source = tmp_path / "d.zip"
        options = {"origin": str(source), "cache_dir": tmp_path / "cache", "extract": True}
        for name in ("old", "new"):
            with zipfile.ZipFile(source, "w") as archive:
                archive.writestr(f"{name}.txt", name)
            folder = Path(get_file(**options, force_download=True))
        assert [path.name for path in folder.iterdir()] == ["new.txt"]
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("../outside.txt", "")
        with pytest.raises(ValueError, match="must lie inside its folder"):
            get_file(**options, force_download=True)
        assert [path.name for path in folder.iterdir()] == ["new.txt"]
        assert not list(folder.parent.glob(".*"))

    def test_what_was_downloaded_is_found(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"download https://x\.org/mnist\.npz yourself"):
            get_file(origin="https://x.org/mnist.npz")
        (tmp_path / "datasets").mkdir()
        (tmp_path / "datasets" / "mnist.npz").write_text("")
        found = get_file(origin="https://x.org/mnist.npz")
        assert found == str(tmp_path / "datasets" / "mnist.npz")

    @pytest.mark.parametrize("kind", ["tar.gz", "zip"])
    def test_archives_are_unpacked(self, tmp_path, kind):
        (tmp_path / "a.txt").write_text("inside")
        archive = tmp_path / f"data.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(archive, "w") as file:
                file.write(tmp_path / "a.txt", "folder/a.txt")
        else:
            with tarfile.open(archive, "w:gz") as file:
                file.add(tmp_path / "a.txt", "folder/a.txt")
        options = {"origin": str(archive), "extract": True}
        named = Path(get_file(archive.name, **options, cache_dir=tmp_path / "named"))
        unnamed = Path(get_file(**options, cache_dir=tmp_path / "unnamed"))
        assert (named.name, unnamed.name) == ("data_extracted", archive.name)
        for folder in (named, unnamed):
            assert (folder / "folder" / "a.txt").read_text() == "inside"

    def test_archives_that_reach_outside_are_refused(self, tmp_path):
        (tmp_path / "a.txt").write_text("inside")
        options = {"extract": True, "cache_dir": tmp_path / "cache"}
        with tarfile.open(tmp_path / "up.tar", "w") as file:
            file.add(tmp_path / "a.txt", "../../a.txt")
        with tarfile.open(tmp_path / "link.tar", "w") as file:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            file.addfile(link)
        with zipfile.ZipFile(tmp_path / "up.zip", "w") as file:
            file.write(tmp_path / "a.txt", "../a.txt")
        for name, message in (
            ("up.tar", "must lie inside its folder"),
            ("link.tar", "link or a device"),
            ("up.zip", "must lie inside its folder"),
            ("a.txt", "must be an archive"),
        ):
            with pytest.raises(ValueError, match=message):
                get_file(name, str(tmp_path / name), **options)

    def test_errors(self):
        with pytest.raises(ValueError, match='specify the "origin"'):
            get_file("a")
        with pytest.raises(ValueError, match="Paths are no longer accepted"):
            get_file("a/b", "c")
        with pytest.raises(ValueError, match="file name from the origin"):
            get_file(origin="https://x.org/")


def test_data_sets_that_are_not_here_say_so():
    assert "not part of ferrnn" in repr(mnist)
    with pytest.raises(NotImplementedError, match="`imdb` is not part of it"):
        imdb.load_data(num_words=1000)
    with pytest.raises(AttributeError, match=r"'nothing' is not in ferrnn\.utils"):
        keras.utils.nothing  # noqa: B018
