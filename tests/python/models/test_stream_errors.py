"""What a stream refuses: each error names what is wrong, and nothing has moved."""

import pickle
import threading

import numpy as np
import pytest

from each_case import each_case
from ferrnn.activations import Activation as Function
from ferrnn.layers import GRU, LSTM, Activation, Dense, Input, Reshape
from ferrnn.models import Sequential
from models.streaming import FEATURES, deep, randomised, recurrent, sequences


@each_case(
    ("inputs", "message"),
    [
        (np.zeros(4, np.float32), r"`inputs`: expected the shape \(3, 5\), received \(4,\)"),
        (np.zeros(5, np.float32), r"`inputs`: expected the shape \(3, 5\), received \(5,\)"),
        (np.zeros((3, 4), np.float32), r"expected the shape \(3, 5\), received \(3, 4\)"),
        (np.zeros((3, 1, 5)), r"expected the shape \(3, 5\), received \(3, 1, 5\)"),
        (1.0, r"expected the shape \(3, 5\), received \(\)"),
        (np.zeros((3, 5), complex), "`inputs`: expected real numbers, received dtype complex"),
        ("step", "`inputs`: expected real numbers, received dtype <U4"),
    ],
)
def test_wrong_inputs_are_refused(inputs, message):
    stream = recurrent(GRU).stream(3)
    with pytest.raises((TypeError, ValueError), match=message):
        stream(inputs)


def test_wrong_inputs_of_one_stream_are_told_both_shapes():
    with pytest.raises(ValueError, match=r"expected the shape \(5,\) or \(1, 5\), received \(4,\)"):
        recurrent(GRU).stream()(np.zeros(4, np.float32))


def read_only(array):
    array.setflags(write=False)
    return array


@each_case(
    ("out", "message"),
    [
        ([0.0], "`out`: expected a NumPy array, received list"),
        (np.zeros((2, 19)), r"`out`: expected dtype float32, received dtype\('float64'\)"),
        (np.zeros((2, 19), ">f4"), r"`out`: expected dtype float32, received dtype\('>f4'\)"),
        (np.zeros((2, 18), "f"), r"`out`: expected the shape \(2, 19\), received \(2, 18\)"),
        (np.zeros(19, "f"), r"`out`: expected the shape \(2, 19\), received \(19,\)"),
        (read_only(np.zeros((2, 19), "f")), "`out`: expected an array that is writeable"),
        (np.zeros((19, 2), "f").T, "`out`: expected an array that is C-contiguous"),
        (np.zeros((2, 38), "f")[:, ::2], "`out`: expected an array that is C-contiguous"),
        (
            np.zeros(2 * 19 * 4 + 1, np.uint8)[1:].view("f").reshape(2, 19),
            "`out`: expected an array that is aligned",
        ),
    ],
)
def test_wrong_out_is_refused_and_nothing_moves(out, message):
    model = randomised(recurrent(GRU))
    stream = model.stream(2)
    step = sequences(2)[:, 0]
    with pytest.raises((TypeError, ValueError), match=message):
        stream(step, out=out)
    np.testing.assert_array_equal(stream(step), model.stream(2)(step))


def test_overlapping_out_is_refused():
    stream = Sequential([Input((None, 5)), GRU(5)]).stream(2)
    memory = np.zeros(30, np.float32)
    inputs = memory[10:20].reshape(2, 5)
    for first in (1, 10, 19):
        with pytest.raises(ValueError, match=r"`out`: .* overlaps it"):
            stream(inputs, out=memory[first : first + 10].reshape(2, 5))
    backwards = memory[10:20].reshape(2, 5)[::-1]
    with pytest.raises(ValueError, match=r"`out`: .* overlaps it"):
        stream(backwards, out=memory[15:25].reshape(2, 5))
    for first in (0, 20):
        stream(inputs, out=memory[first : first + 10].reshape(2, 5))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda state: list(state.values()), TypeError, "`state` must be a mapping of the names"),
        (lambda state: {"gru/h": 0}, ValueError, r"must have the names \['memory/h', 'memory/c'\]"),
        (
            lambda state: {**state, "memory/c": np.zeros((2, 3))},
            ValueError,
            r"`state\['memory/c'\]` must have the shape \[streams, units\] = \(2, 4\)",
        ),
        (
            lambda state: {**state, "memory/c": np.full((2, 4), 1j)},
            TypeError,
            r"`state\['memory/c'\]` must hold real numbers, received the dtype complex128",
        ),
    ],
)
def test_wrong_states_are_refused_and_nothing_moves(change, error, message):
    layer = LSTM(4, name="memory")
    layer.build((None, None, FEATURES))
    stream = layer.stream(2)
    stream(sequences(2)[:, 0])
    before = stream.state
    wrong = change({name: array + 1 for name, array in before.items()})
    with pytest.raises(error, match=message):
        stream.state = wrong
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("rows", [4, [0, -5], [True, False], 1.5, "all"])
def test_rows_that_do_not_exist_are_refused(rows):
    with pytest.raises(IndexError, match="`rows` must be indices below 4, a slice, or a mask"):
        recurrent(GRU).stream(4).reset(rows)


