"""Conformal margins cover what they promise, step by step, and follow drift."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from each_case import each_case
from ferrnn._src.forecasting.conformal import MOST, RATE, calibrated
from ferrnn._src.forecasting.quantiles import PROBABILITIES, at_probability

HORIZON = 3
NORMAL = np.array([NormalDist().inv_cdf(each) for each in PROBABILITIES])
SPREAD = np.array([1.0, 2.0, 4.0])


def quantiles_of(random, windows, width):
    """Medians anywhere, and the quantiles of a deviation `width` times the right one."""
    center = random.normal(size=(windows, HORIZON))
    scale = width * SPREAD[:, None]
    return center[..., None] + scale * NORMAL, center


def made(random, method, windows=1500, width=1.0, levels=(50.0, 80.0, 90.0)):
    quantiles, center = quantiles_of(random, windows, width)
    truth = center + random.normal(0, SPREAD, (windows, HORIZON))
    ticks = np.arange(windows)
    return calibrated(method, levels, quantiles, truth, np.zeros(windows, int), ticks)


@each_case("method", ["cqr", "split"])
@each_case("width", [0.4, 1.0, 2.5])
def test_each_step_is_covered_whatever_the_networks_quantiles_are(method, width):
    random = np.random.default_rng(1)
    calibration = made(random, method, windows=4000, width=width)
    quantiles, center = quantiles_of(random, 4000, width)
    truth = center + random.normal(0, SPREAD, (4000, HORIZON))
    for level in (50, 73, 80, 95):
        low, high = calibration.interval(quantiles, level)
        covered = ((low <= truth) & (truth <= high)).mean(axis=0)
        np.testing.assert_allclose(covered, level / 100, atol=0.035)


def test_without_conformal_intervals_are_the_quantiles():
    random = np.random.default_rng(2)
    calibration = made(random, "none", width=0.5)
    quantiles, _ = quantiles_of(random, 5, 0.5)
    low, high = calibration.interval(quantiles, 80)
    np.testing.assert_allclose(low, quantiles[..., 3])
    np.testing.assert_allclose(high, quantiles[..., 7])


def test_the_margin_is_the_score_of_the_conformal_rank():
    random = np.random.default_rng(3)
    calibration = made(random, "split", windows=20)
    errors = np.sort(np.abs(calibration.truth - calibration.quantiles[..., 5]), axis=0)
    # Windows that overlap count less: ceil((20 + h) * 0.8) for h = 1, 2, 3.
    np.testing.assert_allclose(calibration.margins(80), errors[[16, 17, 18], [0, 1, 2]])
    np.testing.assert_allclose(calibration.margins(99), errors[19])  # no 21st


def test_missing_truth_does_not_count():
    random = np.random.default_rng(4)
    whole = made(random, "cqr", windows=60)
    holes = np.where(random.random(whole.truth.shape) < 0.3, np.nan, whole.truth)
    arguments = (whole.series, whole.ticks)
    calibration = calibrated("cqr", whole.levels, whole.quantiles, holes, *arguments)
    for step in range(HORIZON):
        known = np.isfinite(holes[:, step])
        alone = calibrated(
            "cqr",
            whole.levels,
            whole.quantiles[known],
            holes[known],
            *(a[known] for a in arguments),
        )
        assert calibration.margins(80)[step] == alone.margins(80)[step]


def test_margins_never_turn_an_interval_round():
    random = np.random.default_rng(5)
    calibration = made(random, "cqr", width=50.0)
    narrow, center = quantiles_of(random, 9, 0.1)
    low, high = calibration.interval(narrow, 80)
    assert (calibration.margins(80) < 0).all()
    assert (low <= center).all()
    assert (center <= high).all()


def test_misses_widen_and_hits_narrow_by_the_rate():
    random = np.random.default_rng(6)
    calibration = made(random, "cqr")
    quantiles, center = quantiles_of(random, 1, 1.0)
    inside = calibration.followed(quantiles, center, np.array([9]))
    outside = calibration.followed(quantiles, center + 1e6, np.array([9]))
    for at, level in enumerate(calibration.levels):
        missed = 1 - level / 100
        np.testing.assert_allclose(inside.missed[-1, at], missed + RATE * missed)
        np.testing.assert_allclose(outside.missed[-1, at], missed + RATE * (missed - 1))
    assert (outside.margins(80) >= calibration.margins(80)).all()
    assert (inside.margins(80) <= calibration.margins(80)).all()
    assert (outside.margins(85) >= calibration.margins(85)).all()
    only = np.where(np.arange(HORIZON) == 1, center + 1e6, np.nan)
    partly = calibration.followed(quantiles, only, np.array([9]))
    np.testing.assert_array_equal(partly.missed[-1][:, [0, 2]], calibration.missed[-1][:, [0, 2]])


def test_errors_count_in_the_order_of_the_times_forecast():
    random = np.random.default_rng(7)
    calibration = made(random, "cqr")
    quantiles, center = quantiles_of(random, 40, 1.0)
    truth = center + random.normal(0, 3 * SPREAD, (40, HORIZON))
    ticks = np.arange(40)
    at_once = calibration.followed(quantiles, truth, ticks)
    due = ticks[:, None] + np.arange(1, HORIZON + 1)
    one_by_one = calibration
    for tick in np.unique(due):
        now = np.where(due == tick, truth, np.nan)
        one_by_one = one_by_one.followed(quantiles, now, ticks)
    np.testing.assert_allclose(at_once.missed, one_by_one.missed)


def test_a_forecast_is_judged_by_the_margin_that_it_was_made_with():
    random = np.random.default_rng(17)
    calibration = made(random, "cqr", windows=200, levels=(80.0,))
    quantiles, center = quantiles_of(random, 60, 1.0)
    # Runs of misses: the errors of a whole stretch are large.
    wide = np.where((np.arange(60) // 12 % 2)[:, None], 4 * SPREAD, 0.5 * SPREAD)
    truth = center + random.normal(0, 1, (60, HORIZON)) * wide
    ticks = 1000 + np.arange(60)
    # Tick by tick: forecasts are made, then those that are due are judged.
    rates, made_with = calibration.missed[-1, 0].copy(), {}
    for tick in range(1000, 1060 + HORIZON):
        if tick < 1060:
            made_with[tick] = replace(calibration, missed=rates[None, None].copy()).margins(80)
        for step in range(HORIZON):
            origin = tick - step
            if origin not in made_with:
                continue
            row = origin - 1000
            low, high = at_probability(quantiles[row], 0.1), at_probability(quantiles[row], 0.9)
            score = np.maximum(low - truth[row], truth[row] - high)[step]
            rates[step] += RATE * (0.2 - float(score > made_with[origin][step]))
    followed = calibration.followed(quantiles, truth, ticks)
    np.testing.assert_allclose(followed.missed[-1, 0], rates)
    assert len(followed.missed) == len(followed.since) == HORIZON + 1


def test_coverage_comes_back_after_the_noise_has_doubled():
    random = np.random.default_rng(8)
    calibration = made(random, "cqr", windows=300, levels=(80.0,))
    fixed, hits, fixed_hits = calibration, [], []
    for tick in range(300, 900):
        quantiles, center = quantiles_of(random, 1, 1.0)
        truth = center + random.normal(0, 2 * SPREAD, (1, HORIZON))
        for used, found in ((calibration, hits), (fixed, fixed_hits)):
            low, high = used.interval(quantiles, 80)
            found.append((low <= truth) & (truth <= high))
        calibration = calibration.followed(quantiles, truth, np.array([tick]))
    assert np.mean(fixed_hits[250:]) < 0.6
    assert abs(np.mean(hits[250:]) - 0.8) < 0.05


def test_the_newest_windows_are_remembered_once():
    random = np.random.default_rng(9)
    first, second = (made(random, "cqr", windows=MOST - 10) for _ in range(2))
    shifted = calibrated(
        "cqr", second.levels, second.quantiles, second.truth, second.series, second.ticks + 100
    )
    both = first.remembering(shifted)
    assert len(both.ticks) == MOST
    assert len({*zip(both.series, both.ticks, strict=True)}) == MOST
    assert (np.diff(both.ticks) >= 0).all()
    at = int(np.flatnonzero(both.ticks == 200)[0])
    np.testing.assert_array_equal(both.truth[at], shifted.truth[100])
