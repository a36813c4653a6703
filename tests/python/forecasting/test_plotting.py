"""Pictures show what is known, the forecast, and a band for each level."""

import io
import itertools

import numpy as np
import pytest

from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, long_table

figures = pytest.importorskip("matplotlib.figure", reason="matplotlib, of the extra plot, draws")


def test_each_series_has_a_panel_with_bands():
    forecaster = RecurrentForecaster(3, **QUICK).fit(long_table(np.random.default_rng(1)))
    figure = forecaster.plot(level=[50, 80, 95], most=2, history=9)
    assert len(figure.axes) == 2
    known, median = figure.axes[1].lines
    assert len(known.get_xdata()) == 9
    made = forecaster.predict(ids=["s1"])
    np.testing.assert_array_equal(median.get_ydata(), made["forecast"])
    assert len(figure.axes[1].collections) == 3
    assert figure.axes[1].get_title(loc="left") == "s1"


def test_a_forecast_is_drawn_on_given_axes():
    forecaster = RecurrentForecaster(3, **QUICK).fit(long_table(np.random.default_rng(2)))
    forecast = forecaster.predict(level=80, ids=["s2"])
    figure = figures.Figure()
    assert forecaster.plot(forecast, axes=figure.subplots()) is figure
    with pytest.raises(TypeError, match="`forecast` must be a frame or a mapping of columns"):
        forecaster.plot(3)
    with pytest.raises(ValueError, match=r"columns of `predict`, received \['ds'\]"):
        forecaster.plot({"ds": [1]})
    with pytest.raises(ValueError, match="`history` must be a positive integer, received -1"):
        forecaster.plot(history=-1)
    with pytest.raises(ValueError, match="one for each of 3 series"):
        forecaster.plot(axes=figures.Figure().subplots(2))
    with pytest.raises(TypeError, match="`axes` must be matplotlib's, received int"):
        forecaster.plot(axes=[1, 2, 3])


def test_dates_and_legend_leave_room_for_each_other():
    forecaster = RecurrentForecaster(3, **QUICK).fit(long_table(np.random.default_rng(3)))
    figure = forecaster.plot(level=[50, 80, 95], most=1)
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    labels = [each.get_window_extent() for each in axes.get_xticklabels() if each.get_text()]
    assert len(labels) > 3
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(labels))
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
