"""Fitting a forecaster: the cut, scales from before it, training, calibration after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.forecasting.conformal import MOST, calibrated
from ferrnn._src.forecasting.fitted import Fitted, names_in, panel_from
from ferrnn._src.forecasting.frames import table_of
from ferrnn._src.forecasting.frequency import chosen_kinds, inferred
from ferrnn._src.forecasting.panel import Panel, check_span
from ferrnn._src.forecasting.scaling import columns_scale, learned
from ferrnn._src.forecasting.settings import Settings
from ferrnn._src.forecasting.statics import check_statics, static_features, statics_of
from ferrnn._src.forecasting.training import Stop, WindowBatches, WindowsAt, training
from ferrnn._src.forecasting.windows import Rows, Shape
from ferrnn._src.training.together import Fit, fit_all
from ferrnn._src.tree.types import Array

# The most held-out windows for early stopping.
_JUDGED = 2048


@dataclass(frozen=True, eq=False)
class Origins:
    """The origins of windows, by the place of their targets.

    Those `before` the cut are for training. Of those after it, the first half is `judged` for early
    stopping, and the second half gives `margins`; a series with less than two horizons held out
    serves for both.
    """

    before: Array
    judged: Array
    margins: Array
    all: Array


# Independent trainings of networks, after which the generator continues.
Trainings: TypeAlias = Generator[Sequence[Callable[[], Fit]], None, Fitted]


def fit(data: Any, static: Any, settings: Settings, networks: Sequence[Any] = ()) -> Fitted:
    """Fits a forecaster to `data`, with initial weights from `networks` if given."""
    return fit_together([fitting(data, static, settings, networks)], settings.verbose)[0]


def fit_together(all_of: Sequence[Trainings], verbose: str | int = 0) -> list[Fitted]:
    """The results of several fits, whose networks are trained together."""
    learned: dict[int, Fitted] = {}
    active = dict(enumerate(all_of))
    while active:
        begins: list[Callable[[], Fit]] = []
        for at, trainings in [*active.items()]:
            more = _more_of(trainings)
            if isinstance(more, Fitted):
                learned[at] = more
                del active[at]
            else:
                begins += more
        if begins:
            fit_all(begins, itertools.repeat(0), verbose)  # the networks have their own seeds
    return [learned[at] for at in range(len(all_of))]


def _more_of(trainings: Trainings) -> Sequence[Callable[[], Fit]] | Fitted:
    """The trainings that come next, or the results of all fits."""
    try:
        return next(trainings)
    except StopIteration as end:
        made: Fitted = end.value
        return made


def fitting(data: Any, static: Any, settings: Settings, networks: Sequence[Any] = ()) -> Trainings:
    """As `fit`, but yields trainings for the caller to run."""
    begun = prepared(data, static, settings)
    lengths = begun.panel.lengths
    held = np.maximum(np.ceil(settings.held_out * lengths), settings.horizon).astype(int)
    least = 2 * settings.horizon + 2
    held = np.where(lengths - held >= least - settings.horizon, held, 0)
    if not settings.held_out:
        held[:] = 0
    cut = begun.panel.last - held
    past = begun.panel.until(cut)
    scaling = learned(past, settings.scaling, settings.transform, begun.shape.season)
    scales = (
        columns_scale(past.past),
        columns_scale(past.future),
        columns_scale(begun.panel.static),
    )
    begun = replace(begun, scaling=scaling, scales=scales)
    if lengths.max() <= settings.horizon:
        raise _no_window(begun, past)
    rows = begun.rows(begun.panel.extended(settings.horizon))
    origins = origins_of(begun, rows, cut, held)
    if not len(origins.before):
        raise _no_window(begun, past)
    return (yield from _trained(begun, rows, origins, networks))


def _no_window(begun: Fitted, past: Panel) -> ValueError:
    """The error for a `past`, all before what is held out, that is too short."""
    least = begun.settings.horizon + _least_seen(begun.shape)
    return ValueError(
        "there is no window to train on: before what is held out a series must have at least "
        f"{least} rows with known targets, but the longest has {past.lengths.max()} rows there, "
        f"and all series together have {np.isfinite(past.y).sum()} known targets. Use longer "
        "series, a shorter `horizon` or `context`, or a smaller `held_out`"
    )


def _least_seen(shape: Shape) -> int:
    """How many known targets a window must see, of a series that is long enough."""
    return max(2, min(shape.season, shape.context // 2))


def prepared(data: Any, static: Any, settings: Settings) -> Fitted:
    """The panel of `data` and what follows from its times, before training."""
    names = names_in(settings)
    table = table_of(data, names)
    order = np.lexsort((table.times, table.ids))
    series = np.unique(table.ids, return_inverse=True)[1]
    frequency = inferred(table.times[order], series[order], settings.freq, table.zone)
    of_statics = statics_of(table, static, settings, names)
    features, categories = static_features(of_statics, settings.static_covariates)
    panel = panel_from(table, settings, frequency, features)
    check_span(panel.ids, panel.first, panel.last, len(table.ids), 1000)
    check_statics(features, panel.ids, settings)
    longest = int(panel.lengths.max())
    season = settings.season_length or frequency.season
    context = settings.context or min(
        max(2 * season, 2 * settings.horizon, 16), max(longest - 2 * settings.horizon, 4)
    )
    nothing = np.zeros((2, 0))
    return Fitted(
        settings=settings,
        frequency=frequency,
        shape=Shape(context, 1 if settings.strategy == "recursive" else settings.horizon, season),
        kinds=chosen_kinds(settings.calendar, frequency, season, longest),
        scales=(nothing, nothing, nothing),
        categories=categories,
        scaling=learned(panel, "none", None, season),
        panel=panel,
        backend=table.backend,
        single=settings.id_column not in table.columns and len(panel.ids) == 1,
    )


def origins_of(fitted: Fitted, rows: Rows, cut: Array, held: Array) -> Origins:
    """The rows of the extended panel at which windows can be made.

    A window must contain some known targets, and at least one target ahead must be known.
    """
    panel, shape = fitted.panel, fitted.shape
    extended = panel.extended(fitted.settings.horizon)
    ticks, series = extended.ticks, extended.series
    known = np.concatenate([[0], np.cumsum(np.isfinite(rows.z))])
    at = np.arange(len(ticks))
    seen = known[at + 1] - known[np.maximum(at + 1 - shape.context, rows.begins)]
    wanted = _least_seen(shape)
    ends = np.minimum(at + 1 + shape.horizon, len(ticks))
    longer = np.minimum(at + 1 + fitted.settings.horizon, len(ticks))
    inside = (ticks < panel.last[series]) & (seen >= np.minimum(wanted, panel.lengths[series] // 2))
    learnable = inside & (known[ends] > known[at + 1])
    whole = ticks + shape.horizon
    after = inside & (ticks >= cut[series]) & (held > 0)[series] & (known[longer] > known[at + 1])
    half = np.where(held // 2 >= fitted.settings.horizon, held // 2, 0)
    middle = (cut + half)[series]
    split = (half > 0)[series]
    return Origins(
        before=np.flatnonzero(learnable & (whole <= cut[series])),
        judged=np.flatnonzero(after & (~split | (ticks + fitted.settings.horizon <= middle))),
        margins=np.flatnonzero(after & (ticks >= middle)),
        all=np.flatnonzero(learnable & (whole <= panel.last[series])),
    )


def _trained(begun: Fitted, rows: Rows, origins: Origins, before: Sequence[Any]) -> Trainings:
    settings, shape = begun.settings, begun.shape
    drawn = np.random.default_rng(settings.random_state)
    seeds = drawn.integers(2**31, size=settings.ensemble).tolist()
    most = settings.max_windows
    batch = settings.batch_size or int(np.clip(min(len(origins.before), most) // 32, 8, 128))
    judged = _newest(begun, origins.judged, _JUDGED)
    held_out = None
    if len(judged):
        held_out = WindowBatches(WindowsAt(rows, judged, shape), 256, len(judged), None)
    networks: list[Any] = [None for _ in seeds]
    epochs = [0 for _ in seeds]

    def first(number: int, windows: WindowsAt) -> Fit:
        network = networks[number] = begun.new_network(seeds[number])
        if before:
            network.set_weights(before[number].get_weights())
        batches = WindowBatches(windows, batch, most, seeds[number])
        end = partial(epochs.__setitem__, number)
        stop = Stop(settings.epochs, settings.patience, held_out)
        return training(network, batches, settings.learning_rate, stop, end)

    def again(number: int, windows: WindowsAt) -> Fit:
        batches = WindowBatches(windows, batch, most, seeds[number] + 1)
        stop = Stop(max(epochs[number] // 4, 1))
        return training(networks[number], batches, settings.learning_rate / 4, stop, lambda _: None)

    def all_of(begins: Callable[[int, WindowsAt], Fit], at: Array) -> list[Callable[[], Fit]]:
        windows = WindowsAt(rows, at, shape)
        return [partial(begins, number, windows) for number in range(len(seeds))]

    yield all_of(first, origins.before)
    made = replace(begun, networks=tuple(networks))
    made = replace(made, calibration=_calibration(made, rows, origins.margins))
    if settings.refit and held_out is not None:
        yield all_of(again, origins.all)
    return replace(made, panel=made.panel.tail(made.kept))


def _calibration(fitted: Fitted, rows: Rows, after: Array) -> Any:
    settings = fitted.settings
    horizon = settings.horizon
    after = _newest(fitted, after, MOST)
    extended = fitted.panel.extended(horizon)
    if not len(after):
        if settings.intervals != "none":
            warn(
                "No windows are held out, so intervals are only the network's quantiles: use a "
                "`held_out` above 0, longer series or a shorter `horizon`"
            )
        return None
    truth = rows.z[after[:, None] + np.arange(1, horizon + 1)]
    return calibrated(
        settings.intervals,
        settings.levels,
        fitted.quantiles(rows, after, horizon).astype(np.float32),
        truth.astype(np.float32),
        extended.series[after],
        extended.ticks[after],
    )


def _newest(fitted: Fitted, origins: Array, most: int) -> Array:
    """The latest origins of each series, up to `most` in total, evenly from all series."""
    extended: Panel = fitted.panel.extended(fitted.settings.horizon)
    left = fitted.panel.last[extended.series[origins]] - extended.ticks[origins]
    made: Array = np.sort(origins[np.argsort(left, kind="stable")[:most]])
    return made
