"""Models in `.keras` archives, as Keras 3 writes them: configuration and weights."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.plain import as_json
from ferrnn._src.files.writing import whole_file, write_files
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.models.compiling import compile_arguments, compile_config
from ferrnn._src.models.weights_file import read_weights, saved, write_weights
from ferrnn._src.tree.tree import map_structure

# The version of Keras whose layout is written.
_KERAS_VERSION = "3.15.1"
_LARGEST_CONFIG = 64 * 2**20
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSETS = "assets/"


def save_model(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
) -> None:
    """Writes a model to a `.keras` file: its configuration, weights and how it is compiled.

    With `zipped=False` it is a folder with the same contents. Whenever this stops, at `filepath`
    is the file that was there or the new one; a folder may then hold some files of each.
    """
    path = _checked_path(filepath, overwrite)
    if not model.built:
        warn(f"The model {model.name!r} is saved before it was built: the file has no weights.")
    data = model.as_data()
    if include_optimizer and model.compiled:
        data["compile_config"] = compile_config(model)
    stamp = dt.datetime.now(tz=dt.timezone.utc).strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": _KERAS_VERSION, "date_saved": stamp}
    weights = io.BytesIO()
    write_weights(model, weights, include_optimizer=include_optimizer)
    parts = {
        _METADATA: json.dumps(metadata).encode(),
        _CONFIG: as_json(data).encode(),
        _WEIGHTS: weights.getvalue(),
        **_assets(model),
    }
    if zipped is False:
        for name in parts:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
        write_files({path / name: content for name, content in parts.items()})
        return
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _assets(model: Any) -> dict[str, bytes]:
    """The vocabularies of layers, by their places in the archive."""
    return {
        f"{_ASSETS}{path}/{name}": text.encode()
        for path, owner, _ in saved(model, include_optimizer=False)
        for name, text in owner.assets().items()
    }


def _checked_path(filepath: str | os.PathLike[str], overwrite: bool) -> Path:
    path = Path(filepath)
    if path.suffix in (".h5", ".hdf5"):
        raise NotImplementedError(
            f"the legacy HDF5 format of `{path}` is not written: use a name that ends in `.keras`"
        )
    if path.suffix != ".keras":
        raise ValueError(
            "Invalid filepath extension for saving. Please add a `.keras` extension for the native "
            f"Keras format. Received: filepath={path}."
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"`{path}` is there already, and `overwrite` is False")
    return path


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002 - Keras' name
    safe_mode: bool = True,
) -> Any:
    """The model of a `.keras` file or folder, with its weights, compiled as it was.

    Classes of your own come from `custom_objects` or `register_keras_serializable`. No code is run
    that is in a file, whatever `safe_mode` says: a Python lambda is refused.
    """
    path = Path(filepath)
    if path.suffix != ".keras":
        raise ValueError(
            f"File format not supported: filepath={path}. Only the `.keras` format is read."
        )
    if not path.exists():
        raise ValueError(f"File not found: filepath={path}. Please ensure the file is there.")
    parts = _parts(path)
    try:
        data = json.loads(parts[_CONFIG])
    except (KeyError, ValueError) as error:
        raise ValueError(f"`{path}` holds no configuration of a model: {error}") from error
    with custom_object_scope(custom_objects):
        made = _model_from(data, path, compiles=compile)
    if _WEIGHTS in parts:
        read_weights(made, io.BytesIO(parts[_WEIGHTS]))
    _read_assets(made, parts, path)
    return made


def _model_from(data: Mapping[str, Any], path: Path, *, compiles: bool) -> Any:
    """A new model of what a file says, compiled as it was."""
    made: Any = layer_from(data)
    if not hasattr(made, "outputs_and_mask"):
        raise ValueError(f"`{path}` holds a {type(made).__name__}, which is no model")
    shape = (data.get("build_config") or {}).get("input_shape")
    if not made.built and shape:
        made.build(map_structure(lambda leaf: leaf, shape))
    compiled = data.get("compile_config")
    if compiles and compiled:
        made.compile(**compile_arguments(compiled))
        if made.optimizer is not None and made.trainable_weights:
            made.optimizer.build(made.trainable_weights)
    return made


def _read_assets(model: Any, parts: Mapping[str, bytes], source: Path) -> None:
    """Gives layers the texts that stand at their places."""
    for path, owner, _ in saved(model, include_optimizer=False):
        place = f"{_ASSETS}{path}/"
        found = {name[len(place) :]: parts[name] for name in parts if name.startswith(place)}
        texts = {name: content for name, content in found.items() if "/" not in name}
        try:
            owner.set_assets({name: content.decode() for name, content in texts.items()})
        except UnicodeDecodeError as error:
            raise ValueError(
                f"`{source}` has no text at {place!r} for the layer {owner.name!r}: {error}"
            ) from error


def _parts(path: Path) -> dict[str, bytes]:
    """The contents of the archive or folder; names of no part of a model are left aside."""
    names = [_METADATA, _CONFIG, _WEIGHTS]
    if path.is_dir():
        vocabularies = (path / _ASSETS).rglob("*.txt") if (path / _ASSETS).is_dir() else ()
        names += [each.relative_to(path).as_posix() for each in vocabularies]
        return {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
    try:
        with zipfile.ZipFile(path) as archive:
            known = {info.filename: info for info in archive.infolist()}
            size = path.stat().st_size
            names += [each for each in known if each.startswith(_ASSETS) and each.endswith(".txt")]
            for name in names:
                info = known.get(name)
                # Keras stores without compression: what grows much is no model.
                if info is not None and info.file_size > max(4 * size, _LARGEST_CONFIG):
                    raise ValueError(f"`{path}`: {name} would grow to {info.file_size} bytes")
            return {name: archive.read(name) for name in names if name in known}
    except zipfile.BadZipFile as error:
        raise ValueError(f"`{path}` is no `.keras` archive: {error}") from error


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes the weights of a model to a `.weights.h5` file, whole or not at all."""
    path = Path(filepath)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"The filename must end in `.weights.h5`. Received: filepath={path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"`{path}` is there already, and `overwrite` is False")
    if not model.built:
        raise ValueError(f"the model {model.name!r} has no weights to save yet: it is not built")
    with whole_file(path) as file:
        write_weights(model, file)


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Reads the weights of a `.weights.h5` file, or of a `.keras` file, into a model."""
    path = Path(filepath)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(
            f"File format not supported: filepath={path}. Only `.weights.h5` and `.keras` files "
            "are read."
        )
    if not path.exists():
        raise FileNotFoundError(f"`{path}` is not there")
    if not model.built:
        raise ValueError(
            f"the model {model.name!r} is not built: call it on data, or `build` it, before its "
            "weights are loaded"
        )
    if path.suffix == ".keras":
        parts = _parts(path)
        if _WEIGHTS not in parts:
            raise ValueError(f"`{path}` holds no weights")
        read_weights(model, io.BytesIO(parts[_WEIGHTS]), skip_mismatch=skip_mismatch)
    else:
        read_weights(model, path, skip_mismatch=skip_mismatch)
