"""Trainings that are killed at any moment end with the bits of one that was not.

`python test_interrupted.py WHAT SAVE_FREQ KILLS [TIMES]` prints a table of such kills.
"""

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")

PROGRAM = Path(__file__).with_name("interrupted.py")


class Training:
    """Starts the program on one folder, again and again."""

    def __init__(self, place, what="arrays", save_freq="epoch"):
        self.folder, self.out = place / "backup", place / "out.json"
        self.line = f"{what} {self.folder} {save_freq} 3 {self.out}\n"
        self.server = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True
        )

    def start(self):
        """The number of a process that has begun to train."""
        self.server.stdin.write(self.line)
        self.server.stdin.flush()
        word, number = self.server.stdout.readline().split()
        assert word == "begins"
        return int(number)

    def ended(self):
        """What was said until the process ended, and how it did."""
        said = []
        while not (said and said[-1].startswith("ended")):
            said.append(self.server.stdout.readline())
        return "".join(said[:-1]), int(said[-1].split()[1])

    def finish(self):
        """The result of a training that nobody kills; None if it fails."""
        self.start()
        self.said, code = self.ended()
        return None if code else self.out.read_text()

    def killed_after(self, seconds):
        """Whether the training was still under way."""
        number = self.start()
        select.select([self.server.stdout], [], [], seconds)  # it tells when it has ended
        with suppress(ProcessLookupError):  # it has ended
            os.kill(number, signal.SIGKILL)
        return self.ended()[1] == -signal.SIGKILL and not self.out.exists()

    def forget(self):
        """Begins anew."""
        self.out.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.stdin.close()
        self.server.stdout.read()
        self.server.stdout.close()
        self.server.wait()


def kills(place, what, save_freq, count, times=1, seed=0):
    """How many of `count` killed trainings ended as one that was not, with other bits, or failed.

    Those that ended before they could be killed do not count.
    """
    found, draw = {"exact": 0, "other bits": 0, "failed": 0}, random.Random(seed)
    with Training(place, what, save_freq) as training:
        began = time.perf_counter()
        training.forget()
        expected = training.finish()
        lasts = time.perf_counter() - began
        assert expected is not None, training.said
        while sum(found.values()) < count:
            training.forget()
            wait = [draw.uniform(0, lasts) for _ in range(times)]
            if not all(training.killed_after(seconds) for seconds in wait):
                lasts *= 0.8  # the machine has become faster
                continue
            result = training.finish()
            kind = "failed" if result is None else "exact" if result == expected else "other bits"
            found[kind] += 1
    return found


@pytest.mark.parametrize(
    ("what", "save_freq", "times"),
    [("arrays", "epoch", 2), ("dataset", 5, 1)],
)
def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path, what, save_freq, times):
    assert kills(tmp_path, what, save_freq, 1, times)["exact"] == 1


@pytest.mark.skipif("FERRNN_KILLS" not in os.environ, reason="`make deep` runs it")
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("what", ["arrays", "dataset", "generator"])
@pytest.mark.parametrize("save_freq", ["epoch", 5])
@pytest.mark.parametrize("times", [1, 2])
def test_hundreds_of_kills(tmp_path, what, save_freq, times):
    count = int(os.environ["FERRNN_KILLS"])
    assert kills(tmp_path, what, save_freq, count, times)["exact"] == count


@pytest.mark.parametrize(
    ("what", "save_freq", "checkpoints"),
    [("arrays", "5", 2), ("dataset", "999", 1), ("generator", "999", 1)],
)  # the first checkpoint is that of the start
def test_no_seed_needs_to_be_set(tmp_path, what, save_freq, checkpoints):
    folder, out = tmp_path / "backup", tmp_path / "out.json"
    command = [sys.executable, str(PROGRAM), what, str(folder), save_freq, "none", str(out)]
    process = subprocess.Popen(command, stdout=PIPE)
    while len(list(folder.glob("*.checkpoint"))) < checkpoints:
        assert process.poll() is None
        time.sleep(0.002)
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    assert not out.exists()
    process.communicate()
    expected = out.read_text()
    shutil.copytree(tmp_path / "copy", folder)
    subprocess.run(command, check=True, stdout=PIPE)
    assert out.read_text() == expected
    if what == "generator":  # by chance it is not
        subprocess.run(command, check=True, stdout=PIPE)
        assert out.read_text() != expected


if __name__ == "__main__":
    shown = [sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(int, sys.argv[4:])]
    scratch = Path(os.environ.get("SCRATCH", "scratch"))
    scratch.mkdir(parents=True, exist_ok=True)
    print(*sys.argv[1:], kills(scratch, *shown))
