"""Sizes beyond all memory raise MemoryError; the process lives on, and nothing has changed."""

import subprocess
import sys

import pytest

LIMIT = 3 << 29

START = f"""
import resource
import numpy as np
import ferrnn
from ferrnn import _core, layers

resource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))

def ones(*shape):
    return np.broadcast_to(np.ones((), "f4"), shape)

def refused(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except MemoryError:
        return
    raise AssertionError("no MemoryError")
"""

# Each begins an array of more elements than memory has room for, of which NumPy stores but one.
CALLS = {
    "a long sequence": "refused(layers.LSTM(1), ones(1, 2**40, 1))",
    "a long sequence of outputs": "refused(layers.GRU(2, return_sequences=True), "
    "ones(1, 2**40, 1))",
    "a long sequence backwards": "refused(layers.SimpleRNN(3, go_backwards=True), "
    "ones(2, 2**40, 1))",
    "a large batch": "refused(layers.LSTM(1), ones(2**28, 1, 1))",
    "a large batch of no steps": "refused(layers.LSTM(1), ones(2**28, 0, 1))",
    "a huge batch of no steps": "refused(layers.GRU(1), ones(2**36, 0, 1))",
    "a long mask": "refused(layers.LSTM(1), ones(1, 2**40, 1), "
    "mask=np.broadcast_to(np.True_, (1, 2**40)))",
    "ragged rows of a long sequence": "refused(layers.LSTM(1), ones(2, 2**33, 1), "
    "mask=np.broadcast_to(np.array([[False], [True]]), (2, 2**33)))",
    "a large batch of Dense": "refused(layers.Dense(1), ones(2**36, 1))",
    "a large batch of Conv1D": "refused(layers.Conv1D(1, 2), ones(2**33, 3, 1))",
    "a large batch of LayerNormalization": "refused(layers.LayerNormalization(), ones(2**36, 3))",
    "a large batch of ids": "refused(layers.Embedding(3, 2), "
    "np.broadcast_to(np.zeros((), 'i8'), (2**33, 5)))",
    "gradients of a long sequence": "refused(layers.LSTM(1).forward, ones(3, 2**36, 1), "
    "ferrnn.Call(training=True))",
    "many streams": "refused(_core.Stream, ['tanh'], 1, 2**40)",
    "wide streams": "refused(_core.Stream, ['tanh'], 2**40)",
    "a wide normalization": "refused(_core.NormalizationWeights, 2**62, 1e-3)",
    "many rows of an embedding": "refused(_core.embedding_backward, "
    "np.zeros(1, 'i8'), np.ones((1, 1), 'f4'), 2**60)",
    "a large dropout mask": "refused(_core.dropout_mask, 1, 2, (2**21, 2**20), 3, 1.0)",
    "large limits": "refused(_core.limits, 1, [2**50])",
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of its own, since an abort would end this one."""
    command = [sys.executable, "-X", "faulthandler", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_sizes_beyond_memory_are_memory_errors():
    calls = [f"print({name!r}, flush=True)\n{call}" for name, call in CALLS.items()]
    done = run("\n".join([START, *(f"{call}\nlayers.LSTM(2)(ones(3, 4, 5))" for call in calls)]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == list(CALLS)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_layer_that_was_refused_memory_is_as_before():
    program = """
layer = layers.LSTM(3, stateful=True, return_sequences=True)
inputs = np.random.default_rng(1).normal(size=(2, 5, 1)).astype("f4")
layer(inputs)
states = [np.array(state) for state in layer.states]
weights = layer.get_weights()
refused(layer, ones(2, 2**40, 1))
for before, after in zip([*states, *weights], [*layer.states, *layer.get_weights()], strict=True):
    np.testing.assert_array_equal(before, after)
expected = layers.LSTM(3, return_sequences=True)
expected.build(inputs.shape)
expected.set_weights(weights)
np.testing.assert_array_equal(layer(inputs), expected(inputs, initial_state=states))
"""
    done = run(START + program)
    assert done.returncode == 0, done.stderr
