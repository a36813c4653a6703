"""Many models in one safetensors file: the arrays of each, but every architecture only once."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited
from ferrnn._src.files.safetensors import opened, write
from ferrnn._src.files.sums import checked, summed
from ferrnn._src.files.writing import whole_file
from ferrnn._src.models.native_file import described, model_of
from ferrnn._src.training.callbacks import History
from ferrnn._src.tree.types import Array

_VERSION, _KEYS, _TEXTS = "ferrnn-many", "keys", "models"
VERSION = "1"


def write_many(
    path: Path,
    models: Mapping[Hashable, Any],
    histories: Mapping[Hashable, History],
    seeds: Mapping[Hashable, int],
) -> None:
    """Writes models with their histories and seeds into one file, as a whole or not at all."""
    arrays: dict[str, Array] = {}
    texts: list[dict[str, str]] = []
    entries = []
    for at, (key, model) in enumerate(models.items()):
        own, told = described(model)
        arrays.update({f"{at}/{name}": each for name, each in own.items()})
        if told not in texts:
            texts.append(told)
        history = histories.get(key)
        past = None if history is None else [history.epoch, history.history]
        entries.append([_written(key), texts.index(told), seeds.get(key), past])
    metadata = {
        _VERSION: VERSION,
        _KEYS: json.dumps(entries, default=float),
        _TEXTS: json.dumps(texts),
    }
    with whole_file(path) as file:
        write(file, arrays, summed(arrays, metadata))


def read_many(
    path: Path, custom_objects: Mapping[str, Any] | None
) -> tuple[dict[Hashable, Any], dict[Hashable, History], dict[Hashable, int]]:
    """Models, histories and seeds of a file, by key."""
    models: dict[Hashable, Any] = {}
    histories: dict[Hashable, History] = {}
    seeds: dict[Hashable, int] = {}
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        version = contents.metadata.get(_VERSION)
        if version is None:
            raise ValueError("it must be a file of many models, as `ManyModels.save` writes them")
        if version != VERSION:
            raise ValueError(
                f"it must have the version {VERSION!r} of the format, received {version!r}"
            )
        metadata, arrays = checked(contents)
        of_model: dict[str, dict[str, Array]] = {}
        for name, array in arrays.items():
            number, _, rest = name.partition("/")
            of_model.setdefault(number, {})[rest] = array
        texts = json.loads(metadata[_TEXTS])
        for at, (written, told, seed, past) in enumerate(json.loads(metadata[_KEYS])):
            key = _read(written)
            with within(f"the model of {key!r}"):
                models[key] = model_of(texts[told], of_model.get(str(at), {}), custom_objects)
            if seed is not None:
                seeds[key] = seed
            if past is not None:
                history = models[key].history = History()
                history.epoch, history.history = past
                history.set_model(models[key])
                histories[key] = history
    return models, histories, seeds


def _written(key: Any) -> Any:
    """A key as JSON data; a tuple becomes a list."""
    if isinstance(key, tuple):
        return [_written(part) for part in key]
    if key is None or isinstance(key, bool | int | float | str):
        return key
    if hasattr(key, "item") and getattr(key, "ndim", None) == 0:  # a NumPy scalar
        return _written(key.item())
    raise TypeError(
        "the keys of models in a file must be texts, numbers, None, or tuples of them, received "
        f"{key!r}"
    )


def _read(written: Any) -> Hashable:
    if isinstance(written, list):
        return tuple(map(_read, written))
    known: Hashable = written
    return known
