"""`RecurrentForecaster`: one network that forecasts one series or thousands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ferrnn._src.forecasting import fitting
from ferrnn._src.forecasting.backtest import Backtest, rolled
from ferrnn._src.forecasting.files import read_forecaster, write_forecaster
from ferrnn._src.forecasting.fitted import Fitted, names_in
from ferrnn._src.forecasting.plotting import draw
from ferrnn._src.forecasting.predicting import predicted
from ferrnn._src.forecasting.results import checked_levels, checked_probabilities
from ferrnn._src.forecasting.settings import Settings
from ferrnn._src.forecasting.updating import updated
from ferrnn._src.training.samples import checked_count


class RecurrentForecaster:
    """Forecasts `horizon` steps of one or many series with one network, with calibrated intervals.

    `fit` takes a long frame (`unique_id`, `ds`, `y` and covariates), a wide one (`ds` and a column
    for each series), or arrays. The network reads the last `context` values of a series and
    predicts quantiles for each step ahead. Its windows see nothing after the time they are made at
    except the calendar and `future_covariates`. At first, training leaves out the last `held_out`
    part of each series: its first half decides when to stop, its second half how wide intervals
    must be. Then training goes on a little longer with all windows (`refit`).

    Args:
        horizon: The number of steps to forecast.
        context: The number of steps that the network sees; chosen by `horizon` and the season if
            None.
        season_length: Steps in a season; that of the calendar if None: 24 hours, 7 days, 12 months.
        freq: The step of `ds`: a name such as "h", "D", "MS" or "15min", an offset of pandas, or a
            duration; detected if None.
        strategy: "direct" predicts all steps at once, "recursive" one after the other.
        past_covariates: Columns that are known up to the present.
        future_covariates: Columns that are known ahead; `predict` needs them.
        static_covariates: Columns that are constant for each series: numbers or categories.
        calendar: "auto", or some of "hour", "weekday", "monthday", "yearday", "season".
        scaling: What each series is divided by: "level" (how far it is off the mean of the season
            before), "standard", "robust" or "none".
        transform: "log", "log1p" or "asinh", for targets that grow by factors, or None.
        cell: "gru", "lstm" or "simple_rnn".
        units: Units of each layer.
        layers: The number of recurrent layers in the encoder, and in the decoder.
        dropout: The share of the decoder's outputs that is dropped in training.
        ensemble: The number of networks from different seeds, whose quantiles are averaged.
        epochs: Passes over the windows at most.
        patience: Epochs without a better held-out loss before training stops.
        batch_size: Windows in a training step; if None, 8 to 128, depending on their number.
        learning_rate: The learning rate of Adam.
        max_windows: The most windows in an epoch, of at most 128 MB; the next epoch draws others.
        held_out: The share of each series that is held out, at its end.
        refit: Whether held-out windows are trained on at the end.
        intervals: "cqr" (conformalized quantiles), "split" (around the median) or "none" (the
            network's quantiles as they are).
        levels: The intervals, in percent (90, not 0.9), whose coverage `update` maintains when the
            data drifts.
        id_column: The column that names the series.
        time_column: The column of times.
        target_column: The column to forecast.
        random_state: The seed of weights and of the order of windows.
        verbose: As in `Model.fit`; an ensemble prints nothing.

    >>> import numpy as np
    >>> days = np.arange("2024-01-01", "2024-05-01", dtype="M8[D]")
    >>> y = 10.0 + np.arange(len(days)) % 7
    >>> forecaster = RecurrentForecaster(7, units=4, epochs=3)
    >>> made = forecaster.fit({"ds": days, "y": y}).predict(level=[80])
    >>> list(made)
    ['unique_id', 'ds', 'forecast', 'forecast-lo-80', 'forecast-hi-80']
    >>> str(made["ds"][0].astype("M8[D]"))
    '2024-05-01'
    """

    def __init__(
        self,
        horizon: int = 1,
        *,
        context: int | None = None,
        season_length: int | None = None,
        freq: Any = None,
        strategy: str = "direct",
        past_covariates: Sequence[str] = (),
        future_covariates: Sequence[str] = (),
        static_covariates: Sequence[str] = (),
        calendar: str | Sequence[str] = "auto",
        scaling: str = "level",
        transform: str | None = None,
        cell: str = "gru",
        units: int = 32,
        layers: int = 1,
        dropout: float = 0.1,
        ensemble: int = 1,
        epochs: int = 100,
        patience: int = 10,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        max_windows: int = 20_000,
        held_out: float = 0.2,
        refit: bool = True,
        intervals: str = "cqr",
        levels: Sequence[float] = (50, 80, 90, 95),
        id_column: str = "unique_id",
        time_column: str = "ds",
        target_column: str = "y",
        random_state: int = 0,
        verbose: str | int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        self.settings = Settings.of(**given)
        self._fitted: Fitted | None = None

    @property
    def fitted(self) -> Fitted:
        """The fitted state.

        Raises:
            RuntimeError: The forecaster is not fitted.
        """
        if self._fitted is None:
            raise RuntimeError(
                "the forecaster must be fitted first: call `fit`, or `load` a fitted one"
            )
        return self._fitted

    def clone(self, **changes: Any) -> RecurrentForecaster:
        """A forecaster of the same arguments, but for `changes`, that has learned nothing."""
        given = {name: getattr(self.settings, name) for name in vars(self.settings)}
        return type(self)(**(given | changes))

    def fit(self, data: Any, *, static: Any = None) -> RecurrentForecaster:
        """Learns from all series of `data`; `static` is a table of a row for each series.

        Missing values are NaN, or rows that are not there. Times may have a zone, one for all:
        steps below a day are then counted as instants, days and longer ones are those of the clock
        there, as is the calendar, and forecasts come back in the zone.

        >>> import datetime, zoneinfo
        >>> import numpy as np
        >>> begin = datetime.datetime(2024, 2, 20, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
        >>> days = [begin + datetime.timedelta(days=n) for n in range(40)]
        >>> forecaster = RecurrentForecaster(2, units=4, epochs=1, context=8)
        >>> made = forecaster.fit({"ds": days, "y": np.arange(40) % 7}).predict()
        >>> [str(each) for each in made["ds"]]
        ['2024-03-31 00:00:00+01:00', '2024-04-01 00:00:00+02:00']

        Raises:
            ValueError: Series are too short, columns or times are missing, times come twice or are
                of several zones.
            TypeError: `data` is no frame, mapping or array of numbers.
        """
        self._fitted = fitting.fit(data, static, self.settings)
        return self

    def predict(
        self,
        h: int | None = None,
        *,
        level: Any = (),
        quantiles: float | Sequence[float] = (),
        future: Any = None,
        ids: Any = None,
    ) -> Any:
        """The `h` steps after the last row of each series (by default all of the horizon).

        Returns the columns `unique_id`, `ds`, `forecast` (the median), the ends of the intervals
        of `level` percent, and `forecast-q-<probability>` for each of `quantiles`: as a frame of
        the library of the frame that `fit` was given, else as a `Forecast`, a mapping of arrays.

        `future` is a long table of future covariates for these steps; `ids` chooses series.

        Raises:
            ValueError: `h` is beyond the horizon, future covariates are missing, an id is unknown.
        """
        levels, probabilities = checked_levels(level), checked_probabilities(quantiles)
        result = predicted(self.fitted, self._steps(h), levels, probabilities, future, ids)
        backend = self.fitted.backend
        return result if backend is None else result.to_frame(backend)

    def update(self, data: Any, *, static: Any = None) -> RecurrentForecaster:
        """Takes later rows of known series, and new series, without training.

        The forecasts that these rows decide are made as they would have been made before, and
        their hits and misses widen or narrow the intervals; the rows then follow those known.
        A row at a known time replaces what is missing or was revised there.
        """
        self._fitted = updated(self.fitted, data, static)
        return self

    def backtest(
        self,
        data: Any,
        *,
        h: int | None = None,
        windows: int = 10,
        step: int | None = None,
        refit: bool | int = False,
        level: Any = (80, 95),
        static: Any = None,
    ) -> Backtest:
        """Forecasts the end of `data` from `windows` origins, `step` apart; none looks ahead.

        A copy is fitted on the rows before the first origin. At later ones it is updated with the
        rows in between, or fitted anew: at all of them with `refit=True`, at every n-th with a
        number. This forecaster stays as it is.

        Gives a `Backtest`: `forecasts` (with `cutoff` and the truth), `summary()` with the errors
        and the coverage of each level, `by_step()`.
        """
        steps, levels = self._steps(h), checked_levels(level)
        every = int(refit) if isinstance(refit, bool) else checked_count(refit, "refit")
        step = steps if step is None else step
        return rolled(self, data, static, steps, windows, step, every, levels)

    def plot(
        self,
        forecast: Any = None,
        *,
        level: Any = (80, 95),
        ids: Any = None,
        history: int | None = None,
        most: int = 6,
        axes: Any = None,
    ) -> Any:
        """A matplotlib figure of what came last and a forecast with its intervals.

        `forecast` is one of `predict`, made if None. `history` rows before it are drawn (as many
        as the network sees, if None), a panel for each of the first `most` series. `axes` are those
        to draw on instead, one for each series.

        Raises:
            ImportError: matplotlib is not installed.
        """
        if forecast is None:
            forecast = self.predict(level=level, ids=ids)
        return draw(
            self.fitted, forecast, names_in(self.settings), history=history, most=most, axes=axes
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one file of safetensors, whole or not at all, with all that was learned.

        The networks' weights, the scales, the calendar, the calibration and the last rows are in
        it; nothing in it is ever executed.
        """
        write_forecaster(self.fitted, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecurrentForecaster:
        """The forecaster of a file; it forecasts the same bits.

        Raises:
            ValueError: It is no such file, or damaged.
        """
        fitted = read_forecaster(path)
        made = cls(**{name: getattr(fitted.settings, name) for name in vars(fitted.settings)})
        made._fitted = fitted
        return made

    def __repr__(self) -> str:
        state = "not fitted" if self._fitted is None else f"{len(self._fitted.panel.ids)} series"
        return f"<{type(self).__name__} of {self.settings.horizon} steps, {state}>"

    def _steps(self, h: int | None) -> int:
        horizon = self.settings.horizon
        if h is None:
            return horizon
        if isinstance(h, bool) or not hasattr(h, "__index__") or not 1 <= h <= horizon:
            raise ValueError(
                f"`h` must be an integer from 1 to the forecaster's `horizon`, {horizon}, received "
                f"{h!r}"
            )
        return int(h)
