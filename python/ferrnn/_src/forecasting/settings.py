"""The arguments of a forecaster, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ferrnn._src.forecasting.conformal import METHODS
from ferrnn._src.forecasting.frequency import KINDS
from ferrnn._src.forecasting.network import CELLS
from ferrnn._src.forecasting.results import checked_levels
from ferrnn._src.forecasting.scaling import SCALINGS, TRANSFORMS

_CHOICES: dict[str, tuple[Any, ...]] = {
    "strategy": ("direct", "recursive"),
    "cell": tuple(CELLS),
    "scaling": SCALINGS,
    "transform": (None, *TRANSFORMS),
    "intervals": METHODS,
}
_COUNTS = ("horizon", "units", "layers", "epochs", "patience", "ensemble",
           "max_windows")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What `RecurrentForecaster` was given."""

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
    verbose: int

    @classmethod
    def of(cls, **given: Any) -> Settings:
        """Settings of checked arguments.

        Raises:
            TypeError: A list of columns is none.
            ValueError: An argument is not one of those allowed.
        """
        _check_values(given)
        for name in ("past_covariates", "future_covariates", "static_covariates"):
            given[name] = _columns(name, given[name])
        if given["calendar"] != "auto":
            given["calendar"] = _columns("calendar", given["calendar"])
            if not set(given["calendar"]) <= set(KINDS):
                raise ValueError(
                    f"`calendar` must be 'auto' or some of {KINDS}, received {given['calendar']!r}"
                )
        if given["strategy"] == "recursive" and given["past_covariates"]:
            raise ValueError(
                "`past_covariates` are not known ahead, where strategy='recursive' would need "
                "them: use strategy='direct'"
            )
        given["levels"] = tuple(sorted(checked_levels(given["levels"])))
        return cls(**given)

    def as_data(self) -> dict[str, Any]:
        """As JSON knows it."""
        made = asdict(self)
        if made["freq"] is not None and not isinstance(made["freq"], str | int):
            made["freq"] = None  # the grid that was found with it is kept
        return made


def _check_values(given: Mapping[str, Any]) -> None:
    for name, allowed in _CHOICES.items():
        if given[name] not in allowed:
            raise ValueError(f"`{name}` must be one of {allowed}, received {given[name]!r}")
    for name in _COUNTS:
        _counted(name, given[name])
    for name in ("context", "season_length", "batch_size"):
        if given[name] is not None:
            _counted(name, given[name])
    for name in ("dropout", "held_out"):
        if not 0 <= given[name] < 1:
            raise ValueError(f"`{name}` must be from 0 up to 1, received {given[name]!r}")
    if not given["learning_rate"] > 0:
        raise ValueError(f"`learning_rate` must be above 0, received {given['learning_rate']!r}")


def _counted(name: str, value: Any) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"`{name}` must be a whole number from 1 on, received {value!r}")


def _columns(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"`{name}` must be a list of names, received {value!r}")
    return tuple(str(each) for each in value)
