"""What classes of users keep in files in ways of their own: arrays by any names, and files."""

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
    """Whether a layer says itself what arrays a file keeps of it, or how they are taken back."""
    kind = type(owner)
    return isinstance(owner, Layer) and (
        kind.save_own_variables is not Layer.save_own_variables
        or kind.load_own_variables is not Layer.load_own_variables
    )


def own_arrays(owner: Layer) -> dict[str, Array]:
    """What a layer that stores itself puts into the file."""
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
    """The files that a layer keeps, by their names: its texts, or what `save_assets` writes."""
    if type(owner).save_assets is Layer.save_assets:
        return {name: text.encode() for name, text in owner.text_assets().items()}
    with tempfile.TemporaryDirectory() as folder:
        owner.save_assets(folder)
        found = sorted(Path(folder).iterdir())
        deeper = [each.name for each in found if not each.is_file()]
        if deeper:
            raise ValueError(
                f"`save_assets` of layer {owner.name!r} must write files into the folder that it "
                f"is given, received the folders {deeper}"
            )
        return {each.name: each.read_bytes() for each in found}


def loads_assets(owner: Layer) -> bool:
    """Whether a layer reads its files itself."""
    return type(owner).load_assets is not Layer.load_assets


def give_files(owner: Layer, files: Mapping[str, bytes]) -> None:
    """Lets a layer read files, by their names, which must not lead out of their folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if Path(name).name != name or name in (".", ".."):
                raise ValueError(f"{name!r} of layer {owner.name!r} is not a file name")
            Path(folder, name).write_bytes(content)
        owner.load_assets(folder)
