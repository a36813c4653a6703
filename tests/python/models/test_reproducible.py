"""One seed, one run: initial weights, order of samples, dropout, to the bit."""

import numpy as np

import ferrnn as keras
from ferrnn.layers import GRU, LSTM, Dense, Dropout


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
