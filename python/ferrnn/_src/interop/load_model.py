"""`load_model` and `load_weights`, which detect the format from the contents of a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.faces import later, public
from ferrnn._src.files.errors import reading
from ferrnn._src.files.safetensors import is_safetensors
from ferrnn._src.files.safetensors import opened as opened_tensors
from ferrnn._src.models import native_file
from ferrnn._src.models.probes import PROBE_FILE, check_file
from ferrnn._src.sequence.stream import Stream

if TYPE_CHECKING:
    from ferrnn._src.files.archive import Parts
    from ferrnn._src.interop.keras import configs as keras_configs
    from ferrnn._src.interop.keras import h5 as keras_h5
    from ferrnn._src.interop.keras import saved_models
    from ferrnn._src.interop.keras import training as keras_training
    from ferrnn._src.models import files, hdf5
else:
    keras_configs = later("ferrnn._src.interop.keras.configs")
    keras_h5 = later("ferrnn._src.interop.keras.h5")
    saved_models = later("ferrnn._src.interop.keras.saved_models")
    keras_training = later("ferrnn._src.interop.keras.training")
    files = later("ferrnn._src.models.files")
    hdf5 = later("ferrnn._src.models.hdf5")

_LEGACY = "keras.optimizers.legacy"
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK"
_NEW = (".keras", ".weights.h5")
_NAMES = (".keras", ".h5", ".hdf5", ".safetensors")
_READ = "a `.keras` archive or folder, an HDF5 file of Keras, or a `.safetensors` file of ferrnn"


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002 - Keras' name
    safe_mode: bool = True,
    *,
    backend: str | None = None,
    verify: Any = None,
    against: Any = "float64",
) -> Any:
    """Loads a model saved by ferrnn or Keras 1, 2 or 3, with its weights, compiled as it was.

    Files are `.keras` archives and folders, legacy HDF5 files, and ferrnn's own `.safetensors`
    files, whatever their names, and SavedModels of Keras 2, whose graph is not read. Your own
    classes come from `custom_objects` or `register_keras_serializable`. No code in a file is run,
    whatever `safe_mode` is: a Python lambda is refused. Pass `backend="theano"` for files of Keras
    1 trained on Theano, which stored the kernels of convolutions reversed without saying so.

    An activation named `hard_sigmoid` is `clip(0.2 * x + 0.5, 0, 1)` in files of Keras 1 and 2,
    where it was the default of LSTM and GRU, and `relu6(x + 3) / 6` in those of Keras 3.

    `verify` takes inputs to run through the model and a second source, `against`, as
    `ferrnn.verify` does; the largest difference of each layer is printed. A file that was saved
    with a `probe` is checked at every load.

    Raises:
        FileError: The file is damaged, has unsupported contents, or needs more memory than 16
            times its size plus 16 MiB. The error names the place.
    """
    made = _loaded(Path(filepath), custom_objects, compiles=compile, backend=backend)
    if verify is not None:
        print(public("saving", "verify")(made, verify, against))  # noqa: T201 - what it is for
    return made


def _loaded(
    path: Path, custom_objects: Mapping[str, Any] | None, *, compiles: bool, backend: str | None
) -> Any:
    """The model of a file of any format."""
    if not path.exists():
        wanted = f"an accessible `{path.suffix}` file."
        if path.suffix not in _NAMES:
            wanted = f"there, and {_READ}: others give File format not supported."
        raise ValueError(f"File not found: filepath={path}. Please ensure the file is {wanted}")
    if path.is_dir() and saved_models.is_saved_model(path):
        return saved_models.read_model(path, custom_objects, compiles=compiles)
    kind = _start(path)
    if kind.startswith(_HDF5):
        return keras_h5.read_model(path, custom_objects, compiles=compiles, backend=backend)
    if kind and is_safetensors(path):
        _check_whole(path)
        return native_file.read_model(path, custom_objects, compiles=compiles)
    if not kind.startswith(_ZIP) and not path.is_dir() and path.suffix != ".keras":
        raise ValueError(
            f"File format not supported: filepath={path}. Expected {_READ}; `ferrnn.from_onnx` "
            "opens ONNX files, `ferrnn.from_torch` PyTorch files."
        )
    translate = partial(_translated, compiles=compiles)
    return files.read_model(
        path, custom_objects, compiles=compiles, translate=translate, check=_check_probe
    )


def _check_probe(model: Any, parts: Parts) -> None:
    """Verifies the probe of a `.keras` archive, if it has one."""
    check_file(model, parts.read(PROBE_FILE))


def load_streams(
    filepath: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Stream]:
    """The streams that were saved with a model in a `.safetensors` file, by their names.

    They continue where they stopped.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.LSTM(3)])
    >>> stream = model.stream()
    >>> _ = stream([1.0, 2.0])
    >>> model.save("model.safetensors", streams={"pump": stream})
    >>> later = load_streams("model.safetensors")["pump"]
    >>> bool((later([3.0, 4.0]) == stream([3.0, 4.0])).all())
    True
    """
    path = Path(filepath)
    if not path.is_file() or not is_safetensors(path):
        raise ValueError(f"`filepath` must be a `.safetensors` file of ferrnn, received {path}")
    _check_whole(path)
    model = native_file.read_model(path, custom_objects, compiles=False)
    return native_file.read_streams(path, model)


def _check_whole(path: Path) -> None:
    """Raises FileError if a safetensors file has only weights."""
    with reading(path), opened_tensors(path) as contents:
        if not native_file.is_model(contents):
            raise ValueError(
                "the file holds only weights: `ferrnn.from_torch(path, layers=[...])` makes a "
                f"model from them. It has the arrays {sorted(contents.tensors)[:10]}"
            )


def load_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    *,
    by_name: bool = False,
    backend: str | None = None,
    objects_to_skip: Sequence[Any] | None = None,
) -> None:
    """Reads the weights of an HDF5, `.keras` or ferrnn's own `.safetensors` file into a model.

    Layers of legacy HDF5 files (`.h5`) are matched by their order among those with weights, or by
    name with `by_name=True`. `backend` is as in `load_model`. Layers in `objects_to_skip` are left
    as they are; only for `.weights.h5` files.
    """
    path = Path(filepath)
    if path.suffix not in (*_NAMES, ".json") and not path.exists():
        raise ValueError(
            f"File format not supported: filepath={path}. Expected a `.keras`, `.weights.h5` or "
            "legacy `.h5` file."
        )
    if not path.exists():
        raise FileNotFoundError(f"`{path}` does not exist")
    if path.is_file() and is_safetensors(path):
        if by_name or skip_mismatch or objects_to_skip is not None:
            raise ValueError(
                "`by_name`, `skip_mismatch`, `objects_to_skip` cannot be used for `.safetensors` "
                f"files, whose weights must all fit, received {path}"
            )
        _check_whole(path)
        files.check_built(model)
        native_file.read_weights(model, path)
        return
    legacy = _start(path).startswith(_HDF5) and _is_legacy(path)
    if objects_to_skip is not None and (legacy or not path.name.endswith(".weights.h5")):
        raise ValueError(
            "`objects_to_skip` only supports loading '.weights.h5' files. "
            f"Received: filepath={path}"
        )
    if legacy:
        files.check_built(model)
        keras_h5.read_weights(
            model, path, by_name=by_name, skip_mismatch=skip_mismatch, backend=backend
        )
        return
    if by_name:
        raise ValueError(
            "`by_name` only supports loading legacy '.h5' or '.hdf5' files: in `.weights.h5` "
            "files, weights are matched by the places of layers (`skip_mismatch=True` skips those "
            f"that do not fit), received by_name={by_name!r} for {path}"
        )
    files.load_weights(model, path, skip_mismatch, objects_to_skip or ())


def _start(path: Path) -> bytes:
    """The first bytes of a file; empty for a folder."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(8)


def _is_legacy(path: Path) -> bool:
    if path.name.endswith(_NEW) and path.suffix != ".h5":
        return False
    try:
        with path.open("rb") as source, hdf5.opened(source) as file:
            return keras_h5.is_legacy(file)
    except ValueError:
        return not path.name.endswith(_NEW)  # the reader raises the error


def _translated(
    data: Mapping[str, Any], metadata: bytes | None, *, compiles: bool
) -> Mapping[str, Any]:
    """The configuration of an archive in today's form, also for those of Keras 2.12 to 2.15."""
    version = str(json.loads(metadata or b"{}").get("keras_version", "3"))
    if not version.startswith("2."):
        return data
    made = keras_configs.modern(data, version)
    if data.get("build_config"):
        made["build_config"] = data["build_config"]
    if data.get("compile_config"):
        made["compile_config"] = keras_training.modern_compile_config(
            data["compile_config"], version
        )
        optimizer = data["compile_config"].get("optimizer")
        if compiles and isinstance(optimizer, Mapping) and optimizer.get("module") == _LEGACY:
            warn(
                f"The optimizer {optimizer.get('class_name')!r} starts afresh: `.keras` files of "
                f"Keras {version} do not store the variables of its legacy optimizers."
            )
    return made
