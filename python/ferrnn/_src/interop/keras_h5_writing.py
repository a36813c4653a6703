"""Whole models in the legacy HDF5 layout, as Keras 3 still writes it where a name asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import plain
from ferrnn._src.configs.plain import as_json, data_alone
from ferrnn._src.files.writing import whole_file
from ferrnn._src.models.files import KERAS_VERSION
from ferrnn._src.models.hdf5 import write_array, written
from ferrnn._src.models.owned import asset_files, stores_itself
from ferrnn._src.models.weights_file import saved
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter

_WEIGHTS, _OPTIMIZER, _TOP = "model_weights", "optimizer_weights", "top_level_model_weights"
# HDF5 keeps attributes in a header of 64 kB, less what stands around them.
_LIMIT = 64512


def write_model(model: Any, path: Path, *, include_optimizer: bool = True) -> None:
    """Writes the configuration of a model, its weights, how it is compiled and its optimizer.

    Whenever this stops, at `path` is the file that was there or the new one.
    """
    _check_layers(model, path)
    warn(
        f"`{path.name}` is an HDF5 file, a format that is considered legacy: names that end in "
        "`.keras` ask for the native Keras format, which keeps more."
    )
    texts = {"keras_version": KERAS_VERSION, "backend": "tensorflow"}
    texts["model_config"] = as_json(model.as_data())
    compiled = include_optimizer and model.compiled
    if compiled:
        texts["training_config"] = json.dumps(_training_config(model))
    long = [name for name, text in texts.items() if len(text) > _LIMIT]
    if long:
        raise ValueError(
            f"the legacy HDF5 format holds no `{long[0]}` of {len(texts[long[0]])} bytes: use a "
            "name that ends in `.keras`"
        )
    with whole_file(path) as file, written(file) as target:
        for name, text in texts.items():
            target.attrs[name] = text
        group = target.create_group(_WEIGHTS)
        _write_names(group, "layer_names", [layer.name for layer in model.layers])
        for name in ("keras_version", "backend"):
            group.attrs[name] = texts[name]
        for layer in model.layers:
            _write_weights(group.create_group(layer.name), _ordered(layer))
        _write_weights(group.create_group(_TOP), [])
        if compiled and model.optimizer is not None:
            variables = [(each.path, each.numpy()) for each in model.optimizer.variables]
            _write_arrays(target.create_group(_OPTIMIZER), variables)


def _check_layers(model: Any, path: Path) -> None:
    if not model.built or not hasattr(model, "layers"):
        raise ValueError(f"the model {model.name!r} is not built: {path} would hold no weights")
    for _, owner, _ in saved(model, include_optimizer=False):
        if stores_itself(owner) or asset_files(owner):
            raise ValueError(
                f"the legacy HDF5 format of {path} has no place for what layer {owner.name!r} "
                "keeps besides its weights: use a name that ends in `.keras`"
            )


def _training_config(model: Any) -> dict[str, Any]:
    config: dict[str, Any] = data_alone(plain(model.get_compile_config()))
    return {**config, "optimizer_config": config.get("optimizer")}


def _ordered(layer: Any) -> list[Parameter]:
    """The weights of a layer: those that train, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _write_weights(group: Any, weights: Iterable[Parameter]) -> None:
    _write_arrays(group, [(weight.path, weight.numpy()) for weight in weights])


def _write_arrays(group: Any, arrays: Iterable[tuple[str, Array]]) -> None:
    """Arrays under the names of their variables, which tell folders; a name twice is counted up."""
    names: list[str] = []
    for path, array in arrays:
        name = path if path not in names else f"{path}_{len(names)}"
        names.append(name)
        folder, _, last = name.rpartition("/")
        write_array(group.require_group(folder) if folder else group, last, array)
    _write_names(group, "weight_names", names)


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """A list of names, which is cut into several attributes if it is long."""
    encoded = [name.encode() for name in names]
    size = max(map(len, encoded), default=1) * len(encoded)
    parts = -(-size // _LIMIT)
    if parts <= 1:
        group.attrs[attribute] = np.array(encoded, dtype="S") if encoded else np.zeros(0, "S1")
        return
    for at, part in enumerate(np.array_split(np.array(encoded), parts)):
        group.attrs[f"{attribute}{at}"] = part
