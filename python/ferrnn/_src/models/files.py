"""Models in `.keras` archives, as Keras 3 writes them: configuration and weights."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import plain
from ferrnn._src.configs.plain import as_json, data_alone
from ferrnn._src.files.archive import Parts, opened
from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited
from ferrnn._src.files.writing import whole_file, write_files
from ferrnn._src.models.making import model_from
from ferrnn._src.models.owned import asset_files, give_files, loads_assets
from ferrnn._src.models.shards import SUFFIX, read_shards, write_shards
from ferrnn._src.models.weights_file import read_weights, saved, write_weights

# (configuration, metadata) -> configuration.
Translate: TypeAlias = Callable[[Any, "bytes | None"], Mapping[str, Any]]

# The version of Keras whose layout is written.
KERAS_VERSION = "3.15.1"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSETS = "assets/"


def save_model(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a model to a `.keras` file: its configuration, weights and how it is compiled.

    `more` are further parts, by name. With `zipped=False` it is a folder with the same contents.
    If this is interrupted, `filepath` is the old file or the new one; a folder may then hold some
    files of each.
    """
    path = _checked_path(filepath, overwrite, zipped)
    if not model.built:
        warn(f"The model {model.name!r} is saved before it is built: the file has no weights.")
    data = model.as_data()
    if include_optimizer and model.compiled:
        data["compile_config"] = data_alone(plain(model.get_compile_config()))
    stamp = dt.datetime.now(tz=dt.timezone.utc).strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": stamp}
    weights = io.BytesIO()
    write_weights(model, weights, include_optimizer=include_optimizer)
    parts = {
        _METADATA: json.dumps(metadata).encode(),
        _CONFIG: as_json(data).encode(),
        _WEIGHTS: weights.getvalue(),
        **_assets(model),
        **(more or {}),
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
    """Further files of layers, such as vocabularies, by their paths in the archive."""
    return {
        f"{_ASSETS}{path}/{name}": content
        for path, owner, _ in saved(model, include_optimizer=False)
        for name, content in asset_files(owner).items()
    }


def _checked_path(filepath: str | os.PathLike[str], overwrite: bool, zipped: bool | None) -> Path:
    path = Path(filepath)
    if zipped is False:
        if path.suffix == ".keras":
            raise ValueError(
                "When using `zipped=False`, the `filepath` argument is a folder and should not end "
                f"in `.keras`. Received: filepath={path}"
            )
    elif path.suffix != ".keras":
        raise ValueError(
            "Invalid filepath extension for saving. Please add a `.keras` extension for the native "
            f"Keras format. Received: filepath={path}."
        )
    check_free(path, overwrite)
    return path


def check_free(path: Path, overwrite: bool) -> None:
    """Raises FileExistsError if `path` exists and must not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"`{path}` already exists, and `overwrite` is False")


def read_model(
    path: Path,
    custom_objects: Mapping[str, Any] | None,
    *,
    compiles: bool,
    translate: Translate,
    check: Callable[[Any, Parts], None],
) -> Any:
    """The model of a `.keras` archive or folder, with its weights, compiled as it was.

    `translate` turns the configuration and the metadata of the file into a configuration in
    today's form; `check` is called with the model and the parts at the end.
    """
    with reading(path), opened(path) as parts, limited(parts.size):
        with within(_CONFIG), custom_object_scope(custom_objects):
            text = parts.read(_CONFIG)
            if text is None:
                raise ValueError(
                    "it has no `config.json`, the configuration of a model; to read a PyTorch "
                    "file, use `ferrnn.from_torch`"
                )
            data = translate(json.loads(text), parts.read(_METADATA))
            made = model_from(data, compiles=compiles)
        with within(_WEIGHTS):
            read_weights(made, _weights_in(parts))
        _read_assets(made, parts)
        check(made, parts)
        return made


def _weights_in(parts: Parts) -> io.BytesIO:
    content = parts.read(_WEIGHTS)
    if content is None:
        raise ValueError("it has no `model.weights.h5`, the weights of the model")
    return io.BytesIO(content)


def _read_assets(model: Any, parts: Parts) -> None:
    """Sets the texts of layers from their paths in the archive."""
    for path, owner, _ in saved(model, include_optimizer=False):
        place = f"{_ASSETS}{path}/"
        if loads_assets(owner):
            names = parts.names(place)
            give_files(owner, {name[len(place) :]: parts.read(name) or b"" for name in names})
            continue
        texts: dict[str, str] = {}
        for name in owner.text_assets():
            with within(place + name):
                content = parts.read(place + name)
                if content is None:
                    raise ValueError(f"the text of the layer {owner.name!r} is missing")
                texts[name] = _decoded(content)
        if texts:
            owner.set_text_assets(texts)


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it must be UTF-8, but is not at byte {error.start}") from None


def save_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    max_shard_size: float | None = None,
    objects_to_skip: Sequence[Any] = (),
) -> None:
    """Writes the weights of a model to a `.weights.h5` file, whole or not at all.

    Layers in `objects_to_skip`, and what they contain, are left out. With `max_shard_size`,
    in gigabytes, the name ends in `.weights.json`, and the weight files beside it have at most
    that size.
    """
    path = Path(filepath)
    wanted = ".weights.h5" if max_shard_size is None else SUFFIX
    if not path.name.endswith(wanted):
        raise ValueError(f"The filename must end in `{wanted}`. Received: filepath={path}")
    check_free(path, overwrite)
    if not model.built:
        raise ValueError(
            "You are saving a model that has not yet been built. Build the model first by calling "
            f"it on some data or by using `build()`: {model.name!r} has no weights to save yet"
        )
    if max_shard_size is not None:
        whole = io.BytesIO()
        write_weights(model, whole, skip=objects_to_skip)
        write_shards(whole, path, max_shard_size)
        return
    with whole_file(path) as file:
        write_weights(model, file, skip=objects_to_skip)


def load_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    objects_to_skip: Sequence[Any] = (),
) -> None:
    """Reads the weights of a `.weights.h5` file, or of a `.keras` file, into a model."""
    path = Path(filepath)
    if not path.name.endswith((".weights.h5", SUFFIX, ".keras")) and not path.is_dir():
        raise ValueError(
            f"File format not supported: filepath={path}. Only `.weights.h5`, `{SUFFIX}` and "
            "`.keras` files are read."
        )
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist")
    check_built(model)
    with reading(path):
        if path.suffix == ".keras" or path.is_dir():
            with opened(path) as parts, within(_WEIGHTS):
                read_weights(model, _weights_in(parts), skip_mismatch=skip_mismatch)
        elif path.name.endswith(SUFFIX):
            whole = read_shards(path)
            read_weights(model, whole, skip_mismatch=skip_mismatch, skip=objects_to_skip)
        else:
            with path.open("rb") as file:
                read_weights(model, file, skip_mismatch=skip_mismatch, skip=objects_to_skip)


def check_built(model: Any) -> None:
    """Raises ValueError if a model has no weights yet to load into."""
    if not model.built:
        raise ValueError(
            "You are loading weights into a model that has not yet been built. Build the model "
            f"first by calling it on some data or by using `build()`: {model.name!r} is not built"
        )
