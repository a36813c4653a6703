"""Interpreters that end while daemon threads are at work: `python exits.py [COUNT [SEED]]`.

Each is a child of this process that has layers, `fit` and streams at work in some threads, with one
to four threads of the engine, and ends at a random moment. All must end with status 0, quietly.
"""

import collections
import os
import random
import sys
import tempfile
import threading
import time

import numpy as np

import ferrnn
from ferrnn import layers

PATIENCE = 60.0


def small_calls():
    layer = layers.LSTM(16, return_sequences=True)
    inputs = np.ones((8, 50, 8), "f4")
    while True:
        layer(inputs)


def large_calls():
    layer = layers.GRU(64, return_sequences=True)
    inputs = np.ones((32, 400, 64), "f4")
    while True:
        layer(inputs)


def copied_inputs():
    layer = layers.LSTM(4)
    inputs = np.ones((64, 200, 16))[:, :, ::2]
    while True:
        layer(inputs)


def own_steps():
    class Cell(layers.LSTMCell):
        """A cell that runs step by step."""

    layer = layers.RNN(Cell(8))
    inputs = np.ones((8, 50, 8), "f4")
    while True:
        layer(inputs)


def training():
    model = ferrnn.Sequential(
        [layers.LSTM(8, return_sequences=True), layers.LayerNormalization(), layers.LSTM(4)]
    )
    model.compile("adam", "mse")
    inputs, targets = np.ones((64, 20, 3), "f4"), np.ones((64, 4), "f4")
    while True:
        model.fit(inputs, targets, verbose=0, batch_size=8)


def streaming():
    model = ferrnn.Sequential([ferrnn.Input((None, 3)), layers.LSTM(32), layers.Dense(4)])
    stream = model.stream()
    while True:
        stream([[1.0, 2.0, 3.0]])


WORK = (small_calls, large_calls, copied_inputs, own_steps, training, streaming)


def work(rng: random.Random) -> None:
    """The work of some threads, for a moment."""
    ferrnn.set_num_threads(rng.choice([1, 2, 4]))
    for _ in range(rng.randint(1, 4)):
        threading.Thread(target=rng.choice(WORK), daemon=True).start()
    time.sleep(rng.random() * 0.1)


def end_of(child: int) -> str:
    """How a child has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return f"signal {-code}" if code < 0 else f"status {code}"
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return f"no end in {PATIENCE:.0f} s"


def main(count: int, seed: int) -> int:
    ends: collections.Counter[str] = collections.Counter()
    for number in range(seed, seed + count):
        with tempfile.TemporaryFile() as told:
            child = os.fork()
            if child == 0:
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                work(random.Random(number))
                sys.exit(0)
            end = end_of(child)
            told.seek(0)
            text = told.read().decode()
        ends[end if end != "status 0" or not text else "status 0, not quiet"] += 1
        if end != "status 0" or text:
            print(f"seed {number}: {end}\n{text[:3000]}")
    print(", ".join(f"{end}: {number}" for end, number in sorted(ends.items())))
    return int(set(ends) != {"status 0"})


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(numbers + [1000, 0][len(numbers) :])))
