"""Models in ferrnn's own format: a safetensors file with the architecture in its metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import plain
from ferrnn._src.configs.plain import as_json, data_alone
from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited
from ferrnn._src.files.safetensors import Contents, contents_of, opened, write
from ferrnn._src.files.sums import checked, summed
from ferrnn._src.files.writing import whole_file
from ferrnn._src.layer.layer import Layer
from ferrnn._src.models.making import model_from
from ferrnn._src.models.owned import (
    asset_files,
    give_files,
    loads_assets,
    own_arrays,
    stores_itself,
)
from ferrnn._src.models.precisions import precisions, set_precisions
from ferrnn._src.models.probes import OF_PROBE, check, probed, read_probe
from ferrnn._src.models.probing import Outputs, reference
from ferrnn._src.models.weights_file import Entry, saved
from ferrnn._src.sequence.stream import Stream
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.initializer import undrawn
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter

# Keys of the metadata: a version of the format, and texts in JSON.
VERSION = "1"
_VERSION, _CONFIG, _COMPILED = "ferrnn", "config", "compile_config"
_PROBE, _PRECISIONS = "probe", "inference_precision"
_STREAMS = "streams"
# Prefixes of arrays that are not variables.
_ASSETS, _OF_STREAMS, _OPTIMIZER = "assets/", "streams/", "optimizer"


def write_model(
    model: Any,
    path: Path,
    *,
    include_optimizer: bool = True,
    streams: Mapping[str, Stream] | None = None,
    probe: Any = None,
) -> None:
    """Writes a model with all its state, as a whole or not at all.

    `probe` are inputs to be kept with the outputs of each layer for them.
    """
    if not model.built:
        warn(f"The model {model.name!r} is saved before it is built: the file has no weights.")
    arrays, texts = _described(model, include_optimizer, streams or {}, probe)
    with whole_file(path) as file:
        write(file, arrays, texts)


def model_bytes(model: Any) -> bytes:
    """The contents of a file of the model and its optimizer.

    >>> from ferrnn._src.layers.dense import Dense
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([Dense(2)])
    >>> model.build((None, 3))
    >>> same = model_from_bytes(model_bytes(model))
    >>> bool((same.get_weights()[0] == model.get_weights()[0]).all())
    True
    """
    file = io.BytesIO()
    write(file, *_described(model, include_optimizer=True))
    return file.getvalue()


def model_from_bytes(data: bytes) -> Any:
    """The model of the bytes of a file, with its weights and states, compiled as it was."""
    with limited(len(data)):
        return _model_of(contents_of(memoryview(data)), None, compiles=True)


def described(model: Any) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and texts of a model, to be stored in a file with others."""
    return _parts(model, include_optimizer=True)


def model_of(
    texts: Mapping[str, str], arrays: dict[str, Array], custom_objects: Mapping[str, Any] | None
) -> Any:
    """The model from what `described` returned."""
    return _made(texts, dict(arrays), custom_objects, compiles=True)


def _parts(model: Any, include_optimizer: bool) -> tuple[dict[str, Array], dict[str, str]]:
    texts = {_VERSION: VERSION, _CONFIG: as_json(model.as_data())}
    if include_optimizer and model.compiled:
        texts[_COMPILED] = as_json(data_alone(plain(model.get_compile_config())))
    if kept := precisions(model):
        texts[_PRECISIONS] = json.dumps(kept)
    with one_version():
        arrays = dict(_arrays(model, include_optimizer=include_optimizer))
    return {name: np.asarray(each, order="C") for name, each in arrays.items()}, texts


def _described(
    model: Any,
    include_optimizer: bool,
    streams: Mapping[str, Stream] | None = None,
    probe: Any = None,
) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and texts of a file."""
    streams = streams or {}
    arrays, texts = _parts(model, include_optimizer)
    if streams:
        texts[_STREAMS] = json.dumps({name: each.streams for name, each in streams.items()})
    for name, stream in streams.items():
        arrays.update({f"{_OF_STREAMS}{name}/{key}": v for key, v in stream.state.items()})
    if probe is not None:
        texts[_PROBE], more = probed(model, probe)
        arrays.update(more)
    arrays = {name: np.asarray(each, order="C") for name, each in arrays.items()}
    return arrays, summed(arrays, texts)


def _arrays(model: Any, *, include_optimizer: bool) -> Iterator[tuple[str, Array]]:
    """All arrays of a model, by the names that they have in Keras' files of weights."""
    for path, owner, variables in saved(model, include_optimizer=include_optimizer):
        arrays = {str(at): variable.numpy() for at, variable in enumerate(variables)}
        if stores_itself(owner):
            arrays = own_arrays(owner)
        elif isinstance(owner, Layer):
            arrays |= owner.named_arrays()
        for name, array in arrays.items():
            yield _place(path, name), array
        if not isinstance(owner, Layer):
            continue
        for name, content in asset_files(owner).items():
            yield f"{_ASSETS}{path}/{name}", np.frombuffer(content, np.uint8)
        for at, state in enumerate(flatten(_states(owner))):
            yield f"{path}/states/{at}", np.asarray(state)


