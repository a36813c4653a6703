"""`SktimeForecaster`: the forecaster with sktime's interface; importing it requires sktime."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.forecasting import fitting
from ferrnn._src.forecasting.forecaster import RecurrentForecaster
from ferrnn._src.forecasting.frames import as_times
from ferrnn._src.forecasting.predicting import predicted
from ferrnn._src.forecasting.results import Forecast
from ferrnn._src.tree.types import Array

try:
    import pandas as pd
    from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
except ImportError as error:
    raise ImportError(
        "`ferrnn.forecasting.SktimeForecaster` requires sktime: pip install 'ferrnn[sktime]'"
    ) from error

# The name of a series whose index has no level for it.
_ALONE = "series"
_PANELS = ["pd-multiindex", "pd_multiindex_hier"]


class SktimeForecaster(BaseForecaster):
    """`RecurrentForecaster` as an sktime forecaster, for its pipelines, searches and evaluations.

    The horizon is that of `fh`, which `fit` must be given. Panels and hierarchies are one global
    model. Exogenous `X` must be known ahead. `update` takes rows without training, whatever
    `update_params` says. `pretrain` trains on a panel; a later `fit` does not train, and forecasts
    the series it is given.

    Args:
        context: Steps that the network sees; chosen if None.
        season_length: Steps in a season; that of the calendar if None.
        units: Units of a layer.
        epochs: Passes over the windows at most.
        random_state: The seed of weights and of the order of windows.
        options: Any other arguments of `RecurrentForecaster` by name.

    >>> from ferrnn.forecasting import SktimeForecaster
    >>> from sktime.datasets import load_airline
    >>> forecaster = SktimeForecaster(epochs=2, options={"transform": "log"})
    >>> made = forecaster.fit(load_airline(), fh=[1, 2, 12]).predict_interval(coverage=0.8)
    >>> made.shape
    (3, 2)
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["ferrnn"],
        "maintainers": ["ferrnn"],
        "python_dependencies": ["ferrnn"],
        "y_inner_mtype": ["pd.DataFrame", *_PANELS],
        "X_inner_mtype": ["pd.DataFrame", *_PANELS],
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": True,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": True,
        "capability:update": True,
        "capability:pretrain": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "capability:unequal_length": True,
        "requires-fh-in-fit": True,
        "X-y-must-have-same-index": False,
    }

    # The forecaster keeps what it needs of the past, which it gets from `update`.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}

    def __init__(
        self,
        context: int | None = None,
        season_length: int | None = None,
        units: int = 32,
        epochs: int = 100,
        random_state: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.context = context
        self.season_length = season_length
        self.units = units
        self.epochs = epochs
        self.random_state = random_state
        self.options = options
        super().__init__()
        self._X = self._y = None  # for users who switch `remember_data` on

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> Any:  # noqa: ARG003
        """Small settings for sktime's checks."""
        return [
            {"context": 4, "units": 3, "epochs": 1},
            {"units": 2, "epochs": 1, "options": {"cell": "lstm", "intervals": "split"}},
        ]

    # Methods that sktime calls.

    def _fit(self, y: Any, X: Any = None, fh: Any = None) -> SktimeForecaster:  # noqa: N803
        horizon = self._last_step(fh)
        self._keys = _keys(y)
        before = getattr(self, "pretrained_forecaster_", None)
        if before is None:
            self.forecaster_ = self._new(horizon, X).fit(_columns(y, X, _names(X)))
            return self
        if horizon > before.settings.horizon:
            raise ValueError(
                f"`fh` must be within the {before.settings.horizon} steps of `pretrain`, received "
                f"one of {horizon} steps"
            )
        self.forecaster_ = copy.deepcopy(before)
        return self._update(y, X)

    def _update(
        self,
        y: Any,
        X: Any = None,  # noqa: N803
        update_params: bool = True,
    ) -> SktimeForecaster:
        columns = _columns(y, X, self.forecaster_.settings.future_covariates)
        columns["unique_id"] = self._own(columns["unique_id"].tolist())
        self.forecaster_.update(columns)
        return self

    def _pretrain(self, y: Any, X: Any = None, fh: Any = None) -> SktimeForecaster:  # noqa: N803
        horizon = 12 if fh is None else self._last_step(fh)
        self.pretrained_forecaster_ = self._new(horizon, X).fit(_columns(y, X, _names(X)))
        return self

    def _pretrain_update(
        self,
        y: Any,
        X: Any = None,  # noqa: N803
        fh: Any = None,
    ) -> SktimeForecaster:
        """Continues training on another panel, from the current weights."""
        before = self.pretrained_forecaster_
        if fh is not None and self._last_step(fh) != before.settings.horizon:
            raise ValueError(
                f"`fh` must reach {before.settings.horizon} steps ahead, as in the first "
                f"`pretrain`, received one of {self._last_step(fh)} steps"
            )
        learned = before.fitted
        made = before.clone(
            context=learned.shape.context,
            season_length=learned.shape.season,
            calendar=learned.kinds,
        )
        columns = _columns(y, X, before.settings.future_covariates)
        made._fitted = fitting.fit(columns, None, made.settings, learned.networks)
        self.pretrained_forecaster_ = made
        return self

    def _predict(self, fh: Any, X: Any = None) -> Any:  # noqa: N803
        made, index, chosen = self._ahead(fh, X, ())
        return pd.DataFrame(made["forecast"][chosen], index=index, columns=self._get_varnames())

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Any) -> Any:  # noqa: N803
        probabilities = [float(each) for each in alpha]
        made, index, chosen = self._ahead(fh, X, probabilities)
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        values = [made[f"forecast-q-{each:g}"][chosen] for each in probabilities]
        return pd.DataFrame(np.stack(values, axis=1), index=index, columns=columns)

    # Parts.

    def _last_step(self, fh: Any) -> int:
        """The number of steps that `fh` reaches beyond the last row, at least one."""
        cutoff = None if fh.is_relative else self.cutoff
        return max(int(np.max(np.asarray(fh.to_relative(cutoff)))), 1)

    def _own(self, ids: list[str]) -> Array:
        """The ids of series that were fitted, without those of `pretrain`."""
        pretrained = hasattr(self, "pretrained_forecaster_")
        return np.array([f"fit/{each}" if pretrained else each for each in ids])

    def _new(self, horizon: int, exogenous: Any) -> RecurrentForecaster:
        given: dict[str, Any] = {
            "context": self.context,
            "season_length": self.season_length,
            "units": self.units,
            "epochs": self.epochs,
            "random_state": self.random_state,
            "future_covariates": _names(exogenous),
            **(self.options or {}),
        }
        return RecurrentForecaster(horizon, **given)

    def _ahead(
        self, fh: Any, exogenous: Any, probabilities: Sequence[float]
    ) -> tuple[Forecast, Any, Array]:
        """All steps of all series, the index of the requested ones, and their places."""
        steps = np.asarray(fh.to_relative(self.cutoff)).astype(int) - 1
        fitted = self.forecaster_.fitted
        if steps.min() < 0 or steps.max() >= fitted.settings.horizon:
            raise NotImplementedError(
                f"`fh` must be within the {fitted.settings.horizon} steps after the last row, as "
                f"in `fit`, received {(steps + 1).tolist()}"
            )
        length = int(steps.max()) + 1
        future = None
        if fitted.settings.future_covariates:
            future = self._future(exogenous, length, fitted.settings.future_covariates)
        ids = self._own(list(self._keys))
        made = predicted(fitted, length, (), probabilities, future, ids)
        chosen = (np.arange(len(ids))[:, None] * length + steps).reshape(-1)
        times = self._index(fh, steps + 1)
        if self._keys == {_ALONE: ()}:
            return made, times, chosen
        rows = [(*key, when) for key in self._keys.values() for when in times]
        return made, pd.MultiIndex.from_tuples(rows), chosen

    def _index(self, fh: Any, steps: Array) -> Any:
        """The times of steps ahead; for dates without a frequency, by that of the forecaster."""
        if isinstance(self.cutoff, pd.DatetimeIndex) and self.cutoff.freq is None:
            frequency = self.forecaster_.fitted.frequency
            last, _ = as_times(_times(self.cutoff), "y")
            return pd.DatetimeIndex(frequency.labels(frequency.ticks(last) + steps))
        return fh.to_absolute_index(self.cutoff)

    def _future(self, exogenous: Any, length: int, names: tuple[str, ...]) -> dict[str, Array]:
        """`X` of all steps; steps that `fh` leaves out repeat the one before."""
        if exogenous is None:
            raise ValueError("`X` must be given for the steps of `fh`, as in `fit`, received None")
        steps = np.arange(1, length + 1)
        times = self._index(ForecastingHorizon(steps), steps)
        columns: dict[str, list[Array]] = {name: [] for name in ("unique_id", "ds", *names)}
        for each, key in zip(
            self._own(list(self._keys)).tolist(), self._keys.values(), strict=True
        ):
            own = exogenous.loc[key] if key else exogenous
            own = own.reindex(times).ffill().bfill().fillna(0.0)
            columns["unique_id"].append(np.full(length, each))
            columns["ds"].append(_times(times))
            for at, name in enumerate(names):
                columns[name].append(own.iloc[:, at].to_numpy(np.float64))
        return {name: np.concatenate(parts) for name, parts in columns.items()}


