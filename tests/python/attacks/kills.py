"""Kills processes while they save a model, and says what they left: `kills.py FOLDER SUFFIX TIMES`.

Every save writes one number into all weights, so that a file that is half old shows.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import ferrnn
from ferrnn.layers import LSTM, Dense, Input


def model_of(units):
    layers = [
        Input((5, 7)),
        LSTM(units, name="lstm", recurrent_initializer="zeros"),
        Dense(3, name="dense"),
    ]
    model = ferrnn.Sequential(layers)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_weights)
    return model


def save(model, path, number):
    model.set_weights([np.full(weight.shape, number, "f4") for weight in model.get_weights()])
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)


def save_for_ever(model, path, started):
    number = 1
    os.write(started, b"1")
    while True:
        save(model, path, number)
        number += 1


def look(model, path):
    """What is at the path, in a word."""
    try:
        if path.name.endswith(".weights.h5"):
            model.load_weights(path)
            read = model
        else:
            read = ferrnn.saving.load_model(path)
    except Exception as error:  # noqa: BLE001 - the kind is counted
        return f"unreadable: {type(error).__name__}"
    values = {float(value) for weight in read.get_weights() for value in np.unique(weight)}
    return "whole" if len(values) == 1 else "mixed"


def kill(model, path, delay):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            save_for_ever(model, path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was to be killed while it saves"


def main(folder, suffix, times):
    path = Path(folder, f"model{suffix}")
    model = model_of(150)
    save(model, path, 0)
    began = time.perf_counter()
    save(model, path, 0)
    once = time.perf_counter() - began
    rng = np.random.default_rng(7)
    found = {}
    for _ in range(times):
        kill(model, path, rng.uniform(0, 3 * once))
        word = look(model, path)
        found[word] = found.get(word, 0) + 1
        if word != "whole":
            save(model, path, 0)
    left = len(list(Path(folder).iterdir())) - 1
    print(json.dumps({**found, "left beside it": left}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
