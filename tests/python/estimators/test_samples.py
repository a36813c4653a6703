"""What estimators take as samples: rows, arrays, lists of any lengths, frames."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from each_case import each_case
from ferrnn.sklearn import (
    RecurrentClassifier,
    RecurrentRegressor,
    RecurrentTransformer,
)

SMALL = {"cell": "gru", "units": 5, "epochs": 2, "random_state": 3}
RNG = np.random.default_rng(5)
CUBE = RNG.normal(2, 3, size=(41, 7, 3))
Y = CUBE[:, -1, 0] - CUBE[:, -2, 1]
LENGTHS = RNG.integers(1, 8, size=41)
LISTS = [each[:length] for each, length in zip(CUBE, LENGTHS, strict=True)]


def test_rows_are_sequences_of_one_feature():
    rows = CUBE[:, :, 0]
    one = RecurrentRegressor(**SMALL).fit(rows, Y)
    other = RecurrentRegressor(**SMALL).fit(rows[:, :, np.newaxis], Y)
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows[:, :, np.newaxis]))
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))
    assert (one.n_features_in_, other.n_features_in_) == (7, 1)
    short = [row[:4] for row in rows[:2]] + [rows[2]]
    np.testing.assert_array_equal(one.predict(short)[2], one.predict(rows)[2])
    with pytest.raises(ValueError, match="X has 6 features, but RecurrentRegressor is expecting 7"):
        one.predict(rows[:, :6])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", [RecurrentRegressor, RecurrentTransformer])
def test_sequences_of_any_lengths_give_what_each_gives_alone(kind, bidirectional):
    made = kind(**SMALL, layers=2, bidirectional=bidirectional).fit(LISTS, Y)
    whole = getattr(made, "predict", None) or made.transform
    alone = np.concatenate([whole(each[np.newaxis]) for each in LISTS])
    np.testing.assert_array_equal(whole(LISTS), alone)
    assert made.n_features_in_ == 3
    objects = np.empty(len(LISTS), dtype=object)
    objects[:] = LISTS
    np.testing.assert_array_equal(whole(objects), alone)
    np.testing.assert_array_equal(whole([each.tolist() for each in LISTS]), alone)


def test_padding_counts_in_no_loss():
    still = {**SMALL, "epochs": 1, "batch_size": 41, "learning_rate": 0.0, "scale": False}
    made = RecurrentRegressor(**still).fit(LISTS, Y)
    errors = (made.predict(LISTS) - Y) ** 2
    np.testing.assert_allclose(made.history_["loss"], [errors.mean()], rtol=1e-5)
    foretold = RecurrentTransformer(**still).fit(LISTS)
    errors = []
    for each in LISTS:
        before = np.concatenate([np.zeros((1, 3)), each[:-1]])[np.newaxis]
        errors += [*((foretold.model_.predict(before, verbose=0)[0] - each) ** 2).mean(axis=1)]
    np.testing.assert_allclose(foretold.history_["loss"], [np.mean(errors)], rtol=1e-5)


def test_frames_have_names():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    names = [f"step {at}" for at in range(7)]
    plain = RecurrentRegressor(**SMALL).fit(CUBE[:, :, 0], Y)
    for frame, target in (
        (pandas.DataFrame(CUBE[:, :, 0], columns=names), pandas.Series(Y)),
        (polars.DataFrame(CUBE[:, :, 0], schema=names), polars.Series("y", Y)),
    ):
        made = RecurrentRegressor(**SMALL).fit(frame, target)
        assert made.feature_names_in_.tolist() == names
        np.testing.assert_array_equal(made.predict(frame), plain.predict(CUBE[:, :, 0]))
    with pytest.raises(ValueError, match="feature names should match"):
        made.predict(frame.rename({"step 0": "first"}))


def test_lists_of_frames_are_sequences():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    columns = ["a", "b", "c"]
    plain = RecurrentRegressor(**SMALL).fit(LISTS, Y)
    for make in (
        lambda each: pandas.DataFrame(each, columns=columns),
        lambda each: polars.DataFrame(each, schema=columns),
    ):
        frames = [make(each) for each in LISTS]
        made = RecurrentRegressor(**SMALL).fit(frames, Y)
        assert made.feature_names_in_.tolist() == columns
        np.testing.assert_array_equal(made.predict(frames), plain.predict(LISTS))
    with pytest.raises(ValueError, match=r"same columns: .*'a', 'b', 'c'\], of number 1 \['z'\]"):
        made.predict([frames[0], polars.DataFrame({"z": [1.0]})])


@each_case(
    ("samples", "error"),
    [
        ([], "Expected 2D array"),
        ([CUBE[0], CUBE[1, :, :2]], "expected 3, received 2 in number 1"),
        ([CUBE[0], CUBE[1, :0]], "at least one step, received none in number 1"),
        ([CUBE[0], np.full((2, 3), np.nan)], "Input X contains NaN"),
        ([CUBE, CUBE], "members with .3. axes"),
        (CUBE[:, :, :2], "X has 2 features, but RecurrentClassifier is expecting 3"),
        (CUBE[:, :, 0], r"sequences of 3 features, an array \[samples, steps, 3\]"),
        (CUBE[:0], "0 sample"),
        (CUBE[:, :0], rf"at least one step and one feature .* shape \({len(CUBE)}, 0, 3\)"),
        (CUBE[:, :, :0], r"at least one step and one feature .* 0\)"),
        (np.full_like(CUBE, np.inf), "Input X contains infinity"),
    ],
)
def test_other_samples_are_refused(samples, error):
    made = RecurrentClassifier(**SMALL).fit(CUBE, Y > 0)
    with pytest.raises(ValueError, match=error):
        made.predict(samples)


@pytest.mark.parametrize("samples", [CUBE[:, :0], CUBE[:, :, :0]])
def test_nothing_is_learned_of_no_steps_or_features(samples):
    with pytest.raises(ValueError, match="at least one step and one feature"):
        RecurrentRegressor(**SMALL).fit(samples, Y)


def test_scale_is_that_of_features():
    shifted = CUBE * [1.0, 1000.0, 1e-3] + [5.0, -1e5, 0.0]
    one, other = (RecurrentRegressor(**SMALL).fit(each, Y) for each in (CUBE, shifted))
    np.testing.assert_allclose(one.predict(CUBE), other.predict(shifted), rtol=1e-3, atol=1e-3)
    moved = RecurrentRegressor(**SMALL).fit(CUBE, 1e4 + 100 * Y)
    np.testing.assert_allclose(moved.predict(CUBE), 1e4 + 100 * one.predict(CUBE), rtol=1e-6)
    flat = RecurrentRegressor(**SMALL, scale=False).fit(CUBE, Y)
    assert not np.allclose(flat.predict(CUBE), one.predict(CUBE))
