"""A layer's call computes with the weights of one `set_weights`, whatever other threads write."""

import os
import sys
import threading

import numpy as np
import pytest

import ferrnn
from ferrnn import layers

FEATURES = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("f4")
IDS = np.arange(40).reshape(4, 10) % 7


class OwnCell(layers.LSTMCell):
    """A cell that runs step by step."""


LAYERS = {
    "LSTM": (lambda: layers.LSTM(8), FEATURES),
    "GRU": (lambda: layers.GRU(8, reset_after=False), FEATURES),
    "SimpleRNN": (lambda: layers.SimpleRNN(8), FEATURES),
    "RNN of an own cell": (lambda: layers.RNN(OwnCell(3)), FEATURES),
    "Dense": (lambda: layers.Dense(8), FEATURES),
    "Conv1D": (lambda: layers.Conv1D(4, 2), FEATURES),
    "LayerNormalization": (layers.LayerNormalization, FEATURES),
    "LayerNormalization of two axes": (lambda: layers.LayerNormalization(axis=(1, 2)), FEATURES),
    "GroupNormalization": (lambda: layers.GroupNormalization(1), FEATURES),
    "BatchNormalization": (layers.BatchNormalization, FEATURES),
    "Embedding": (lambda: layers.Embedding(7, 4), IDS),
}


@pytest.fixture
def hasty():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Writing:
    """Sets one list of weights after the other in a thread of its own, while the block runs."""

    def __init__(self, layer, sets):
        self.layer, self.sets, self.over = layer, sets, threading.Event()
        self.thread = threading.Thread(target=self.write)

    def write(self):
        while not self.over.is_set():
            for weights in self.sets:
                self.layer.set_weights(weights)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *raised):
        self.over.set()
        self.thread.join()


def two_sets(layer, inputs):
    """Two lists of weights, and the outputs of each."""
    layer(inputs)
    rng = np.random.default_rng(3)
    shapes = [weight.shape for weight in layer.weights]
    sets = [[rng.uniform(0.1, 1.0, shape).astype("f4") for shape in shapes] for _ in range(2)]
    outputs = []
    for weights in sets:
        layer.set_weights(weights)
        outputs.append(np.array(layer(inputs)))
    return sets, outputs


@pytest.mark.parametrize(("make", "inputs"), LAYERS.values(), ids=LAYERS)
def test_a_call_sees_the_weights_before_or_those_after(make, inputs, hasty):
    layer = make()
    sets, outputs = two_sets(layer, inputs)
    assert not np.array_equal(*outputs)
    with Writing(layer, sets):
        for _ in range(400):
            output = np.array(layer(inputs))
            assert any(np.array_equal(output, one) for one in outputs)


def test_a_call_sees_an_update_of_the_optimizer_whole(hasty):
    layer = layers.Dense(64, kernel_initializer="zeros")
    layer(np.ones((1, 64), "f4"))
    optimizer, over = ferrnn.optimizers.SGD(1.0), threading.Event()

    def train():
        while not over.is_set():
            grads = ferrnn.Gradients()
            for weight in layer.weights:
                grads.add(weight, np.ones(weight.shape, "f4"))
            optimizer.apply(grads)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(400):
            # All weights are equal, so the sums of 65 equal numbers are whole and equal.
            output = np.array(layer(np.ones((1, 64), "f4")))
            assert (output == output[0, 0]).all()
            assert output[0, 0] % 65 == 0
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_writes_weights_though_a_thread_of_the_parent_held_them():
    layer = layers.Dense(1)
    layer(np.ones((1, 2)))
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with layer.kernel.writing():
            held.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        done = threading.Thread(target=layer.set_weights, args=[layer.get_weights()], daemon=True)
        done.start()
        done.join(10)
        os._exit(int(done.is_alive()))
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