def _place(path: str, name: str) -> str:
    return f"{path}/vars/{name}" if path else f"vars/{name}"


def _states(owner: Any) -> Any:
    """The states that a stateful layer carries from call to call; empty for other layers."""
    states = getattr(owner, "_states", None) if getattr(owner, "stateful", False) else None
    return [] if states is None else states


def is_model(contents: Contents) -> bool:
    """Whether a safetensors file holds a model, not only weights."""
    return _VERSION in contents.metadata


def read_model(path: Path, custom_objects: Mapping[str, Any] | None, *, compiles: bool) -> Any:
    """The model of a file, with its weights and states, compiled as it was."""
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        return _model_of(contents, custom_objects, compiles=compiles)


def _model_of(
    contents: Contents, custom_objects: Mapping[str, Any] | None, *, compiles: bool
) -> Any:
    texts, arrays = _checked(contents)
    made = _made(texts, arrays, custom_objects, compiles=compiles)
    if _PROBE in texts:
        with within(_PROBE):
            check(made, *_probe_in(contents))
    return made


def _made(
    texts: Mapping[str, str],
    arrays: dict[str, Array],
    custom_objects: Mapping[str, Any] | None,
    *,
    compiles: bool,
) -> Any:
    data = {**_json(texts, _CONFIG), "compile_config": _json(texts, _COMPILED)}
    with within(_CONFIG), custom_object_scope(custom_objects), undrawn():
        made = model_from(data, compiles=compiles)
    arrays = {name: each for name, each in arrays.items() if not _is_apart(name, made)}
    _fill(made, arrays)
    if arrays:
        raise ValueError(f"the model does not have the arrays {sorted(arrays)[:5]} of the file")
    with within(_PRECISIONS):
        set_precisions(made, _json(texts, _PRECISIONS))
    return made


def read_weights(model: Any, path: Path) -> None:
    """Reads weights and states into a model with the same layers.

    An optimizer reads its variables once it has been built.
    """
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        _, arrays = _checked(contents)
        optimizer = getattr(model, "optimizer", None)
        apart = (f"{_OPTIMIZER}/",) if optimizer is None or not optimizer.built else ()
        arrays = {
            name: each
            for name, each in arrays.items()
            if not _is_apart(name, model) and not name.startswith(apart)
        }
        _fill(model, arrays)
        if arrays:
            raise ValueError(f"the model does not have the arrays {sorted(arrays)[:5]} of the file")


def stored_probe(path: Path) -> tuple[list[Array], Outputs] | None:
    """The probe inputs in a file and the outputs of each layer for them, or None."""
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        _checked(contents)
        if _PROBE not in contents.metadata:
            return None
        inputs, outputs, _ = _probe_in(contents)
        return inputs, outputs


def _probe_in(contents: Contents) -> tuple[list[Array], Outputs, float]:
    arrays = {name: each.array() for name, each in contents.tensors.items()}
    return read_probe(_json(contents.metadata, _PROBE), arrays)


def in_float64(model: Any) -> Any:
    """The same model in float64, its recurrent cells step by step in NumPy: see `reference`."""
    arrays = dict(_arrays(model, include_optimizer=False))
    return reference(model, lambda made: _fill(made, arrays))


def read_streams(path: Path, model: Any) -> dict[str, Stream]:
    """The streams in a file, with their states, for the model that was read from it."""
    with reading(path), opened(path) as contents, limited(path.stat().st_size):
        texts, arrays = _checked(contents)
        made: dict[str, Stream] = {}
        for name, count in _json(texts, _STREAMS).items():
            with within(f"the stream {name!r}"):
                start = f"{_OF_STREAMS}{name}/"
                own = {key: v for key, v in arrays.items() if key.startswith(start)}
                if type(count) is not int or any(len(each) != count for each in own.values()):
                    raise ValueError(
                        f"each state must have a row for each of the {count} sequences"
                    )
                made[name] = model.stream(count)
                made[name].state = {key[len(start) :]: value for key, value in own.items()}
        return made


