"""A forecaster as one safetensors file: JSON texts and arrays, each with a checksum."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited, spend
from ferrnn._src.files.safetensors import opened, write
from ferrnn._src.files.sums import checked, summed
from ferrnn._src.files.writing import whole_file
from ferrnn._src.forecasting.conformal import Calibration
from ferrnn._src.forecasting.fitted import Fitted
from ferrnn._src.forecasting.frequency import KINDS, Frequency
from ferrnn._src.forecasting.panel import Panel
from ferrnn._src.forecasting.quantiles import PROBABILITIES
from ferrnn._src.forecasting.scaling import Scaling
from ferrnn._src.forecasting.settings import Settings
from ferrnn._src.forecasting.windows import Shape
from ferrnn._src.forecasting.zones import zone_of
from ferrnn._src.tree.types import Array

_FORMAT, VERSION = "ferrnn_forecaster", "1"
_SETTINGS, _LEARNED = "settings", "learned"
_SCALES = ("past", "future", "static")
_LARGEST = 2**20  # the largest size in the settings


def write_forecaster(fitted: Fitted, path: str | os.PathLike[str]) -> None:
    """Writes a fitted forecaster."""
    calibration = fitted.calibration
    learned = {
        "frequency": asdict(fitted.frequency),
        "context": fitted.shape.context,
        "season": fitted.shape.season,
        "kinds": fitted.kinds,
        "categories": fitted.categories,
        "ids": fitted.panel.ids.tolist(),
        "backend": fitted.backend,
        "networks": len(fitted.networks),
        "calibrated": calibration is not None,
    }
    texts = {
        _FORMAT: VERSION,
        _SETTINGS: json.dumps(fitted.settings.as_data()),
        _LEARNED: json.dumps(learned),
    }
    arrays = {f"panel/{name}": each for name, each in fitted.panel.arrays().items()}
    arrays["scaling/center"], arrays["scaling/scale"] = fitted.scaling.center, fitted.scaling.scale
    arrays |= {f"scales/{name}": each for name, each in zip(_SCALES, fitted.scales, strict=True)}
    if calibration is not None:
        arrays |= {f"calibration/{name}": each for name, each in calibration.arrays().items()}
    for number, network in enumerate(fitted.networks):
        for at, weight in enumerate(network.get_weights()):
            arrays[f"networks/{number}/{at}"] = weight
    arrays = {name: np.asarray(each, order="C") for name, each in arrays.items()}
    with whole_file(path) as file:
        write(file, arrays, summed(arrays, texts))


def read_forecaster(path: str | os.PathLike[str]) -> Fitted:
    """Reads a fitted forecaster from a file.

    Raises:
        ValueError: It is not such a file, it is damaged, or its parts are inconsistent.
    """
    path = Path(path)
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        if contents.metadata.get(_FORMAT) != VERSION:
            raise ValueError(
                f"it must be a forecaster's file of the version {VERSION!r}, received "
                f"{contents.metadata.get(_FORMAT)!r}"
            )
        texts, arrays = checked(contents)
        with within(_SETTINGS):
            settings = _settings(_object(texts, _SETTINGS))
        with within(_LEARNED):
            return _fitted(settings, _object(texts, _LEARNED), _Arrays(arrays))


class _Arrays:
    """The arrays of a file by name, checked for their shapes and kinds."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays

    def take(self, name: str, shape: tuple[int | None, ...], kind: str = "f") -> Array:
        """A copy of an array; None in `shape` stands for any size."""
        found = self.arrays.get(name)
        if found is None:
            raise ValueError(f"the array {name!r} is missing")
        fits = len(found.shape) == len(shape) and all(
            wanted is None or wanted == size
            for wanted, size in zip(shape, found.shape, strict=True)
        )
        if not fits or found.dtype.kind != kind:
            raise ValueError(
                f"the array {name!r} must have the shape {shape} and the kind {kind!r}, received "
                f"{found.shape} and {found.dtype}"
            )
        return np.array(found)


def _object(texts: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(texts.get(key, ""))
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - the file is at fault
            f"it must be a JSON object, received a {type(value).__name__}"
        )
    return value


def _settings(data: dict[str, Any]) -> Settings:
    names = {field.name for field in fields(Settings)}
    if data.keys() != names:
        raise ValueError(
            "its settings must be those of this version, which differ in "
            f"{sorted(names ^ data.keys())[:5]}"
        )
    for name, value in data.items():
        if isinstance(value, int) and abs(value) > _LARGEST and name != "random_state":
            raise ValueError(f"`{name}` must be at most {_LARGEST}, received {value}")
    return Settings.of(**data)


