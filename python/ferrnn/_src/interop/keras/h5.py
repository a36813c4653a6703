"""The legacy HDF5 files of Keras 1, 2 and 3: whole models, and weights alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.notices import warn
from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited, spend
from ferrnn._src.interop.keras.configs import modern
from ferrnn._src.interop.keras.training import compile_as_saved
from ferrnn._src.interop.keras.weights import (
    Dialect,
    Found,
    converted,
    converted_slots,
    count_trained,
)
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.models.hdf5 import dataset_at, group_at, opened, read_array
from ferrnn._src.models.probes import PROBE_FILE, check_file
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version

_WEIGHTS, _OPTIMIZER = "model_weights", "optimizer_weights"
_BACKENDS = (None, "tensorflow", "theano")


def read_model(
    path: Path,
    custom_objects: Mapping[str, Any] | None,
    *,
    compiles: bool,
    backend: str | None,
) -> Any:
    """The model of a legacy HDF5 file, with its weights, compiled as it was."""
    with reading(path), limited(path.stat().st_size), _opened(path) as file:
        text = _text(file, "model_config")
        if text is None:
            raise ValueError(
                "the file holds only weights: build the model, and pass the file to "
                "`model.load_weights`"
            )
        group = group_at(file, _WEIGHTS)
        if group is None:
            raise ValueError("it has no weights")
        version = _text(file, "keras_version") or _text(group, "keras_version") or "1"
        dialect = _dialect(version, _text(group, "backend"), backend)
        with custom_object_scope(custom_objects):
            with within("model_config"):
                made: Any = layer_from(modern(json.loads(text), version))
                if not hasattr(made, "outputs_and_mask"):
                    raise ValueError(
                        "the configuration must be that of a model, received that of a "
                        f"{type(made).__name__}"
                    )
            with within(_WEIGHTS):
                _assign(_by_name(made, _layers(group), dialect))
            training = _text(file, "training_config")
            if compiles and training is not None:
                values = _optimizer_values(file, made, group, dialect)
                compile_as_saved(made, json.loads(training), version, values)
        check_file(made, probe_in(file))
        return made


def probe_in(file: Any) -> bytes | None:
    """The probe in an open file, or None."""
    if PROBE_FILE not in file:
        return None
    with within(PROBE_FILE):
        dataset = dataset_at(file, PROBE_FILE, "the probe")
        if dataset.dtype.kind not in "fiub":
            raise ValueError(f"the probe must be numbers, received {dataset.dtype}")
        spend(dataset.shape, dataset.dtype.itemsize, "the probe")
        return read_array(file, PROBE_FILE, dataset).astype(np.uint8).tobytes()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as source, opened(source) as file:
        yield file


def read_weights(
    model: Any, path: Path, *, by_name: bool, skip_mismatch: bool, backend: str | None
) -> None:
    """Reads the weights of a legacy HDF5 file into a model, by the layers' order or names."""
    with reading(path), limited(path.stat().st_size), _opened(path) as file:
        group = file if "layer_names" in file.attrs else group_at(file, _WEIGHTS)
        group = file if group is None else group
        version = _text(group, "keras_version") or _text(file, "keras_version") or "1"
        dialect = _dialect(version, _text(group, "backend"), backend)
        layers = [(name, arrays) for name, arrays in _layers(group) if arrays]
        pairs = _named_pairs(model, layers) if by_name else _paired(model, layers)
        _assign(_fitting(pairs, dialect, skip_mismatch=skip_mismatch))


def is_legacy(file: Any) -> bool:
    """Whether an open HDF5 file has the legacy layout, and not that of `.weights.h5`."""
    group = file if _WEIGHTS not in file else group_at(file, _WEIGHTS)
    return group is not None and bool({"layer_names", "layer_names0"} & set(group.attrs))


def _dialect(version: str, written: str | None, backend: str | None) -> Dialect:
    """The version and backend that wrote the weights; `backend` is for files without one."""
    if backend not in _BACKENDS:
        raise ValueError(f"`backend` must be 'tensorflow' or 'theano', received {backend!r}")
    major = int(version.split(".", maxsplit=1)[0])
    return Dialect(major, (backend or written) == "theano")


def _text(group: Any, name: str) -> str | None:
    """A text attribute, or None."""
    value = group.attrs.get(name)
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError(f"the attribute {name!r} must be text, received {value!r}")  # noqa: TRY004
    return value


def _names(group: Any, name: str) -> list[str]:
    """A list of names, which is split over several attributes if it is long."""
    chunks = []
    if name in group.attrs:
        chunks.append(group.attrs[name])
    else:
        while f"{name}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{name}{len(chunks)}"])
    if not chunks:
        raise ValueError(f"{group.name!r} has no attribute {name!r}")
    found = [each for chunk in chunks for each in np.asarray(chunk).reshape(-1).tolist()]
    return [each.decode() if isinstance(each, bytes) else str(each) for each in found]