def _is_apart(name: str, model: Any) -> bool:
    """Whether an array belongs to a stream, or to an optimizer that is not wanted."""
    optimizer = name.startswith(f"{_OPTIMIZER}/") and not getattr(model, "compiled", False)
    return name.startswith((_OF_STREAMS, OF_PROBE)) or optimizer


def _json(texts: Mapping[str, str], key: str) -> dict[str, Any]:
    """A JSON object in the metadata; empty if it is missing."""
    with within(key):
        value = json.loads(texts.get(key, "{}"))
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004 - the file is at fault
                f"it must be a JSON object, received a {type(value).__name__}"
            )
        return value


def _checked(contents: Contents) -> tuple[Mapping[str, str], dict[str, Array]]:
    """The texts and arrays of a file, after verifying version and checksums."""
    version = contents.metadata.get(_VERSION)
    if version != VERSION:
        raise ValueError(
            f"it must have the version {VERSION!r} of the format, received {version!r}"
        )
    return checked(contents)


def _fill(model: Any, arrays: dict[str, Array]) -> None:
    """Sets the variables of a model, and removes them from the arrays."""
    found: list[tuple[Parameter, Array]] = []
    for path, owner, variables in saved(model):
        with within(path):
            found += _values(model, (path, owner, variables), arrays)
    with one_version():
        for variable, value in found:
            variable.assign(value)
    for path, owner, _ in saved(model, include_optimizer=False):
        with within(path):
            _fill_rest(path, owner, arrays)


def _values(model: Any, entry: Entry, arrays: dict[str, Array]) -> list[tuple[Parameter, Array]]:
    path, owner, variables = entry
    if stores_itself(owner):
        return []
    is_optimizer = path == _OPTIMIZER and owner is getattr(model, "optimizer", None)
    found = []
    for at, variable in enumerate(variables):
        value = arrays.pop(_place(path, str(at)), None)
        if value is None and is_optimizer and at in (0, 2):
            break  # it was not saved or not built, so its variables stay as they are
        if value is None:
            raise ValueError(f"the array of {variable.path!r} is missing")
        if value.shape != variable.shape or value.dtype.kind not in "fiub":
            raise ValueError(
                f"the weight {variable.path!r} of {owner.name!r} must have the shape "
                f"{variable.shape}, received the shape {value.shape} and dtype {value.dtype} in "
                "the file"
            )
        if is_optimizer:
            owner.check_variable(variable, value)
        found.append((variable, value))
    return found


def _fill_rest(path: str, owner: Layer, arrays: dict[str, Array]) -> None:
    """Sets a layer's other arrays, texts and states."""
    if stores_itself(owner):
        owner.load_own_variables(_below(_place(path, ""), arrays))
    elif type(owner).set_named_arrays is not Layer.set_named_arrays:
        owner.set_named_arrays(_named(path, owner, arrays))
    if loads_assets(owner):
        found = _below(f"{_ASSETS}{path}/", arrays)
        give_files(owner, {name: content.tobytes() for name, content in found.items()})
    texts = {}
    for name in () if loads_assets(owner) else owner.text_assets():
        content = arrays.pop(f"{_ASSETS}{path}/{name}", None)
        if content is None or content.dtype != np.uint8:
            raise ValueError(f"the text {name!r} is missing")
        texts[name] = content.tobytes().decode()
    if texts:
        owner.set_text_assets(texts)
    states: list[Array] = []
    while f"{path}/states/{len(states)}" in arrays:
        states.append(np.array(arrays.pop(f"{path}/states/{len(states)}")))
    if states:
        if not getattr(owner, "stateful", False):
            raise ValueError(f"layer {owner.name!r} is not stateful, but the file has states of it")
        owner.states = owner._packed(states)  # type: ignore[attr-defined]


def _below(start: str, arrays: dict[str, Array]) -> dict[str, Array]:
    """Pops the arrays whose names are `start` and one more part."""
    keys = [key for key in arrays if key.startswith(start) and "/" not in key[len(start) :]]
    return {key[len(start) :]: np.array(arrays.pop(key)) for key in keys}


def _named(path: str, owner: Layer, arrays: dict[str, Array]) -> dict[str, Array]:
    start = _place(path, "")
    found = {}
    for key in [key for key in arrays if key.startswith(start)]:
        name = key[len(start) :]
        if "/" in name or name.isdigit():
            continue
        found[name] = np.array(arrays.pop(key))
        if found[name].dtype.kind != "f" or found[name].ndim != 1:
            raise ValueError(
                f"{name!r} of {owner.name!r} must be a one-dimensional array of numbers"
            )
    return found
