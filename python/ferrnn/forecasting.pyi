from ferrnn._src.forecasting.backtest import Backtest as Backtest
from ferrnn._src.forecasting.forecaster import RecurrentForecaster as RecurrentForecaster
from ferrnn._src.forecasting.results import Forecast as Forecast
from ferrnn._src.forecasting.sktime_adapter import SktimeForecaster as SktimeForecaster
