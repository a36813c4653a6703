"""The arguments of a forecaster, checked."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ferrnn._src.forecasting.conformal import METHODS
from ferrnn._src.forecasting.frequency import KINDS
from ferrnn._src.forecasting.network import CELLS
from ferrnn._src.forecasting.results import checked_levels
from ferrnn._src.forecasting.scaling import SCALINGS, TRANSFORMS
from ferrnn._src.training.progress import checked_verbose
from ferrnn._src.training.samples import checked_count

_CHOICES: dict[str, tuple[Any, ...]] = {
    "strategy": ("direct", "recursive"),
    "cell": tuple(CELLS),
    "scaling": SCALINGS,
    "transform": (None, *TRANSFORMS),
    "intervals": METHODS,
}
_KEYS = ("id_column", "time_column", "target_column")
_COVARIATES = ("past_covariates", "future_covariates", "static_covariates")
_COUNTS = ("horizon", "units", "layers", "epochs", "patience", "ensemble",
           "max_windows")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The arguments of a `RecurrentForecaster`."""

    horizon: int
    context: int | None
    season_length: int | None
    freq: Any
    strategy: str
    past_covariates: tuple[str, ...]
    future_covariates: tuple[str, ...]
    static_covariates: tuple[str, ...]
    calendar: str | tuple[str, ...]
    scaling: str
    transform: str | None
    cell: str
    units: int
    layers: int
    dropout: float
    ensemble: int
    epochs: int
    patience: int
    batch_size: int | None
    learning_rate: float
    max_windows: int
    held_out: float
    refit: bool
    intervals: str
    levels: tuple[float, ...]
    id_column: str
    time_column: str
    target_column: str
    random_state: int
    verbose: str | int

    @classmethod
    def of(cls, **given: Any) -> Settings:
        """Settings from arguments, after checking them.

        Raises:
            TypeError: An argument is not a list of columns.
            ValueError: An argument is not one of those allowed.
        """
        _check_values(given)
        for name in _COVARIATES:
            given[name] = _columns(name, given[name])
        if given["calendar"] != "auto":
            kinds = given["calendar"]
            if isinstance(kinds, str) or not set(_columns("calendar", kinds)) <= set(KINDS):
                raise ValueError(
                    f"`calendar` must be 'auto' or a list of some of {KINDS}, received {kinds!r}"
                )
            given["calendar"] = _columns("calendar", kinds)
        if given["strategy"] == "recursive" and given["past_covariates"]:
            raise ValueError(
                "`past_covariates` cannot be used with strategy='recursive', as they are not known "
                "ahead: use strategy='direct'"
            )
        _check_roles(given)
        given["levels"] = tuple(sorted(checked_levels(given["levels"], "levels")))
        return cls(**given)

    def as_data(self) -> dict[str, Any]:
        """The settings as JSON data."""
        made = asdict(self)
        if made["freq"] is not None and not isinstance(made["freq"], str | int):
            made["freq"] = None  # the grid found with it is stored instead
        return made


def _check_roles(given: Mapping[str, Any]) -> None:
    """Raises ValueError for columns with two roles."""
    roles: dict[str, str] = {}
    for argument in (*_KEYS, *_COVARIATES):
        for name in (given[argument],) if argument in _KEYS else given[argument]:
            if name in roles:
                raise ValueError(
                    f"`{argument}` must name columns without another role, received {name!r}, "
                    f"which is in `{roles[name]}`"
                )
            roles[name] = argument


def _check_values(given: Mapping[str, Any]) -> None:
    for name, allowed in _CHOICES.items():
        if given[name] not in allowed:
            raise ValueError(f"`{name}` must be one of {allowed}, received {given[name]!r}")
    for name in _COUNTS:
        checked_count(given[name], name)
    for name in ("context", "season_length", "batch_size"):
        if given[name] is not None:
            checked_count(given[name], name)
    _check_numbers(given)
    if not isinstance(given["refit"], bool | np.bool_):
        raise TypeError(f"`refit` must be True or False, received {given['refit']!r}")
    for name in _KEYS:
        if not isinstance(given[name], str):
            raise TypeError(f"`{name}` must be the name of a column, received {given[name]!r}")
    checked_verbose(given["verbose"])


def _check_numbers(given: Mapping[str, Any]) -> None:
    checked_count(given["random_state"], "random_state", least=0)
    for name in ("dropout", "held_out"):
        if not (_is_number(given[name]) and 0 <= given[name] < 1):
            raise ValueError(f"`{name}` must be at least 0 and below 1, received {given[name]!r}")
    if not (_is_number(given["learning_rate"]) and 0 < given["learning_rate"] < float("inf")):
        raise ValueError(
            f"`learning_rate` must be a positive number, received {given['learning_rate']!r}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _columns(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"`{name}` must be a list of names, received {value!r}")
    return tuple(str(each) for each in value)
