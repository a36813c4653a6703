"""Whole models in the legacy HDF5 layout of Keras 2.15, or of Keras 3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import plain
from ferrnn._src.configs.plain import as_json, data_alone
from ferrnn._src.files.writing import whole_file
from ferrnn._src.interop.keras import keras2_writing
from ferrnn._src.interop.keras.training import slot_by_slot
from ferrnn._src.models.files import KERAS_VERSION
from ferrnn._src.models.hdf5 import write_array, written
from ferrnn._src.models.owned import asset_files, stores_itself
from ferrnn._src.models.probes import PROBE_FILE
from ferrnn._src.models.weights_file import saved
from ferrnn._src.training import losses, metrics
from ferrnn._src.training.losses.registry import as_loss
from ferrnn._src.training.metrics.registry import named
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter

# The versions of Keras to write for.
_VERSIONS = {2: "2.15.0", 3: KERAS_VERSION}
# Variables of optimizers that Keras 2 stores elsewhere.
_NOT_IN_KERAS2 = ("/learning_rate", "/u_product")
# Metrics whose class depends on the outputs.
_OF_OUTPUTS = ("accuracy", "acc", "crossentropy", "ce")
_WEIGHTS, _OPTIMIZER, _TOP = "model_weights", "optimizer_weights", "top_level_model_weights"
# HDF5 keeps attributes in a header of 64 kB, minus its overhead.
_LIMIT = 64512


def write_model(
    model: Any,
    path: Path,
    *,
    include_optimizer: bool = True,
    keras: int = 3,
    probe: bytes | None = None,
) -> None:
    """Writes a model's configuration, weights, compile settings and optimizer.

    `keras` is the version to write for, 2 or 3; `probe` is stored besides. If this is
    interrupted, `path` is the old file or the new one.
    """
    if keras not in _VERSIONS:
        raise ValueError(f"`keras` must be 2 or 3, received {keras!r}")
    _check_layers(model, path)
    texts = {"keras_version": _VERSIONS[keras], "backend": "tensorflow"}
    texts["model_config"] = as_json(_model_config(model, keras))
    compiled = include_optimizer and model.compiled
    old = False
    if compiled:
        training = _training_config(model, keras)
        old = keras == 2 and keras2_writing.is_old(training["optimizer_config"])
        texts["training_config"] = json.dumps(training)
    if keras == 3:
        warn(
            f"`{path.name}` is an HDF5 file, a format that is considered legacy. A name that ends "
            "in `.keras` gives the native Keras format, which stores more."
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
            arrays = _optimizer_arrays(model.optimizer, keras, old=old)
            _write_arrays(target.create_group(_OPTIMIZER), arrays)
        if probe is not None:
            write_array(target, PROBE_FILE, np.frombuffer(probe, np.uint8))


def _check_layers(model: Any, path: Path) -> None:
    if not model.built or not hasattr(model, "layers"):
        raise ValueError(
            f"the model {model.name!r} must be built before it is saved, or {path} would have no "
            "weights"
        )
    for _, owner, _ in saved(model, include_optimizer=False):
        if stores_itself(owner) or asset_files(owner):
            raise ValueError(
                f"the legacy HDF5 format of {path} cannot store what layer {owner.name!r} keeps "
                "besides its weights: use a name that ends in `.keras`"
            )


def _model_config(model: Any, keras: int) -> dict[str, Any]:
    data: dict[str, Any] = model.as_data()
    if keras == 3:
        return data
    if model._graph is None:
        raise ValueError(
            f"the model {model.name!r} is defined by code, which files of Keras 2 cannot store: "
            "save it as `.keras` or `.safetensors`, or save only its weights"
        )
    return keras2_writing.model_config(data)


def _training_config(model: Any, keras: int) -> dict[str, Any]:
    """The arguments of `compile`, with objects for the names of losses and metrics.

    Keras 3 cannot look up the names of functions in such a file.
    """
    config: dict[str, Any] = data_alone(plain(model.get_compile_config()))
    config["loss"] = _map_names(config.get("loss"), lambda name: losses.serialize(as_loss(name)))
    for key in ("metrics", "weighted_metrics"):
        config[key] = _map_names(config.get(key), _metric)
    if keras == 2:
        return keras2_writing.training_config(config)
    return {**config, "optimizer_config": config.get("optimizer")}


def _metric(name: str) -> Any:
    if name.lower() in _OF_OUTPUTS:
        return name
    try:
        return metrics.serialize(named(name)(name=name))
    except KeyError:
        return name


def _map_names(value: Any, make: Callable[[str], Any]) -> Any:
    """Losses or metrics, in lists and dicts, with objects for names."""
    if isinstance(value, str):
        return make(value)
    if isinstance(value, Mapping):
        if "class_name" in value:
            return make(value["config"]) if value["class_name"] == "function" else value
        return {key: _map_names(part, make) for key, part in value.items()}
    return [_map_names(part, make) for part in value] if isinstance(value, list) else value


def _optimizer_arrays(optimizer: Any, keras: int, *, old: bool) -> list[tuple[str, Array]]:
    """The variables of an optimizer in the order of the given version of Keras.

    `old` optimizers store slot after slot, each for all weights.
    """
    left_out = _NOT_IN_KERAS2 if keras == 2 else ()
    variables = [each for each in optimizer.variables if not each.path.endswith(left_out)]
    if old:
        counter, *slots = variables
        variables = [counter, *(slots[at] for at in slot_by_slot(optimizer, len(slots)))]
    arrays = []
    for variable in variables:
        value = variable.numpy()
        scalar = value.shape == () and value.dtype.kind == "f"
        arrays.append((variable.path, value.astype(np.float32) if scalar else value))
    return arrays


def _ordered(layer: Any) -> list[Parameter]:
    """The weights of a layer: trainable ones, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _write_weights(group: Any, weights: Iterable[Parameter]) -> None:
    _write_arrays(group, [(weight.path, weight.numpy()) for weight in weights])


def _write_arrays(group: Any, arrays: Iterable[tuple[str, Array]]) -> None:
    """Writes arrays under the names of their variables, in groups; numbers repeated names."""
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
