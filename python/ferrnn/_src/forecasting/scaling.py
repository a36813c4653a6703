"""Scales of targets, for each series, and of covariates, learned only from rows before the cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferrnn._src.forecasting.panel import Panel
from ferrnn._src.tree.types import Array

SCALINGS = ("level", "standard", "robust", "none")
TRANSFORMS = ("log", "log1p", "asinh")


@dataclass(frozen=True, eq=False)
class Scaling:
    """`z = (transform(y) - center) / scale`, with `center` and `scale` `[series]`."""

    center: Array
    scale: Array
    transform: str | None = None

    def forward(self, y: Array, series: Array) -> Array:
        """Scaled targets, for `y` and indices of series of the same shape."""
        made: Array = (transformed(y, self.transform) - self.center[series]) / self.scale[series]
        return made

    def chosen(self, numbers: Array) -> Scaling:
        """The scales of some of the series."""
        return Scaling(self.center[numbers], self.scale[numbers], self.transform)

    def backward(self, z: Array, series: Array) -> Array:
        """Targets from scaled ones `[rows, ...]`, for the indices of series `[rows]`."""
        places = (slice(None), *[None] * (z.ndim - 1))
        y = z * self.scale[series][places] + self.center[series][places]
        if self.transform == "log":
            return np.asarray(np.exp(y))
        if self.transform == "log1p":
            return np.asarray(np.expm1(y))
        return np.asarray(np.sinh(y)) if self.transform == "asinh" else y


def transformed(y: Array, transform: str | None) -> Array:
    """A monotonic function of `y`.

    Raises:
        ValueError: A value is outside its domain.
    """
    if transform is None:
        return y
    if transform == "asinh":
        return np.arcsinh(y)
    least = 0.0 if transform == "log" else -1.0
    if bool((y <= least).any()):
        raise ValueError(
            f"`transform={transform!r}` requires targets above {least:g}, received {np.nanmin(y):g}"
        )
    return np.log(y) if transform == "log" else np.log1p(y)


def learned(panel: Panel, kind: str, transform: str | None, season: int) -> Scaling:
    """The scaling of a panel's targets, for each series by its own rows.

    "level" divides by the typical distance from the mean of the season before, "standard" by the
    standard deviation, "robust" by the interquartile range.
    """
    y, series, count = transformed(panel.y, transform), panel.series, len(panel.ids)
    center = _means(y, series, count)
    center = np.where(np.isnan(center), 0.0, center)
    if kind == "none":
        return Scaling(np.zeros(count), np.ones(count), transform)
    spread = _deviations(y - center[series], series, count)
    if kind == "level":
        near = _deviations(y - trailing_means(panel, y, season), series, count)
        spread = np.where(np.isfinite(near) & (near > 1e-3 * spread), near, spread)
    elif kind == "robust":
        for at in range(count):
            own = y[panel.starts[at] : panel.starts[at + 1]]
            own = own[np.isfinite(own)]
            if len(own):
                low, center[at], high = np.quantile(own, [0.25, 0.5, 0.75])
                spread[at] = (high - low) / 1.349 or spread[at]
    usable = np.isfinite(spread) & (spread > 1e-9 * np.abs(center))
    floor = np.where(center == 0, 1.0, np.abs(center))
    return Scaling(center, np.where(usable, spread, floor), transform)


def trailing_means(panel: Panel, y: Array, season: int) -> Array:
    """The mean of the `season` rows before each row of its series; NaN where there are none."""
    known = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, y - _offset(y), 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    rows = np.arange(len(y))
    begins = np.maximum(rows - season, panel.starts[:-1][panel.series])
    number = counts[rows] - counts[begins]
    made: Array = np.full(len(y), np.nan)
    full = number > 0
    made[full] = (sums[rows] - sums[begins])[full] / number[full] + _offset(y)
    return made


def _offset(y: Array) -> float:
    known = y[np.isfinite(y)]
    return float(known.mean()) if len(known) else 0.0


def _means(y: Array, series: Array, count: int) -> Array:
    known = np.isfinite(y)
    number = np.bincount(series[known], minlength=count)
    sums = np.bincount(series[known], y[known], minlength=count)
    return np.where(number > 0, sums / np.maximum(number, 1), np.nan)


def _deviations(errors: Array, series: Array, count: int) -> Array:
    return np.sqrt(_means(errors**2, series, count))


def columns_scale(values: Array) -> Array:
    """Means and deviations of covariates, `[2, features]`."""
    if not values.shape[1]:
        return np.zeros((2, 0))
    known = np.isfinite(values)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / number
    deviation = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / number)
    return np.stack([mean, np.where(deviation > 0, deviation, 1.0)])


def scaled_columns(values: Array, scale: Array) -> Array:
    """Scaled covariates, with the mean in place of missing values."""
    made = (values - scale[0]) / scale[1]
    return np.where(np.isfinite(made), made, 0.0)
