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
    except MemoryError as error:
        return str(error)
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
    "a large dropout mask": "refused(_core.noise, 1, 2, (2**20, 2**20), 3, 1.0)",
    "many normal numbers": "refused(_core.noise, 1, 2, (2**20, 2**20), None, 1.0)",
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


POOL = """
import resource
import numpy as np
import ferrnn

ferrnn.set_num_threads(1)
layer = ferrnn.layers.LSTM(64, return_sequences=True)

def trained(rows):
    layer.forward(np.ones((rows, 1000, 8), "f4"), ferrnn.Call(training=True, differentiable=True))

def used():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

before = used()
trained(256)
assert used() - before > 300 << 20, "the pool keeps nothing"
limit = used() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
trained(280)  # 410 MiB in one piece
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_memory_that_the_pool_keeps_is_not_missing():
    done = run(POOL)
    assert done.returncode == 0, done.stderr


PLANS = f"""
from ferrnn import ops
LIMIT = {LIMIT}

class Wide(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, shape):
        self.scale = self.add_weight((self.width,), "ones", name="scale")

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        return ops.mean(ops.tanh(inputs[:, :, None] * self.scale), axis=-1)

class Cell(layers.Layer):
    state_size = 4

    def build(self, shape):
        self.wide = Wide(2**16)
        self.wide.build(shape)

    def call(self, inputs, states):
        more = ops.mean(self.wide(inputs), axis=-1, keepdims=True)
        h = ops.tanh(inputs[:, :4] + states[0]) + more
        return h, [h]

def by_engine(call, *arguments, **keywords):
    # NumPy, which would run the code in Python, says something else.
    said = refused(call, *arguments, **keywords)
    assert said.startswith("could not reserve"), said

def leave(room):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, LIMIT))

def pairs(y_true, y_pred):
    wide = ops.reshape(y_true[:, :1] + ops.ones((1, 2**20)), (-1, 2**20))
    return ops.mean(ops.tanh(wide * ops.mean(y_pred, axis=-1, keepdims=True)), axis=-1)

class Batches(ferrnn.utils.PyDataset):
    def __init__(self, *sizes):
        super().__init__()
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        return x[: self.sizes[index]], y[: self.sizes[index]]

def made(body, loss):
    ferrnn.utils.set_random_seed(3)
    inputs = ferrnn.Input((5, 16))
    values = layers.GRU(16, return_sequences=True)(inputs)
    model = ferrnn.Model(inputs, layers.Dense(2)(body(values)))
    model.compile("adam", loss, metrics=[loss] if callable(loss) else [])
    assert all(node.back is None for node in model.explain_plan()), model.explain_plan()
    return model

def state(model):
    return [np.array(each) for each in (*model.weights, *model.optimizer.variables)]

def equal(ours, theirs):
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other)

x = np.random.default_rng(1).normal(size=(96, 5, 16)).astype("f4")
y = np.random.default_rng(2).normal(size=(96, 2)).astype("f4")
"""

# What runs as a program.
PROGRAMS = {
    "layer": "made(lambda values: Wide(2**18)(values[:, -1]), 'mse')",
    "cell": "made(layers.RNN(Cell()), 'mse')",
    "loss": "made(lambda values: values[:, -1], pairs)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_plan_whose_programs_are_refused_memory_leaves_a_model_as_it_was(kind):
    program = f"""
ours, theirs = {PROGRAMS[kind]}, {PROGRAMS[kind]}
given = {{"batch_size": 2, "verbose": 0}}
for model in (ours, theirs):
    model.fit(x[:6], y[:6], shuffle=False, **given)
    model.evaluate(x[:6], y[:6], **given)
    model.predict(x[:6], **given)
before = state(ours)
leave(5 << 27)
given["batch_size"] = 96
by_engine(ours.fit, x, y, **given)
by_engine(ours.train_on_batch, x, y)
if {kind != "cell"}:  # whose registers of a few rows serve all
    by_engine(ours.evaluate, x, y, **given)
if {kind == "layer"}:
    by_engine(ours.predict, np.concatenate(4 * [x]), **given)
equal(state(ours), before)

# Steps before the one without memory are done.
by_engine(ours.fit, Batches(2, 3, 96), shuffle=False, verbose=0)
theirs.fit(Batches(2, 3), shuffle=False, verbose=0)
equal(state(ours), state(theirs))

given["batch_size"] = 2
for model in (ours, theirs):
    model.fit(x[:6], y[:6], shuffle=False, **given)
equal(state(ours), state(theirs))
equal([ours.predict(x[:5], **given)], [theirs.predict(x[:5], **given)])
"""
    done = run(START + PLANS + program)
    assert done.returncode == 0, done.stderr
