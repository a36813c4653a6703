"""An interpreter ends well while daemon threads are at work in the engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXITS = Path(__file__).with_name("exits.py")

# The second function was registered before the engine's own, and so runs after it.
JOINED = """
import atexit, sys, threading

over = threading.Event()
def join():
    over.set()
    thread.join()
    print("joined")
atexit.register(join)

import numpy as np
from ferrnn import layers

def work():
    layer = layers.LSTM(8)
    while not over.is_set():
        layer(np.ones((4, 30, 2), "f4"))
thread = threading.Thread(target=work, daemon=True)
thread.start()

def predict():
    assert layers.LSTM(3)(np.ones((2, 3, 4), "f4")).shape == (2, 3)
    print("predicted")
atexit.register(predict)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_every_end_is_quiet_and_of_status_0():
    done = run(str(EXITS), "6", "0")
    assert done.returncode == 0, done.stdout + done.stderr


def test_functions_at_exit_may_call_layers_and_join_threads_that_do():
    done = run("-c", JOINED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["predicted", "joined"]
