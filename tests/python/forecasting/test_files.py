"""A forecaster's file: the same bits, whole or not at all, and nothing hostile gets in."""

import json

import numpy as np
import pytest

from ferrnn._src.files.safetensors import opened, write
from ferrnn._src.files.sums import summed
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, days, long_table, weekly

ALL = {
    "past_covariates": ["rain"],
    "future_covariates": ["price"],
    "static_covariates": ["kind"],
    "transform": "asinh",
    "ensemble": 2,
}


def future(table):
    last = {each: table["ds"][table["unique_id"] == each].max() for each in ("s0", "s1", "s2")}
    return {
        "unique_id": np.repeat(list(last), 3),
        "ds": np.concatenate([day + 1 + np.arange(3) for day in last.values()]),
        "price": np.arange(9.0),
    }


def test_a_file_forecasts_the_same_bits_and_goes_on_alike(tmp_path):
    table = long_table(np.random.default_rng(1))
    forecaster = RecurrentForecaster(3, **QUICK, **ALL).fit(table)
    path = tmp_path / "f.safetensors"
    forecaster.save(path)
    loaded = RecurrentForecaster.load(path)
    assert loaded.settings == forecaster.settings
    more = {**table, "ds": table["ds"] + 25}
    for _ in range(2):
        one, other = (
            each.predict(level=[80, 93], future=future(table)) for each in (forecaster, loaded)
        )
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
        for each in (forecaster, loaded):
            each.update(more)
        table = more


def test_numbers_of_series_and_months_come_back(tmp_path):
    y = np.arange(120.0).reshape(60, 2) + np.random.default_rng(2).normal(size=(60, 2))
    months = np.arange("2020-01", "2025-01", dtype="M8[M]").astype("M8[D]")
    ids = np.repeat([7, 3], 60)
    data = {"unique_id": ids, "ds": np.tile(months, 2), "y": y.T.reshape(-1)}
    forecaster = RecurrentForecaster(2, **QUICK).fit(data)
    forecaster.save(tmp_path / "f")
    made = RecurrentForecaster.load(tmp_path / "f").predict()
    assert made["unique_id"].tolist() == [3, 3, 7, 7]
    assert made["ds"].astype("M8[D]").astype(str).tolist() == ["2025-01-01", "2025-02-01"] * 2


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "f.safetensors"
    data = {"ds": days(60), "y": weekly(np.random.default_rng(3), 60)}
    RecurrentForecaster(3, **QUICK).fit(data).save(path)
    return path


def changed(path, change):
    """The file with other texts or arrays, and right checksums."""
    with opened(path) as contents:
        texts = dict(contents.metadata)
        arrays = {key: np.array(each.array()) for key, each in contents.tensors.items()}
    parts = {name: json.loads(texts[name]) for name in ("settings", "learned")}
    change(parts, arrays)
    texts |= {name: json.dumps(part) for name, part in parts.items()}
    with path.open("wb") as file:
        write(file, arrays, summed(arrays, texts))


HOSTILE = [
    (lambda t, a: t["settings"].update(units=2**19), "network"),
    (lambda t, a: t["settings"].update(units=10**9), "`units`"),
    (lambda t, a: t["settings"].update(cell="os.system"), "`cell` must be one of"),
    (lambda t, a: t["settings"].update(build="os.system"), "settings"),
    (lambda t, a: t["settings"].update(horizon=4), "shape"),
    (lambda t, a: t["learned"].update(context=2**40), "'context' must be"),
    (lambda t, a: t["learned"].update(ids=["a", "b"]), "shape"),
    (lambda t, a: t["learned"].update(ids=[{}]), "ids"),
    (lambda t, a: t["learned"].update(frequency={"kind": "tuesdays"}), "frequency"),
    (lambda t, a: t["learned"].update(frequency=3), "frequency|mapping"),
    (lambda t, a: t["learned"].update(kinds=["x" * 9]), "kinds"),
    (lambda t, a: t["learned"].pop("season"), "season"),
    (lambda t, a: a.pop("scaling/scale"), "scaling/scale"),
    (lambda t, a: a.pop("networks/0/1"), "networks/0/1"),
    (lambda t, a: a["panel/starts"].__setitem__(1, 2**40), "must fill the rows"),
    (lambda t, a: a.update({"panel/y": a["panel/y"].astype("int64")}), "kind"),
    (lambda t, a: a.update({"networks/0/0": a["networks/0/0"][:-1]}), "shape"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_parts_that_do_not_fit_are_named(saved, number):
    change, match = HOSTILE[number]
    changed(saved, change)
    with pytest.raises((ValueError, TypeError), match=match):
        RecurrentForecaster.load(saved)


def test_a_damaged_or_foreign_file_is_refused(saved, tmp_path):
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        RecurrentForecaster.load(saved)
    with (tmp_path / "other").open("wb") as file:
        write(file, {"a": np.zeros(3)}, {"x": "y"})
    with pytest.raises(ValueError, match="must be a forecaster's file"):
        RecurrentForecaster.load(tmp_path / "other")
    saved.write_bytes(content[:100])
    with pytest.raises(ValueError, match="safetensors"):
        RecurrentForecaster.load(saved)
