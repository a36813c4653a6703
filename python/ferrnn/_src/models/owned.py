"""Arrays and files that users' classes store in their own way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferrnn._src.faces import later
from ferrnn._src.layer.layer import Layer
from ferrnn._src.tree.types import Array

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = later("tempfile")


def stores_itself(owner: Any) -> bool:
    """Whether a layer overrides how its arrays are stored in a file or loaded from it."""
    kind = type(owner)
    return isinstance(owner, Layer) and (
        kind.save_own_variables is not Layer.save_own_variables
        or kind.load_own_variables is not Layer.load_own_variables
    )


def own_arrays(owner: Layer) -> dict[str, Array]:
    """The arrays of a layer that stores itself."""
    store: dict[str, Any] = {}
    owner.save_own_variables(store)
    arrays = {str(name): np.asarray(value) for name, value in store.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or "/" in name or not name:
            raise ValueError(
                f"`save_own_variables` of layer {owner.name!r} must store numbers under names "
                f"without `/`, received {name!r} of the dtype {array.dtype}"
            )
    return arrays


def asset_files(owner: Layer) -> dict[str, bytes]:
    """The files of a layer by name: its texts, or what its `save_assets` writes."""
    if type(owner).save_assets is Layer.save_assets:
        return {name: text.encode() for name, text in owner.text_assets().items()}
    with tempfile.TemporaryDirectory() as folder:
        owner.save_assets(folder)
        found = sorted(Path(folder).iterdir())
        deeper = [each.name for each in found if not each.is_file()]
        if deeper:
            raise ValueError(
                f"`save_assets` of layer {owner.name!r} must write files into the given folder, "
                f"not into subfolders, received {deeper}"
            )
        return {each.name: each.read_bytes() for each in found}


def loads_assets(owner: Layer) -> bool:
    """Whether a layer overrides how its files are loaded."""
    return type(owner).load_assets is not Layer.load_assets


def give_files(owner: Layer, files: Mapping[str, bytes]) -> None:
    """Lets a layer read its files, whose names must not lead out of their folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if Path(name).name != name or name in (".", ".."):
                raise ValueError(f"{name!r} of layer {owner.name!r} must be a plain file name")
            Path(folder, name).write_bytes(content)
        owner.load_assets(folder)
