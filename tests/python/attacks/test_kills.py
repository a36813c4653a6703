"""A process that is killed while it saves leaves a file that can be read, whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("h5py")
deep = pytest.mark.skipif("FERRNN_DEEP" not in os.environ, reason="`make deep` runs it")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that it forks")


def killed(folder, suffix, times):
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, "-W", "ignore", str(script), str(folder), suffix, str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] == times, found
    return found


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_killed_save_leaves_a_whole_file(tmp_path, suffix):
    killed(tmp_path, suffix, 4)


@deep
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_many_killed_saves_leave_a_whole_file(tmp_path, suffix):
    killed(tmp_path, suffix, 150)