def _names(exogenous: Any) -> tuple[str, ...]:
    return () if exogenous is None else tuple(f"x{at}" for at in range(exogenous.shape[1]))


def _keys(y: Any) -> dict[str, tuple[Any, ...]]:
    """The levels of the index of each series, by its id."""
    if not isinstance(y.index, pd.MultiIndex):
        return {_ALONE: ()}
    keys = y.index.droplevel(-1).unique()
    tuples = [key if isinstance(key, tuple) else (key,) for key in keys]
    return {json.dumps([str(part) for part in key]): key for key in tuples}


def _columns(y: Any, exogenous: Any, names: tuple[str, ...]) -> dict[str, Array]:
    """A long table from sktime's data; series that end early get a row without a value."""
    several = isinstance(y.index, pd.MultiIndex)
    times = y.index.get_level_values(-1) if several else y.index
    values = y.iloc[:, 0].to_numpy(np.float64)
    ids = np.full(len(y), _ALONE)
    if several:
        found = {key: each for each, key in _keys(y).items()}
        labels = [key if isinstance(key, tuple) else (key,) for key in y.index.droplevel(-1)]
        ids = np.array([found[key] for key in labels])
    columns = {"unique_id": ids, "ds": _times(times), "y": values}
    if names and exogenous is not None:
        known = exogenous.reindex(y.index).to_numpy(np.float64)
    else:
        known = np.full((len(y), len(names)), np.nan)
    columns |= {name: known[:, at] for at, name in enumerate(names)}
    end = columns["ds"].max()
    ended = sorted(set(ids.tolist()) - set(ids[columns["ds"] == end].tolist()))
    rows = {name: np.full(len(ended), np.nan) for name in columns}
    rows |= {"unique_id": np.array(ended, ids.dtype), "ds": np.full(len(ended), end)}
    return {name: np.concatenate([each, rows[name]]) for name, each in columns.items()}


def _times(index: Any) -> Array:
    """Times in the forecaster's form; for a period, its beginning."""
    index = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    made: Array = np.asarray(index)
    return made