def _fitted(settings: Settings, learned: dict[str, Any], arrays: _Arrays) -> Fitted:
    frequency = Frequency(**learned["frequency"])
    if frequency.kind not in ("number", "fixed", "month", "business") or frequency.step < 1:
        raise ValueError(f"the frequency must be one of this version, received {frequency!r}")
    if frequency.zone is not None:
        zone_of(str(frequency.zone))
    kinds = tuple(map(str, learned["kinds"]))
    if not set(kinds) <= set(KINDS):
        raise ValueError(f"the kinds of the calendar must be among {KINDS}, received {kinds}")
    ids = np.array(learned["ids"])
    context, season = _size(learned, "context"), _size(learned, "season")
    steps = 1 if settings.strategy == "recursive" else settings.horizon
    panel = _panel(settings, ids, arrays)
    categories = {
        name: None if words is None else tuple(map(str, words))
        for name, words in learned["categories"].items()
    }
    made = Fitted(
        settings=settings,
        frequency=frequency,
        shape=Shape(context, steps, season),
        kinds=kinds,
        scales=tuple(  # type: ignore[arg-type]
            arrays.take(f"scales/{name}", (2, getattr(panel, name).shape[1])) for name in _SCALES
        ),
        categories=categories,
        scaling=Scaling(
            arrays.take("scaling/center", ids.shape),
            arrays.take("scaling/scale", ids.shape),
            settings.transform,
        ),
        panel=panel,
        calibration=_calibration(settings, arrays) if learned["calibrated"] else None,
        backend=learned["backend"],
    )
    spend((settings.units, settings.units, 3 * settings.layers), 4, "the network")
    spend((context, settings.horizon), 4, "the network")
    networks = []
    for number in range(min(_size(learned, "networks"), settings.ensemble)):
        network = made.new_network(0)
        weights = [
            arrays.take(f"networks/{number}/{at}", each.shape)
            for at, each in enumerate(network.get_weights())
        ]
        network.set_weights(weights)
        networks.append(network)
    return Fitted(**{**vars(made), "networks": tuple(networks)})


def _size(learned: Mapping[str, Any], name: str) -> int:
    value = learned[name]
    if type(value) is not int or not 1 <= value <= _LARGEST:
        raise ValueError(f"{name!r} must be a positive integer, received {value!r}")
    return value


def _panel(settings: Settings, ids: Array, arrays: _Arrays) -> Panel:
    """The last rows, after checking that their lengths and places are consistent."""
    count = len(ids)
    if ids.ndim != 1 or not count or ids.dtype.kind not in "iU" or len(np.unique(ids)) < count:
        raise ValueError("the ids must be strings or integers, none of them twice")
    starts = arrays.take("panel/starts", (count + 1,), "i")
    y = arrays.take("panel/y", (None,))
    if starts[0] != 0 or starts[-1] != len(y) or (np.diff(starts) < 1).any():
        raise ValueError("the series must fill the rows without gaps")
    return Panel(
        ids=ids,
        first=arrays.take("panel/first", (count,), "i"),
        starts=starts,
        y=y,
        past=arrays.take("panel/past", (len(y), len(settings.past_covariates))),
        future=arrays.take("panel/future", (len(y), len(settings.future_covariates))),
        static=arrays.take("panel/static", (count, None)),
    )


def _calibration(settings: Settings, arrays: _Arrays) -> Calibration:
    truth = arrays.take("calibration/truth", (None, settings.horizon))
    quantiles = arrays.take("calibration/quantiles", (*truth.shape, None))
    if quantiles.shape[2] != len(PROBABILITIES):
        raise ValueError(
            f"the calibration must have {len(PROBABILITIES)} quantiles, received "
            f"{quantiles.shape[2]}"
        )
    missed = arrays.take("calibration/missed", (None, len(settings.levels), settings.horizon))
    return Calibration(
        settings.intervals,
        settings.levels,
        quantiles,
        truth,
        arrays.take("calibration/series", (len(truth),), "i"),
        arrays.take("calibration/ticks", (len(truth),), "i"),
        missed,
        arrays.take("calibration/since", (len(missed),), "i"),
    )
