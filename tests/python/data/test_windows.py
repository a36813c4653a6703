"""Windows of a series: views, order, shuffling, and the streams that are made of them."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.tree.results import Output
from ferrnn.preprocessing.sequence import TimeseriesGenerator
from ferrnn.utils import timeseries_dataset_from_array

SERIES = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")


def test_windows_are_views_of_the_series():
    for options in ({}, {"sequence_stride": 2, "sampling_rate": 3}):
        for inputs, targets in timeseries_dataset_from_array(SERIES, SERIES, 5, **options):
            assert np.may_share_memory(inputs, SERIES)
            assert np.may_share_memory(targets, SERIES)
            assert inputs.strides[-1] == SERIES.itemsize
            with pytest.raises(ValueError, match="read-only"):
                inputs[...] = 0


def test_shuffling_keeps_pairs_and_a_seed_repeats_it():
    def passes(seed):
        made = timeseries_dataset_from_array(
            SERIES, SERIES[4:], 5, batch_size=7, shuffle=True, seed=seed
        )
        return [np.concatenate(parts) for _ in range(2) for parts in zip(*made, strict=True)]

    first_x, first_y, second_x, second_y = passes(3)
    assert not np.array_equal(first_x, second_x)
    for x, y in ((first_x, first_y), (second_x, second_y)):
        np.testing.assert_array_equal(x[:, -1], y)
        np.testing.assert_array_equal(np.sort(y[:, 0]), np.sort(SERIES[4:, 0]))
    np.testing.assert_array_equal(first_x, passes(3)[0])
    assert not np.array_equal(first_x, passes(4)[0])


def test_one_window_after_the_other():
    made = timeseries_dataset_from_array(SERIES, np.arange(50), 5, batch_size=None)
    assert len(made) == 46
    inputs, target = next(iter(made))
    assert inputs.shape == (5, 3)
    assert target == 0
    (alone,) = timeseries_dataset_from_array(SERIES, None, 5, batch_size=None).take(1)
    np.testing.assert_array_equal(alone, SERIES[:5])


def test_batches_have_the_method_that_programs_call():
    for inputs, targets in timeseries_dataset_from_array(SERIES, SERIES, 5).take(1):
        assert inputs.numpy().shape == (46, 5, 3)
        assert type(inputs.numpy()) is type(targets.numpy()) is np.ndarray
        assert np.may_share_memory(inputs.numpy(), SERIES)
        layer = keras.layers.Dense(2)
        assert type(layer(inputs)) is Output


def test_windows_without_a_target_are_left_out():
    for start, count in ((None, 40), (2, 38)):
        made = timeseries_dataset_from_array(SERIES, SERIES[10:], 5, start_index=start)
        ((inputs, targets),) = made
        assert len(inputs) == len(targets) == made.count == count
        np.testing.assert_array_equal(inputs[:, 0], SERIES[start or 0 :][:count])
        np.testing.assert_array_equal(targets, SERIES[10 + (start or 0) :])


def test_too_short_a_series_has_no_window():
    made = timeseries_dataset_from_array(SERIES, None, 51)
    assert len(made) == 0
    assert list(made) == []


def test_streams_of_streams():
    made = timeseries_dataset_from_array(SERIES, SERIES, 5, batch_size=10)
    first, rest = made.take(2), made.skip(2)
    assert (len(first), len(rest), len(made.take(-1)), len(made.skip(9))) == (2, 3, 5, 0)
    assert len(list(first)) + len(list(rest)) == len(list(made))
    halves = made.map(lambda inputs, targets: (inputs / 2, targets), num_parallel_calls=4)
    assert len(halves) == 5
    np.testing.assert_array_equal(next(iter(halves))[0] * 2, next(iter(made))[0])
    kept = made.cache().prefetch(2)
    for again in (kept, kept):
        for batch, expected in zip(again, made, strict=True):
            np.testing.assert_array_equal(batch[0], expected[0])
    assert len(list(made.as_numpy_iterator())) == 5
    only = timeseries_dataset_from_array(SERIES, None, 5).map(lambda inputs: inputs[:, -1])
    assert next(iter(only)).shape == (46, 3)


def test_errors():
    for options, message in (
        ({"start_index": -1}, "`start_index` must be 0 or greater"),
        ({"start_index": 50}, "`start_index` must be lower"),
        ({"end_index": 0}, "`end_index` must be higher than 0"),
        ({"end_index": 51}, "`end_index` must be at most"),
        ({"start_index": 9, "end_index": 9}, "`end_index` must be higher than `start_index`"),
        ({"sampling_rate": 0}, "`sampling_rate` must be higher than 0"),
        ({"sampling_rate": 50}, "`sampling_rate` must be lower"),
        ({"sequence_stride": 0}, "`sequence_stride` must be higher than 0"),
        ({"sequence_stride": 50}, "`sequence_stride` must be lower"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"format": "rows"}, "`format` should be"),
    ):
        with pytest.raises(ValueError, match=message):
            timeseries_dataset_from_array(SERIES, None, 5, **options)
    with pytest.raises(ValueError, match="`targets` must be an array of numbers"):
        timeseries_dataset_from_array(SERIES, ["a"] * 50, 5)
    with pytest.raises(ValueError, match="of same length"):
        TimeseriesGenerator(SERIES, SERIES[1:], 5)
    with pytest.raises(ValueError, match="no part of the sequence would be left"):
        TimeseriesGenerator(SERIES, SERIES, 50)
    with pytest.raises(IndexError, match="no batch 1"):
        TimeseriesGenerator(SERIES, SERIES, 5)[1]


def test_a_generator_of_random_rows_keeps_pairs():
    made = TimeseriesGenerator(SERIES, SERIES, 5, shuffle=True, batch_size=8)
    assert len(made) == 6
    inputs, targets = made[0]
    assert inputs.shape == (8, 5, 3)
    for window, target in zip(inputs, targets, strict=True):
        (row,) = np.flatnonzero((target == SERIES).all(1))
        np.testing.assert_array_equal(window, SERIES[row - 5 : row])
    again = TimeseriesGenerator(**{**made.get_config(), "shuffle": False})
    np.testing.assert_allclose(again[0][0], SERIES[np.arange(8)[:, None] + np.arange(5)], rtol=1e-6)


def test_windows_train():
    dataset = timeseries_dataset_from_array(SERIES, SERIES[5:, :1], 5, batch_size=16)
    model = keras.Sequential([keras.layers.LSTM(4), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    (losses,) = model.fit(dataset, epochs=3, verbose=0).history.values()
    assert losses[2] < losses[0]
    predicted = model.predict(dataset.map(lambda x, y: x), verbose=0)
    error = np.mean((predicted - SERIES[5:, :1]) ** 2)
    assert model.evaluate(dataset, verbose=0) == pytest.approx(error, rel=1e-5)
