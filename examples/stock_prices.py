"""Forecasts next month's share prices of five firms, beside "the same as this month".

Prices are close to a random walk, so the honest expectation is that nothing beats the last price by
much. The model sees the last twelve monthly changes (logarithms of price ratios) of one firm and
gives the next; months before 2007 train, 2007 decides when to stop, 2008 to 2010 test.

`RecurrentForecaster` then forecasts three months with intervals. Its median loses against the last
price too: it expects that prices rise as they did before 2008. What it does offer is a measure of
how wrong one may be.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pictures

import ferrnn as keras
from ferrnn.forecasting import Backtest, RecurrentForecaster

try:
    from vega_datasets import data
except ImportError as error:
    raise SystemExit(
        "The prices come with the package vega_datasets, which the extra `examples` brings: "
        "pip install 'ferrnn[examples]'"
    ) from error

MONTHS = 12
AHEAD, LEVEL = 3, 80
VALIDATION, TEST = np.datetime64("2007-01"), np.datetime64("2008-01")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Months:
    """Months to forecast: changes before `x` `[months, MONTHS, 1]`, all else `[months]`."""

    firms: Array
    dates: Array
    x: Array
    change: Array
    last_price: Array
    price: Array

    def between(self, start: np.datetime64, end: np.datetime64) -> Months:
        """The months from `start` up to `end`."""
        chosen = (self.dates >= start) & (self.dates < end)
        parts = (self.firms, self.dates, self.x, self.change, self.last_price, self.price)
        return Months(*(part[chosen] for part in parts))


def load_prices() -> dict[str, tuple[Array, Array]]:
    """Months and prices in dollars by firm, from the package vega_datasets."""
    table = data.stocks()
    return {
        str(firm): (
            rows["date"].to_numpy().astype("datetime64[M]"),
            rows["price"].to_numpy().astype("float64"),
        )
        for firm, rows in table.groupby("symbol")
    }


def make_months(prices: dict[str, tuple[Array, Array]]) -> Months:
    """All months of all firms that have `MONTHS` changes before them."""
    parts = []
    for firm, (dates, price) in prices.items():
        changes = np.diff(np.log(price))
        windows = np.lib.stride_tricks.sliding_window_view(changes, MONTHS)[:-1, :, None]
        at = slice(MONTHS + 1, None)
        firms = np.repeat(firm, len(windows))
        parts.append((firms, dates[at], windows, changes[MONTHS:], price[MONTHS:-1], price[at]))
    return Months(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def quarters_ahead(prices: dict[str, tuple[Array, Array]], epochs: int) -> Backtest:
    """Three months of all firms, forecast from 20 months of the test years."""
    columns = {
        "unique_id": np.concatenate(
            [np.repeat(firm, len(part[0])) for firm, part in prices.items()]
        ),
        "ds": np.concatenate([dates for dates, _ in prices.values()]).astype("datetime64[D]"),
        "y": np.concatenate([price for _, price in prices.values()]),
    }
    forecaster = RecurrentForecaster(
        AHEAD, context=MONTHS, season_length=1, transform="log", epochs=epochs
    )
    return forecaster.backtest(columns, windows=20, step=1, level=LEVEL)


def report(prices: dict[str, tuple[Array, Array]], quarters: Backtest) -> float:
    """Prints how good intervals and median were; returns the coverage."""
    rows = quarters.forecasts
    known = {
        firm: dict(zip(dates.astype("datetime64[D]").tolist(), price.tolist(), strict=True))
        for firm, (dates, price) in prices.items()
    }
    cutoffs = rows["cutoff"].astype("datetime64[D]").tolist()
    pairs = zip(rows["unique_id"].tolist(), cutoffs, strict=True)
    last = np.array([known[firm][when] for firm, when in pairs])
    errors = [
        100 * float(np.mean(np.abs(each / rows["y"] - 1))) for each in (rows["forecast"], last)
    ]
    covered = quarters.summary()[f"coverage-{LEVEL}"]
    print(
        f"\nOne to three months ahead, {len(last)} prices: the median is off by {errors[0]:.1f} %, "
        f"the last price by {errors[1]:.1f} %."
    )
    print(f"{covered:.0%} of the prices were in their {LEVEL} % interval.")
    print("What it cannot do: say which way a price will go, or that a crash is coming.")
    return covered


def make_model() -> keras.Sequential:
    """A small LSTM: there is little to learn and much noise."""
    model = keras.Sequential(
        [
            keras.Input((MONTHS, 1)),
            keras.layers.LSTM(8),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate=2e-3), loss="mse")
    return model


def draw(
    prices: dict[str, tuple[Array, Array]], test: Months, forecast: Array, errors: dict[str, float]
) -> Any:
    """Each firm's prices with the forecasts of the test months, and the errors."""
    figure, axes = pictures.figure(["abc", "def"])
    for name, firm in zip("abcde", prices, strict=True):
        chosen = test.firms == firm
        axes[name].plot(test.dates[chosen], test.price[chosen], color=pictures.TRUTH, label="price")
        axes[name].plot(
            test.dates[chosen],
            test.last_price[chosen],
            color=pictures.BASELINE,
            linewidth=0.9,
            label="same as last month",
        )
        axes[name].plot(
            test.dates[chosen], forecast[chosen], "--", color=pictures.MODEL, label="model"
        )
        axes[name].set(title=firm, ylabel="US dollars")
        axes[name].set_xticks(np.arange(TEST, test.dates.max(), 12))
    figure.legend(*axes["a"].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    pictures.draw_errors(axes["f"], errors, "% of the price")
    return figure


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, tests beside the last price, says which won, draws; returns the errors in percent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", default="build/examples", help="directory of the picture")
    parser.add_argument("--epochs", type=int, default=60, help="stop after so many at the latest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    prices = load_prices()
    months = make_months(prices)
    first, last = months.dates.min(), months.dates.max() + 1
    train, validation = months.between(first, VALIDATION), months.between(VALIDATION, TEST)
    test = months.between(TEST, last)
    scale = float(train.change.std())

    model = make_model()
    model.fit(
        train.x / scale,
        train.change / scale,
        epochs=options.epochs,
        validation_data=(validation.x / scale, validation.change / scale),
        callbacks=[keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)],
    )
    change = model.predict(test.x / scale, verbose=0)[:, 0] * scale
    errors = {
        "model": 100 * float(np.sqrt(np.mean((change - test.change) ** 2))),
        "same as last month": 100 * float(np.sqrt(np.mean(test.change**2))),
    }
    print(f"\nError on {len(test.dates)} prices of 2008 to 2010 (RMSE of the change):")
    for name, error in errors.items():
        print(f"  {name:18} {error:5.2f} %")
    gain = 1 - errors["model"] / errors["same as last month"]
    verdict = "beats the last price" if gain > 0 else "LOSES against the last price"
    print(f"The model {verdict} by {abs(gain):.1%}. Do not trade on it.")
    report(prices, quarters_ahead(prices, options.epochs))
    picture = draw(prices, test, test.last_price * np.exp(change), errors)
    print(f"Picture: {pictures.save(picture, options.out, 'stock_prices')}")
    return errors


if __name__ == "__main__":
    main()
