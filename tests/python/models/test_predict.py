"""`predict`: batches, empty inputs, several outputs, and arrays that are the caller's own."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense, Dropout, Reshape

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("batch_size", [None, 1, 7, 64])
def test_the_size_of_batches_changes_no_bit(batch_size):
    model = keras.Sequential([LSTM(5, return_sequences=True), LSTM(3), Dense(2)])
    x = RNG.normal(size=(40, 6, 4)).astype("float32")
    whole = model.predict_on_batch(x)
    np.testing.assert_array_equal(model.predict(x, batch_size=batch_size, verbose=0), whole)


def test_no_samples_give_no_results():
    model = keras.Sequential([keras.Input((6, 4)), LSTM(3), Dense(2)])
    assert model.predict(np.zeros((0, 6, 4)), verbose=0).shape == (0, 2)


def test_several_outputs_come_as_a_tuple():
    model = keras.Sequential([keras.Input((6, 4)), LSTM(3, return_state=True)])
    assert model.output_shape == [(None, 3)] * 3
    x = RNG.normal(size=(5, 6, 4))
    parts = model.predict(x, batch_size=2, verbose=0)
    for part, expected in zip(parts, model(x), strict=True):
        np.testing.assert_array_equal(part, expected)
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="`y` must have an array for each of the 3 outputs"):
        model.fit(x, np.ones(5), verbose=0)


def test_first_steps_only():
    model = keras.Sequential([Dense(1)])
    assert model.predict(np.ones((10, 2)), batch_size=3, steps=2, verbose=0).shape == (6, 1)


@pytest.mark.parametrize("layer", [Dropout(0.5), Reshape((1, 2))])
def test_results_are_not_the_inputs(layer):
    model = keras.Sequential([layer])
    x = np.ones((3, 2), "float32")
    for result in (model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert not np.shares_memory(result, x)


def test_inputs_of_any_kind_are_taken():
    model = keras.Sequential([keras.Input((6, 4)), LSTM(3)])
    x = RNG.normal(size=(5, 6, 4)).astype("float32")
    expected = model.predict(x, verbose=0)
    fortran, strided = np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]
    swapped, frozen = x.astype(">f4"), x.copy()
    frozen.flags.writeable = False
    for same in (fortran, strided, swapped, frozen, x.astype("float64")):
        np.testing.assert_array_equal(model.predict(same, verbose=0), expected)
    assert model.predict(np.ones((1, 6, 4), int), verbose=0).dtype == np.float32


def test_nan_stays_in_its_row():
    model = keras.Sequential([keras.Input((6, 4)), LSTM(3), Dense(2)])
    x = RNG.normal(size=(5, 6, 4))
    clean = model.predict(x, verbose=0)
    x[2, 3, 1] = np.nan
    dirty = model.predict(x, verbose=0)
    assert np.isnan(dirty[2]).all()
    rest = [0, 1, 3, 4]
    np.testing.assert_array_equal(dirty[rest], clean[rest])


def test_words_for_what_cannot_be_predicted():
    model = keras.Sequential([keras.Input((6, 4)), LSTM(3)])
    with pytest.raises(ValueError, match="`x` must be an array of samples"):
        model.predict(None)
    with pytest.raises(ValueError, match="Unrecognized data type: x=list"):
        model.predict([[1.0, 2.0]])
    with pytest.raises(ValueError, match="`batch_size`"):
        model.predict(np.ones((40, 6, 4)), batch_size=0)
