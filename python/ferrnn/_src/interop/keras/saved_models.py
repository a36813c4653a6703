"""SavedModels written by Keras 2: the weights and the configuration of the model.

`keras_metadata.pb` holds the configuration of each layer as JSON; the checkpoint in `variables`
holds the weights, and the objects to which they belong. The graph, `saved_model.pb`, is never read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.files.errors import reading, within
from ferrnn._src.files.limits import limited
from ferrnn._src.interop.keras.configs import modern
from ferrnn._src.interop.keras.tensor_bundles import Bundle, Node
from ferrnn._src.interop.keras.training import compile_as_saved
from ferrnn._src.interop.keras.weights import Dialect, converted
from ferrnn._src.interop.protobufs import Message
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version

# The hyperparameters and the slots of an optimizer of Keras before 2.11.
_SCALARS = ("iter", "momentum_cache")
_SLOTS = (
    *("m", "v", "vhat", "rms", "momentum", "mg", "accum_grad", "accum_var", "accumulator"),
    "linear",
)
_METADATA, _GRAPH, _INDEX = "keras_metadata.pb", "saved_model.pb", "variables.index"


def is_saved_model(path: Path) -> bool:
    """Whether a folder is a SavedModel."""
    return path.is_dir() and any(
        (path / name).exists() for name in (_METADATA, _GRAPH, f"variables/{_INDEX}", _INDEX)
    )


def read_model(path: Path, custom_objects: Mapping[str, Any] | None, *, compiles: bool) -> Any:
    """The model of a SavedModel, with its weights, compiled as it was."""
    with reading(path), limited(sum(each.stat().st_size for each in _files(path))):
        root = _root(path)
        version = str(root.get("keras_version", "2"))
        data = root.get("model_config") or {key: root[key] for key in ("class_name", "config")}
        with custom_object_scope(custom_objects):
            with within(_METADATA):
                made: Any = layer_from(modern(_plain(data), version))
                if not hasattr(made, "outputs_and_mask"):
                    raise ValueError(
                        "the configuration must be that of a model, received that of a "
                        f"{type(made).__name__}"
                    )
            folder = path / "variables" if (path / "variables").is_dir() else path
            with within(_INDEX):
                bundle = Bundle(folder / _INDEX)
                objects = bundle.objects()
                _assign(made, [bundle.read(key) for key in _keys(objects, "variables")])
            training = _plain(root.get("training_config"))
            if compiles and training is not None:
                compile_as_saved(made, training, version, _optimizer(bundle, objects))
        return made


def _files(path: Path) -> Iterator[Path]:
    for folder in (path, path / "variables"):
        if folder.is_dir():
            yield from (each for each in folder.iterdir() if each.is_file())


def _root(path: Path) -> dict[str, Any]:
    """The metadata of the model itself."""
    file = path / _METADATA
    if file.is_symlink() or not file.is_file():
        raise ValueError(
            f"the file {_METADATA} is missing: the model was saved before TensorFlow 2.5, or not "
            "by Keras, and is described only by its graph, which is not read. Save it as `.h5` "
            "with Keras 2, or export it to ONNX"
        )
    with within(_METADATA):
        for node in Message(memoryview(file.read_bytes()), "the metadata").messages(1, "an object"):
            if node.text(3) == "root":
                root: dict[str, Any] = json.loads(node.text(5))
                if not isinstance(root, dict) or not {"class_name", "config"} <= set(root):
                    raise ValueError("the metadata of the model has no configuration")
                return root
        raise ValueError("it has no metadata of a model")


def _plain(value: Any) -> Any:
    """Lists for tuples, which JSON lacks; plain names for classes that TensorFlow registers."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__tuple__":
        return [_plain(part) for part in value.get("items", [])]
    made = {key: _plain(part) for key, part in value.items()}
    kind = made.get("class_name")
    if isinstance(kind, str) and kind.startswith("Custom>") and "learning_rate" in str(made):
        made["class_name"] = kind.removeprefix("Custom>")
    return made


def _keys(objects: list[Node], *path: str) -> list[str]:
    """The keys of a numbered list of variables at a path from the root."""
    node = _at(objects, 0)
    for name in path:
        if name not in node.children:
            raise ValueError(f"the checkpoint has no object {'.'.join(path)}")
        node = _at(objects, node.children[name])
    numbered = {int(name): at for name, at in node.children.items() if name.isdecimal()}
    found = [_at(objects, numbered[number]).key for number in sorted(numbered)]
    return [key for key in found if key is not None]


def _at(objects: list[Node], number: int) -> Node:
    if not 0 <= number < len(objects):
        raise ValueError(
            f"the graph of objects refers to object {number}, but has only {len(objects)}"
        )
    return objects[number]


def _assign(model: Any, arrays: list[Array]) -> None:
    """Sets the weights of the layers from the arrays, in order."""
    own = [layer for layer in model.layers if layer.weights]
    counts = [len(layer.weights) for layer in own]
    if sum(counts) != len(arrays):
        raise ValueError(
            f"the file must have as many weights as the layers {[layer.name for layer in own]}, "
            f"{counts}, received {len(arrays)}"
        )
    found = []
    for layer, count in zip(own, counts, strict=True):
        with within(layer.name):
            found += converted(layer, arrays[:count], Dialect(2))
        arrays = arrays[count:]
    with one_version():
        for weight, value in found:
            weight.assign(value)


def _optimizer(bundle: Bundle, objects: list[Node]) -> list[Array] | None:
    """The variables of an optimizer, in the order of `.h5` files, or None."""
    if "optimizer" not in _at(objects, 0).children:
        return None
    optimizer = _at(objects, _at(objects, 0).children["optimizer"])
    if "_variables" in optimizer.children:  # of Keras 2.11 and later
        first = ["optimizer/_iterations", "optimizer/_learning_rate"]
        names = [f"{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in first]
        keys = [*names, *_keys(objects, "optimizer", "_variables")]
    else:
        scalars = [optimizer.children[name] for name in _SCALARS if name in optimizer.children]
        weights = _at(objects, _at(objects, 0).children.get("trainable_variables", 0)).children
        numbered = {int(name): at for name, at in weights.items() if name.isdecimal()}
        kept = {(name, weight): slot for weight, name, slot in optimizer.slots}
        places = [(name, numbered[at]) for name in _SLOTS for at in sorted(numbered)]
        found = [*scalars, *(kept[place] for place in places if place in kept)]
        keys = [key for at in found if (key := _at(objects, at).key) is not None]
    return [bundle.read(key) for key in dict.fromkeys(keys)]
