"""One seed, one run: initial weights, order of samples, dropout, to the bit."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import GRU, LSTM, Conv1D, Dense, Dropout, GlobalMaxPooling1D, SimpleRNN


def run(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            LSTM(5, return_sequences=True, dropout=0.2, recurrent_dropout=0.1),
            Dropout(0.3),
            GRU(4),
            Dense(1),
        ]
    )
    first = model.get_weights()
    model.compile("adam", loss="mse")
    data = np.random.default_rng(9)
    x, y = data.normal(size=(50, 6, 3)), data.normal(size=(50, 1))
    history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.2, verbose=0)
    return first, history.history, model.get_weights(), model.predict(x, verbose=0)


def test_the_same_seed_gives_the_same_run_to_the_bit():
    first, history, last, predicted = run(7)
    again_first, again_history, again_last, again_predicted = run(7)
    assert history == again_history
    np.testing.assert_array_equal(predicted, again_predicted)
    for one, other in zip(first + last, again_first + again_last, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_run():
    (first, history, *_), (other_first, other_history, *_) = run(7), run(8)
    assert (first[0] != other_first[0]).any()
    assert history != other_history


def test_the_number_of_threads_changes_no_bit():
    threads = keras.num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            keras.set_num_threads(count)
            results.append(run(3))
    finally:
        keras.set_num_threads(threads)
    for other in results[1:]:
        assert other[1] == results[0][1]
        np.testing.assert_array_equal(other[3], results[0][3])


LARGE = {
    "lstm": lambda dtype: [LSTM(100, dtype=dtype)],
    "gru": lambda dtype: [GRU(100, dtype=dtype)],
    "gru, reset before": lambda dtype: [GRU(100, reset_after=False, dtype=dtype)],
    "simple rnn": lambda dtype: [SimpleRNN(150, dtype=dtype)],
    "dropout": lambda dtype: [LSTM(100, dropout=0.1, recurrent_dropout=0.2, dtype=dtype)],
    "convolution": lambda dtype: [
        Conv1D(100, 3, padding="same", dtype=dtype),
        Conv1D(3, 3, activation="relu", dtype=dtype),
        GlobalMaxPooling1D(dtype=dtype),
    ],
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nor_does_it_where_samples_and_weights_are_shared_out(kind, dtype):
    """Sizes at which threads gather samples, pack weights and write gradients, of three groups."""

    def trained(count):
        keras.set_num_threads(count)
        keras.utils.set_random_seed(11)
        parts = [keras.Input((5, 70), dtype=dtype), *LARGE[kind](dtype), Dense(1, dtype=dtype)]
        model = keras.Sequential(parts)
        model.compile("adam", "mse")
        data = np.random.default_rng(9)
        x, y = data.normal(size=(170, 5, 70)).astype(dtype), data.normal(size=(170, 1))
        history = model.fit(x, y, batch_size=70, epochs=3, verbose=0)
        return [*model.get_weights(), *history.history["loss"]]

    threads = keras.num_threads()
    try:
        one, *others = [trained(count) for count in (1, 2, 3)]
    finally:
        keras.set_num_threads(threads)
    for other in others:
        for expected, received in zip(one, other, strict=True):
            np.testing.assert_array_equal(received, expected)
