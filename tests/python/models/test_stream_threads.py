"""Large steps of a stream on several threads: the bits of one; small steps stay on the caller's."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import GRU, LSTM, Dense, Embedding, Input
from ferrnn.models import Sequential

LINUX = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads")
# What a process prints: how many threads the first steps of a stream have started.
STARTED = """
import sys
from pathlib import Path
import numpy as np
import ferrnn

threads, rows, units = map(int, sys.argv[1:])
ferrnn.set_num_threads(1)  # several would share the packing of large weights
model = ferrnn.Sequential([ferrnn.Input((None, 256)), ferrnn.layers.LSTM(units)])
stream = model.stream(rows)
ferrnn.set_num_threads(threads)
before = len(list(Path("/proc/self/task").iterdir()))
for _ in range(3):
    stream(np.ones((rows, 256), "f4"))
print(len(list(Path("/proc/self/task").iterdir())) - before)
"""


@pytest.fixture
def threads():
    before = ferrnn.num_threads()
    yield ferrnn.set_num_threads
    ferrnn.set_num_threads(before)


@LINUX
@each_case(
    ("threads", "rows", "units", "started"),
    [(1, 1, 1024, 0), (2, 1, 1024, 1), (2, 1, 64, 0), (2, 40, 200, 1)],
)
def test_only_large_steps_call_for_other_threads(threads, rows, units, started):
    arguments = [str(each) for each in (threads, rows, units)]
    told = subprocess.run(
        [sys.executable, "-c", STARTED, *arguments], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) == started


def deep():
    ferrnn.utils.set_random_seed(4)
    return Sequential(
        [
            Input((None,), dtype="int32"),
            Embedding(9, 300, mask_zero=True),
            LSTM(600, return_sequences=True),
            GRU(500, return_sequences=True, reset_after=False),
            Dense(3400, activation="tanh"),
        ]
    )


@each_case("precision", ["full", "bfloat16", "int8"])
@each_case("rows", [1, 3])
def test_steps_on_several_threads_give_the_bits_of_one(precision, rows, threads):
    model = deep()
    for layer in model.layers[1:3]:
        layer.inference_precision = precision
    ids = np.random.default_rng(1).integers(0, 9, size=(rows, 6))
    results = []
    for count in (1, 2, 3):
        threads(count)
        stream = model.stream(rows)
        outputs = [stream(ids[:, step]).copy() for step in range(6)]
        results.append([*outputs, *stream.state])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_streams_of_several_callers_get_the_bits_of_one(threads):
    model = deep()
    ids = np.random.default_rng(2).integers(0, 9, size=(5, 20))

    def steps(row):
        stream = model.stream()
        return np.stack([stream(ids[row, step : step + 1]).copy() for step in range(20)])

    threads(1)
    expected = [steps(row) for row in range(5)]
    threads(3)
    found = [None] * 5

    def run(row):
        found[row] = steps(row)

    callers = [threading.Thread(target=run, args=(row,)) for row in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
