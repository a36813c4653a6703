"""Estimators in what scikit-learn offers: folds, searches, pipelines, routing, files."""

import warnings

import joblib
import numpy as np
import pytest

import ferrnn

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from ferrnn.sklearn import RecurrentClassifier, RecurrentRegressor, RecurrentTransformer

SMALL = {"cell": "gru", "units": 5, "epochs": 3, "batch_size": 8, "random_state": 3}
RNG = np.random.default_rng(8)
CUBE = RNG.normal(size=(60, 6, 2))
LISTS = [each[: 2 + at % 5] for at, each in enumerate(CUBE)]
Y = np.array([each[-1, 0] for each in LISTS])


def threads_of_worker(_):
    RecurrentRegressor(**SMALL).fit(CUBE, Y)
    return ferrnn.num_threads()


@pytest.mark.slow
def test_processes_find_what_one_finds_and_share_the_cores(monkeypatch):
    monkeypatch.delenv("FERRNN_NUM_THREADS", raising=False)
    grid = {"units": [3, 6], "learning_rate": [1e-4, 3e-2]}
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        one, several = (
            GridSearchCV(RecurrentRegressor(**SMALL), grid, cv=3, n_jobs=jobs).fit(LISTS, Y)
            for jobs in (1, 2)
        )
        told = joblib.Parallel(n_jobs=2)(joblib.delayed(threads_of_worker)(at) for at in range(2))
    scores = [each.cv_results_["mean_test_score"] for each in (one, several)]
    np.testing.assert_array_equal(*scores)
    assert one.best_params_["learning_rate"] == 3e-2
    np.testing.assert_array_equal(one.predict(LISTS), several.predict(LISTS))
    assert told == [1, 1]


def test_arrays_of_sequences_are_searched():
    grid = {"units": [3, 6], "layers": [1, 2]}
    found = GridSearchCV(RecurrentClassifier(**SMALL), grid, cv=2).fit(CUBE, CUBE[:, -1, 0] > 0)
    assert found.predict(CUBE).shape == (60,)


def test_folds_in_threads_score_as_folds_one_by_one():
    made = RecurrentClassifier(**SMALL, dropout=0.1)
    one = cross_val_score(made, LISTS, Y > 0, cv=4)
    with joblib.parallel_config("threading"):
        np.testing.assert_array_equal(cross_val_score(made, LISTS, Y > 0, cv=4, n_jobs=3), one)
    told = cross_val_predict(made, LISTS, Y > 0, cv=4, method="predict_proba")
    np.testing.assert_allclose(told.sum(axis=1), 1)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_are_prepared_before_and_named_behind(library):
    frames = pytest.importorskip(library)
    data = {f"day {at}": CUBE[:, at, 0] * 10**at for at in range(6)}
    frame = frames.DataFrame({**data, "station": np.arange(60) % 3})
    days = ColumnTransformer([("days", StandardScaler(), [*data])])
    states = RecurrentTransformer(**SMALL).set_output(transform=library)
    made = make_pipeline(days, states)
    told = made.fit_transform(frame)
    assert isinstance(told, frames.DataFrame)
    assert list(told.columns) == [f"recurrenttransformer{at}" for at in range(5)]
    if library == "pandas":
        moved = RecurrentTransformer(**SMALL).set_output(transform="pandas")
        days = frame[[*data]].set_index(frame.index + 100)
        assert moved.fit_transform(days).index.tolist() == list(range(100, 160))
    whole = make_pipeline(made, Ridge()).fit(frame, Y)
    assert whole.predict(frame).shape == (60,)


def test_weights_and_groups_are_routed():
    with config_context(enable_metadata_routing=True):
        weights = np.where(np.arange(60) % 2, 1.0, 0.0)
        asked = RecurrentRegressor(**SMALL).set_fit_request(sample_weight=True)
        asked.set_score_request(sample_weight=False)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        made = make_pipeline(scaler, asked)
        rows = CUBE[:, :, 0]
        made.fit(rows, Y, sample_weight=weights)
        alone = clone(asked).fit(StandardScaler().fit_transform(rows), Y, sample_weight=weights)
        scaled = StandardScaler().fit_transform(rows)
        np.testing.assert_array_equal(made.predict(rows), alone.predict(scaled))
        told = cross_val_score(
            asked,
            CUBE,
            Y,
            cv=GroupKFold(3),
            params={"sample_weight": weights, "groups": np.arange(60) % 3},
        )
        assert told.shape == (3,)


def test_notebooks_show_parameters():
    shown = estimator_html_repr(RecurrentRegressor(cell="<gru>"))
    assert "RecurrentRegressor" in shown
    assert "&lt;gru&gt;" in shown
    assert "<gru>" not in shown


def test_joblib_and_skops_keep_estimators(tmp_path):
    made = RecurrentClassifier(**SMALL, dropout=0.1).fit(LISTS, np.where(Y > 0, "up", "down"))
    joblib.dump(made, tmp_path / "made.joblib")
    again = joblib.load(tmp_path / "made.joblib")
    np.testing.assert_array_equal(again.predict_proba(LISTS), made.predict_proba(LISTS))
    skops = pytest.importorskip("skops.io")
    for kind in (RecurrentRegressor, RecurrentClassifier, RecurrentTransformer):
        made = kind(**SMALL, dropout=0.1, bidirectional=True).fit(LISTS, Y > 0)
        data = skops.dumps(make_pipeline(made))
        own = f"{kind.__module__}.{kind.__name__}"
        assert skops.get_untrusted_types(data=data) == [own]
        again = skops.loads(data, trusted=[own])
        read = "transform" if kind is RecurrentTransformer else "predict"
        np.testing.assert_array_equal(getattr(again, read)(LISTS), getattr(made, read)(LISTS))


def test_intervals_of_mapie_cover_what_they_say():
    regression = pytest.importorskip("mapie.regression")
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(900, 5))
    y = rows[:, -1] + 0.5 * rows[:, -2] + rng.normal(scale=0.5, size=900)
    options = {**SMALL, "epochs": 10, "batch_size": 32}
    made = RecurrentRegressor(**options).fit(rows[:300], y[:300])
    conformal = regression.SplitConformalRegressor(made, confidence_level=0.9, prefit=True)
    conformal.conformalize(rows[300:600], y[300:600])
    _, ends = conformal.predict_interval(rows[600:])
    inside = (ends[:, 0, 0] <= y[600:]) & (y[600:] <= ends[:, 1, 0])
    assert 0.85 < inside.mean() < 0.95
    crossed = regression.CrossConformalRegressor(RecurrentRegressor(**SMALL), cv=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crossed.fit_conformalize(rows[:200], y[:200])
    assert crossed.predict_interval(rows[:5])[1].shape[:2] == (5, 2)


def test_tomorrows_temperature_is_closer_than_todays():
    weather = ferrnn.datasets.load_seattle_weather()
    days = 30
    windows = np.lib.stride_tricks.sliding_window_view(weather.values, days, axis=0)[:-1]
    windows = windows.transpose(0, 2, 1)
    highest = weather.values[:, 1]
    change = highest[days:] - highest[days - 1 : -1]  # from the last day known
    train, test = slice(0, 1096 - days), slice(1096 - days, None)
    made = RecurrentRegressor(cell="gru", units=8, epochs=8, loss="mae", random_state=0)
    made.fit(windows[train], change[train])
    error = np.abs(made.predict(windows[test]) - change[test]).mean()
    assert error < 0.95 * np.abs(change[test]).mean()
