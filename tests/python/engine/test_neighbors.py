"""The engine among threads, signals and processes: what README.md promises about being a good
neighbor."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import ferrnn
from ferrnn import Call, Gradients, layers

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="of POSIX")
RNG = np.random.default_rng(8)
# More steps than a call gets through in seconds; all of them are one in memory.
ENDLESS = np.broadcast_to(np.ones((), "f4"), (1, 2**25, 3))


@pytest.fixture(params=[1, 2, 4] if "FERRNN_DEEP" in os.environ else [1, 4])
def threads(request):
    before = ferrnn.num_threads()
    ferrnn.set_num_threads(request.param)
    yield request.param
    ferrnn.set_num_threads(before)


def reader():
    ferrnn.utils.set_random_seed(3)
    return ferrnn.Sequential(
        [
            ferrnn.Input((None, 5)),
            layers.Bidirectional(layers.LSTM(33, return_sequences=True)),
            layers.LayerNormalization(),
            layers.GRU(17),
            layers.Dense(3),
        ]
    )


def differentiated(layer, inputs):
    """Forward passes for a gradient, again and again: none is kept."""
    for _ in range(10_000):
        layer.forward(inputs, Call(differentiable=True))


def in_threads(work, count):
    """What `work(number)` gives in each of many threads that start together."""
    found, gate = [None] * count, threading.Barrier(count)

    def run(number):
        gate.wait()
        found[number] = work(number)

    crowd = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return found


def test_a_crowd_that_calls_one_model_gets_the_bits_of_one_caller(threads):
    model, count = reader(), 9
    given = [RNG.normal(size=(1 + 7 * n, 40 - n, 5)).astype("f4") for n in range(count)]
    uses = (lambda x: np.asarray(model(x)), lambda x: model.predict(x, verbose=0))
    expected = [np.asarray(model(x)) for x in given]

    def work(number):
        return [use(given[number]) for _ in range(6) for use in uses]

    for outputs, right in zip(in_threads(work, count), expected, strict=True):
        assert len(outputs) == 12
        for each in outputs:
            np.testing.assert_array_equal(each, right)


def test_a_crowd_that_differentiates_one_layer_gets_the_bits_of_one_caller(threads):
    layer, count = layers.GRU(21, return_sequences=True), 6
    given = [RNG.normal(size=(3 + n, 30, 7)).astype("f4") for n in range(count)]
    layer(given[0])

    def work(number):
        grads = Gradients()
        outputs, vjp = layer.forward(given[number], Call(training=True, differentiable=True))
        d_inputs = vjp(np.cos(outputs), grads)
        return [outputs, d_inputs, *(grads[weight] for weight in layer.trainable_weights)]

    expected = [work(number) for number in range(count)]
    for _ in range(4):
        for found, right in zip(in_threads(work, count), expected, strict=True):
            for one, other in zip(found, right, strict=True):
                np.testing.assert_array_equal(one, other)


def test_other_threads_run_during_a_long_call(threads):
    layer, ticks, ended = layers.LSTM(64), [], threading.Event()
    inputs = np.broadcast_to(np.ones((), "f4"), (1, 100_000, 3))
    layer(inputs[:, :2])

    def tick():
        while not ended.wait(0.002):
            ticks.append(time.perf_counter())

    other = threading.Thread(target=tick)
    other.start()
    began = time.perf_counter()
    layer(inputs)
    during = [each for each in ticks if began < each]
    ended.set()
    other.join()
    assert len(during) >= 5


@pytest.fixture
def interruptible():
    """Ctrl-C raises, in a process too whose parent had it ignored, as shells do for jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@POSIX
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("threads", [1, 4], indirect=True)
@pytest.mark.parametrize("use", ["outputs", "gradients", "predict", "fit"])
def test_an_interrupt_stops_a_long_call_and_leaves_all_usable(use, threads):
    model = ferrnn.Sequential([ferrnn.Input((None, 3)), layers.LSTM(16), layers.Dense(1)])
    model.compile("sgd", "mse")
    inputs, targets = RNG.normal(size=(2, 6, 3)).astype("f4"), np.ones((2, 1), "f4")
    expected = model.predict(inputs, verbose=0)
    weights = model.get_weights()
    several = np.broadcast_to(np.ones((), "f4"), (1, 2**19, 3))  # what is kept of it fits
    calls = {
        "outputs": lambda: model(ENDLESS),
        "gradients": lambda: differentiated(model.layers[0], several),
        "predict": lambda: model.predict(ENDLESS, verbose=0),
        "fit": lambda: model.fit(several, targets[:1], epochs=10_000, verbose=0),
    }
    timer = threading.Timer(0.15, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        calls[use]()
    assert time.perf_counter() - began < 20
    timer.join()
    if use != "fit":
        for one, other in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, other)
    model.set_weights(weights)
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), expected)
    model.fit(inputs, targets, verbose=0)


@POSIX
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(threads):
    layer = layers.LSTM(48, return_sequences=True)
    inputs = RNG.normal(size=(40, 50, 24)).astype("f4")
    expected = np.asarray(layer(inputs))
    ended = threading.Event()

    def busy():
        while not ended.is_set():
            layer(inputs)

    others = [threading.Thread(target=busy) for _ in range(2)]
    for other in others:
        other.start()
    codes = []
    try:
        for _ in range(3):
            child = os.fork()
            if not child:
                right = np.array_equal(layer(inputs), expected)
                grads = Gradients()
                outputs, vjp = layer.forward(inputs, Call(training=True, differentiable=True))
                vjp(outputs, grads)
                os._exit(0 if right else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        ended.set()
        for other in others:
            other.join()
    assert codes == [0] * 3
    np.testing.assert_array_equal(layer(inputs), expected)