@pytest.mark.parametrize("streams", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_streams_is_refused(streams):
    with pytest.raises(ValueError, match="`streams` must be a positive integer, received"):
        recurrent(GRU).stream(streams)


class Doubled(GRU):
    """A subclass may compute anything."""

    def forward(self, inputs, call):
        outputs, vjp = super().forward(inputs, call)
        return 2 * outputs, vjp


@each_case(
    ("layer", "message"),
    [
        (
            Reshape((-1, 1), name="odd"),
            "layer 'odd' of the model 'm' cannot run .* Reshape, which sees all steps",
        ),
        (Doubled(3, name="odd"), "layer 'odd' of the model 'm' cannot run in a stream: .* Doubled"),
        (GRU(3, go_backwards=True, name="odd"), "layer 'odd' .* go_backwards=True"),
        (GRU(3, return_state=True, name="odd"), "layer 'odd' .* return_state=True"),
        (LSTM(3, activation=np.sin, name="odd"), "layer 'odd' .* LSTMCell with sin and sigmoid"),
        (Dense(3, activation="mish", name="odd"), "layer 'odd' .* its activation mish"),
        (Activation(np.sin, name="odd"), "layer 'odd' .* its activation sin"),
        (Dense(3, dtype="float64", name="odd"), "layer 'odd' .* its dtype is float64"),
    ],
)
def test_layers_that_cannot_stream_are_named(layer, message):
    model = Sequential([Input((None, FEATURES)), GRU(4, return_sequences=True), layer], name="m")
    with pytest.raises((TypeError, ValueError), match=message):
        model.stream()


def test_an_activation_of_a_built_in_name_is_not_taken_for_it():
    mine = Function("tanh", lambda x: 2 * x, lambda x, y, d_y: 2 * d_y)
    model = Sequential([Input((None, FEATURES)), Dense(3, activation=mine)])
    with pytest.raises(TypeError, match="its activation tanh"):
        model.stream()


def test_inputs_of_another_dtype_than_the_layers_are_refused():
    # The model would round them first.
    model = Sequential([Input((None, FEATURES)), GRU(3, dtype="float64")], name="m")
    with pytest.raises(TypeError, match=r"'m' cannot run in a stream: its Input .* float32"):
        model.stream()


def test_what_is_not_built_says_so():
    with pytest.raises(ValueError, match=r"the model 'm' must be built .* give it an `Input`"):
        Sequential([GRU(4)], name="m").stream()
    with pytest.raises(ValueError, match=r"layer 'g' must be built .* call it once"):
        GRU(4, name="g").stream()


def test_streams_describe_themselves_and_are_not_pickled():
    stream = deep().stream(3)
    assert repr(stream) == "<Stream streams=3, features=5, units=6, dtype=float32>"
    with pytest.raises(TypeError, match="a stream cannot be pickled"):
        pickle.dumps(stream)


def test_two_threads_on_one_stream_are_an_error_and_not_a_race():
    # Large enough that a step releases the interpreter's lock.
    layer = GRU(700)
    layer.build((None, None, 300))
    stream = layer.stream(streams=4)
    inputs = np.ones((4, 300), np.float32)
    refused = threading.Event()
    unexpected = []

    def run():
        for _ in range(20_000):
            if refused.is_set():
                return
            try:
                stream(inputs)
            except RuntimeError as error:
                if "in use by another thread" not in str(error):
                    unexpected.append(error)
                refused.set()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.is_set()
    assert not unexpected
    stream(inputs)  # and usable afterwards