def _layers(group: Any) -> list[tuple[str, list[Array]]]:
    """The layers of a file and their arrays, in the order of the file."""
    found = []
    for name in _names(group, "layer_names"):
        with within(name):
            inner = group_at(group, name)
            if inner is None:
                raise ValueError("the group of this layer is missing")
            found.append((name, _values(inner)))
    return found


def _values(group: Any) -> list[Array]:
    found = []
    for name in _names(group, "weight_names"):
        folder, _, last = name.rpartition("/")
        holder = group_at(group, folder) if folder else group
        if holder is None:
            raise ValueError(f"the array {name!r} is missing")
        dataset = dataset_at(holder, last, f"the weight {name!r}")
        if dataset.dtype.kind not in "fiub":
            raise ValueError(f"the weight {name!r} must be numbers, received {dataset.dtype}")
        spend(dataset.shape, dataset.dtype.itemsize, f"the weight {name!r}")
        found.append(read_array(holder, last, dataset))
    return found


def _optimizer_values(file: Any, model: Any, weights: Any, dialect: Dialect) -> list[Array] | None:
    """The arrays of the optimizer, in the order of the model's weights, or None.

    Keras 1 had them for each gate apart, sorted by the names of weights; on Theano by names that
    are in no file.
    """
    group = group_at(file, _OPTIMIZER)
    if group is None:
        return None
    values = _values(group)
    if dialect.major > 1 or dialect.theano:
        return values
    counted = bool(values) and values[0].shape == ()
    names: list[str] = []
    layers = []
    for name, arrays in _layers(weights):
        layer = model.get_layer(name)
        names += _names(group_at(weights, name), "weight_names")[: count_trained(layer, arrays)]
        layers.append(layer)
    places = sorted(range(len(names)), key=names.__getitem__)
    left = values[counted:]
    if not names or len(left) % len(names):
        return values  # they do not fit, about which compiling the model warns
    ordered: list[Array] = []
    for start in range(0, len(left), len(names)):
        known = dict(zip(places, left[start : start + len(names)], strict=True))
        ordered += [known[at] for at in range(len(names))]
    try:
        slots = converted_slots(layers, model.trainable_weights, ordered, dialect)
    except ValueError:
        return values
    return [*values[:counted], *slots]


def _by_name(model: Any, layers: Sequence[tuple[str, list[Array]]], dialect: Dialect) -> Found:
    """The weights of a model made from the same file, whose layers have the names in it."""
    known = {layer.name: layer for layer in model.layers}
    found: Found = []
    for name, arrays in layers:
        with within(name):
            layer = known.pop(name, None)
            if layer is None and arrays:
                raise ValueError("the model has no layer of this name")
            if layer is not None:
                found += converted(layer, arrays, dialect)
    missing = [name for name, layer in known.items() if layer.weights]
    if missing:
        raise ValueError(f"there are no weights for the layers {missing[:10]}")
    return found


# A layer, its name in the file, and its arrays there.
Pairs: TypeAlias = Sequence[tuple[Any, str, Sequence[Array]]]


def _paired(model: Any, layers: Sequence[tuple[str, list[Array]]]) -> Pairs:
    """Layers matched by their order among those that have weights."""
    own = [layer for layer in model.layers if layer.weights]
    if len(own) != len(layers):
        raise ValueError(
            f"the file has weights of {len(layers)} layers, but the model {model.name!r} has "
            f"{len(own)} layers with weights: {[layer.name for layer in own]} for "
            f"{[name for name, _ in layers]}"
        )
    return [(layer, name, arrays) for layer, (name, arrays) in zip(own, layers, strict=True)]


def _named_pairs(model: Any, layers: Sequence[tuple[str, list[Array]]]) -> Pairs:
    known = {layer.name: layer for layer in model.layers}
    return [(known[name], name, arrays) for name, arrays in layers if name in known]


def _fitting(pairs: Pairs, dialect: Dialect, *, skip_mismatch: bool) -> Found:
    """The layers whose weights fit; others raise an error, or with `skip_mismatch` warn."""
    found: Found = []
    for layer, name, arrays in pairs:
        with within(name):
            try:
                found += converted(layer, arrays, dialect)
            except ValueError as error:
                if not skip_mismatch:
                    raise
                warn(f"Layer {layer.name!r} is skipped: {error}")
    return found


def _assign(found: Found) -> None:
    with one_version():
        for weight, value in found:
            weight.assign(value)
