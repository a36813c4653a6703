"""`save_model`, which chooses the format by the extension."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferrnn._src.interop.keras import h5_writing
from ferrnn._src.models import files, native_file
from ferrnn._src.models.probes import PROBE_FILE, probe_file
from ferrnn._src.sequence.stream import Stream


def save_model(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    *,
    streams: Mapping[str, Stream] | None = None,
    keras: int | None = None,
    probe: Any = None,
    **older: Any,
) -> None:
    """Writes a model: architecture, weights, compile settings, and the optimizer's state.

    The extension selects the format:

    - `.keras`: that of Keras 3. With `zipped=False` it is a folder with another extension.
    - `.h5`, `.hdf5`: the legacy layout of Keras 3, with a warning, or with `keras=2` that of Keras
      2.15, which can continue training.
    - `.safetensors`: ferrnn's own, which needs only NumPy. It also keeps the states of
      stateful layers, and those of `streams`, by names that you choose.

    `probe` takes inputs that are stored with each layer's outputs for them, in any of these
    formats: every load with ferrnn computes the outputs again, and raises `FileError` with the
    layer's name if they differ by more than 256 ulp of the largest one. Keras opens such files
    like any other.

    If writing is interrupted, `filepath` still holds the previous file; a folder may hold some
    files of each.

    Raises:
        ValueError: An unknown extension, or options that the format does not have.
        FileExistsError: The file exists, and `overwrite` is False.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.GRU(3)])
    >>> save_model(model, "model.safetensors")
    >>> ferrnn.load_model("model.safetensors").count_params() == model.count_params()
    True
    """
    path = Path(filepath)
    if "save_format" in older:
        raise ValueError(
            "The `save_format` argument is deprecated in Keras 3: remove it, and pass a file path "
            f"that ends in `.keras`. Received: save_format={older['save_format']!r}"
        )
    if older:
        raise ValueError(
            f"The following argument(s) are not supported by `save_model`: {sorted(older)}"
        )
    if path.suffix in (".h5", ".hdf5"):
        if streams or zipped:
            raise ValueError(
                f"`streams` and `zipped` cannot be used for HDF5 files, received {path}"
            )
        files.check_free(path, overwrite)
        h5_writing.write_model(
            model,
            path,
            include_optimizer=include_optimizer,
            keras=3 if keras is None else keras,
            probe=None if probe is None else probe_file(model, probe),
        )
        return
    if keras is not None:
        raise ValueError(f"`keras` is only for `.h5` files, received {keras!r} for {path}")
    if path.suffix != ".safetensors":
        if streams:
            raise ValueError(
                f"`streams` can only be stored in `.safetensors` files, received filepath={path}"
            )
        more = {} if probe is None else {PROBE_FILE: probe_file(model, probe)}
        files.save_model(model, path, overwrite, zipped, include_optimizer, more)
        return
    if zipped is not None:
        raise ValueError(
            f"`zipped` is only for `.keras` files, received zipped={zipped!r} for {path}"
        )
    files.check_free(path, overwrite)
    native_file.write_model(
        model,
        path,
        include_optimizer=include_optimizer,
        streams=_checked(streams),
        probe=probe,
    )


def _checked(streams: Any) -> Mapping[str, Stream]:
    """The streams by name, after checking them."""
    if streams is None:
        return {}
    named = isinstance(streams, Mapping) and all(isinstance(name, str) for name in streams)
    if not named or not all(isinstance(each, Stream) for each in streams.values()):
        raise TypeError(f"`streams` must be a dict of streams by name, received {streams!r}")
    bad = [name for name in streams if not name or "/" in name]
    if bad:
        raise ValueError(f"the names in `streams` must not contain slashes, received {bad[0]!r}")
    return dict(streams)
