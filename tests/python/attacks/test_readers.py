"""Every reader: damaged files are an error in a sentence, and no other file is opened."""

import contextlib
import os
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("h5py")

from attacks import damage
from attacks.readers import READERS

PARTS, FLIPS = (50, 6) if "FERRNN_DEEP" in os.environ else (9, 2)
opened: list[str] = []
watching = [False]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if watching[0] and event in ("open", "os.listdir", "os.system", "subprocess.Popen", "exec"):
        opened.append(f"{event} {arguments[0]!r}")


sys.addaudithook(_watch)  # it stays, and says nothing unless `watching`


@contextlib.contextmanager
def watched(folder):
    """Fails if something else than files of the folder and of Python's own modules is opened."""
    opened.clear()
    watching[0] = True
    try:
        yield
    finally:
        watching[0] = False
    own = (str(folder), sys.prefix, sys.base_prefix, str(Path(np.__file__).parents[1]))
    own += (str(Path(__file__).parents[3]),)
    strange = [
        each
        for each in opened
        if not (each.startswith("open ") and each[6:].startswith(own))
        and not each.startswith("exec <code object <module>")
        and not each.startswith("os.listdir '/")
    ]
    assert not strange, strange


def error_of(load, path):
    """What loading says, if it is an error of the right kind; memory stays within bounds."""
    before, said = tracemalloc.get_traced_memory()[0], ""
    tracemalloc.reset_peak()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(path)
    except (ValueError, TypeError) as error:
        said = str(error) or "nothing"
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak < 64 * path.stat().st_size + (24 << 20), peak
    assert said != "nothing"
    assert len(said) < 4000, said[:500]
    return said


@pytest.fixture
def made(request, tmp_path):
    """The file of a reader, which was opened once, so that all its modules are there."""
    name, make, load = READERS[request.param]
    path = tmp_path / name
    make(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load(path)
    tracemalloc.start()
    yield path, load
    tracemalloc.stop()


@pytest.mark.parametrize("made", READERS, indirect=True)
def test_a_file_that_ends_early_is_an_error(made):
    path, load = made
    content, found = path.read_bytes(), []
    for at in range(PARTS):
        path.write_bytes(content[: len(content) * at // PARTS])
        with watched(path.parent):
            found.append(error_of(load, path))
    # What was cut off of an ONNX file may be a field that nothing needs.
    assert found.count("") <= (path.suffix == ".onnx"), found


@pytest.mark.parametrize("made", READERS, indirect=True)
def test_a_bit_that_flipped_is_an_error_or_another_number(made):
    path, load = made
    content = path.read_bytes()
    for flip in damage.flips(FLIPS, seed=len(content)):
        path.write_bytes(flip(content))
        with watched(path.parent):
            error_of(load, path)


@pytest.mark.skipif("FERRNN_DEEP" not in os.environ, reason="`make deep` runs it")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("made", READERS, indirect=True)
def test_many_bits_that_flipped(made):
    path, load = made
    content = path.read_bytes()
    for flip in damage.flips(1000, seed=7):
        path.write_bytes(flip(content))
        error_of(load, path)
