"""A disk that is full, or a limit of a file's size, costs no file that was there."""

import itertools
import os
import subprocess
import sys

import pytest

import ferrnn
from ferrnn.layers import Dense, Input

pytest.importorskip("h5py")
resource = pytest.importorskip("resource")

SCRIPT = """
import resource, sys
import numpy as np
import ferrnn
from ferrnn.layers import Dense, Input

path = sys.argv[1]
model = ferrnn.Sequential([Input((50,)), Dense(700), Dense(3)])
save = model.save_weights if path.endswith(".weights.h5") else model.save
zipped = {"zipped": False} if sys.argv[2] == "folder" else {}
save(path, **zipped)
model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    save(path, **zipped)
except OSError as error:
    print(type(error).__name__, error)
"""


def saved(path, form, limit):
    command = [sys.executable, "-c", SCRIPT, str(path), form, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


FORMS = [("a.keras", "file"), ("a", "folder"), ("a.weights.h5", "file")]
LIMITS = [100, 20_000, 100_000]
# Each form and each limit once; all pairs of them in `make deep`.
DEEP = "FERRNN_DEEP" in os.environ
PAIRS = itertools.product(FORMS, LIMITS) if DEEP else zip(FORMS, LIMITS, strict=True)


@pytest.mark.parametrize(("name", "form", "limit"), [(*form, limit) for form, limit in PAIRS])
def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path, name, form, limit):
    path = tmp_path / name
    said = saved(path, form, limit)
    assert said.startswith("OSError [Errno 27] File too large; nothing was written: ")
    assert str(path) in said
    found = contents(tmp_path)
    if form == "file":
        assert list(found) == [name]
    else:
        assert len(found) == 3
    model = ferrnn.Sequential([Input((50,)), Dense(700), Dense(3)])
    if form == "file":
        model.load_weights(path)
    else:
        model = ferrnn.saving.load_model(path)
    assert not (model.get_weights()[0] == 1).any(), "the old numbers"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")  # noqa: PTH110
@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_a_full_device_is_told(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    model = ferrnn.Sequential([Input((5,)), Dense(7)])
    save = model.save_weights if name.endswith(".weights.h5") else model.save
    with pytest.raises(OSError, match="nothing was written") as caught:
        save(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
