"""Weights in HDF5 in Keras 3's layout, with a group for each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from ferrnn._src.configs.names import snake_case
from ferrnn._src.configs.notices import warn
from ferrnn._src.files.errors import within
from ferrnn._src.files.limits import spend
from ferrnn._src.layer.layer import Layer
from ferrnn._src.models.aliases import elsewhere, other_places
from ferrnn._src.models.hdf5 import (
    dataset_at,
    group_at,
    opened,
    read_array,
    write_array,
    written,
)
from ferrnn._src.models.owned import own_arrays, stores_itself
from ferrnn._src.tree.tree import CONTAINERS, leaves_once
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter

# A path in the file, the layer or optimizer at that path, and its own variables.
Entry: TypeAlias = tuple[str, Any, list[Parameter]]

# The name of a list, tuple or dict inside another one.
_CONTAINER = "container"
# Marks files that hold the optimizer's variables.
_OPTIMIZER = "has_optimizer"


class _MisfitError(ValueError):
    """The file is intact, but that of another model."""


def write_weights(
    model: Any,
    target: BinaryIO,
    *,
    include_optimizer: bool = True,
    skip: Sequence[Any] = (),
) -> None:
    """Writes the weights of a model and the variables of its optimizer to a file opened `w+b`."""
    with written(target) as file:
        file.attrs[_OPTIMIZER] = include_optimizer and bool(getattr(model, "compiled", False))
        for path, owner, variables in saved(model, include_optimizer=include_optimizer, skip=skip):
            group = file.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = owner.name
            if stores_itself(owner):
                for name, array in own_arrays(owner).items():
                    write_array(group, name, array)
                continue
            for place, variable in enumerate(variables):
                write_array(group, str(place), _as_written(variable, owner))
            for name, array in _arrays_of(owner).items():
                write_array(group, name, array)


def read_weights(
    model: Any, source: BinaryIO, *, skip_mismatch: bool = False, skip: Sequence[Any] = ()
) -> None:
    """Reads weights into a model of the same layers; nothing changes if one does not fit.

    With `skip_mismatch`, layers that do not fit are skipped with a warning.
    """
    found: list[tuple[Parameter, Array]] = []
    named: list[tuple[Callable[[Any], None], dict[str, Array]]] = []
    absent: set[str] = set()
    with opened(source) as file:
        for path, owner, variables in saved(model, skip=skip):
            place = f"{path}/vars" if path else "vars"
            with within(place):
                group = _group_of(file, model, path, place)
                if owner is getattr(model, "optimizer", None) and path == "optimizer":
                    if group is None and file.attrs.get(_OPTIMIZER):
                        raise ValueError("the variables of the optimizer are missing")
                    found += _optimizer_values(group, owner, variables)
                    continue
                if _in_lost_container(file, path, absent):
                    continue
                try:
                    if stores_itself(owner):
                        named.append((owner.load_own_variables, _stored(group, owner)))
                        continue
                    extra = _named(group, owner)
                    found += _values(group, owner, path, variables, len(extra))
                    named += [(owner.set_named_arrays, extra)] if extra else []
                except _MisfitError as error:
                    if not skip_mismatch:
                        raise
                    warn(f"Layer {owner.name!r} is skipped: {error}")
    with one_version():
        for variable, value in found:
            variable.assign(value)
        for take, arrays in named:
            take(arrays)


def _group_of(file: Any, model: Any, path: str, place: str) -> Any:
    """The group of a layer, or that under the name of a property that returns it, or None.

    Keras 2 called the projections of attention `_query_dense`, and so on.
    """
    group = group_at(file, place)
    if group is not None or not path:
        return group
    names = elsewhere(path, other_places(saved(model, include_optimizer=False)))
    before, slash, last = path.rpartition("/")
    older = f"{before}{slash}_{last}"
    groups = (group_at(file, f"{name}/vars") for name in (*names, older))
    return next((group for group in groups if group is not None), None)


def _in_lost_container(file: Any, path: str, absent: set[str]) -> bool:
    """Whether a layer is in a nested list that the file does not have.

    Earlier versions did not save such layers: they are skipped with a warning.
    """
    steps = path.split("/")
    inner = [at for at, step in enumerate(steps) if step.startswith(_CONTAINER)]
    outer = "/".join(steps[: inner[0] + 1]) if inner else ""
    if not outer or group_at(file, outer) is not None:
        return False
    if outer not in absent:
        absent.add(outer)
        warn(
            f"The file holds nothing for the layers in the nested container {outer!r}, which "
            "earlier versions did not save: they are skipped."
        )
    return True


def _stored(group: Any, owner: Layer) -> dict[str, Array]:
    """All arrays in the file for a layer that stores itself."""
    found = {}
    for name in group or ():
        dataset = _in_full(group, name, owner)
        if dataset.dtype.kind not in "fiub":
            raise ValueError(
                f"{name!r} of {owner.name!r} must be numbers, received the dtype {dataset.dtype}"
            )
        found[name] = read_array(group, name, dataset)
    return found


def _in_full(group: Any, name: str, owner: Any) -> Any:
    """An array that the file holds in full, so that it cannot claim an arbitrary size."""
    dataset = dataset_at(group, name, f"{name!r} of {owner.name!r}")
    stored = dataset.id.get_storage_size()
    if stored < dataset.nbytes:
        raise ValueError(
            f"{name!r} of {owner.name!r} must be stored in full, received the shape "
            f"{tuple(dataset.shape)} and dtype {dataset.dtype} in {stored} bytes"
        )
    spend(dataset.shape, dataset.dtype.itemsize, f"{name!r} of {owner.name!r}")
    return dataset


def _as_written(variable: Parameter, owner: Any) -> Array:
    value = variable.numpy()
    if isinstance(owner, Layer) or value.ndim:
        return value
    # Keras' optimizers count steps in int32, and store the learning rate in float32.
    return value.astype(np.int32 if value.dtype.kind in "iu" else np.float32)


def saved(
    model: Any, *, include_optimizer: bool = True, skip: Sequence[Any] = ()
) -> Iterator[Entry]:
    """The path of each layer in the file, the layer, and its own variables, in Keras' order.

    Layers to `skip`, and those inside them, are left out.
    """
    seen = {id(each) for each in skip}
    yield from _walk(model, "", seen)
    optimizer = getattr(model, "optimizer", None)
    if include_optimizer and optimizer is not None and getattr(model, "compiled", False):
        yield "optimizer", optimizer, list(optimizer.variables)


def _walk(owner: Layer, path: str, seen: set[int]) -> Iterator[Entry]:
    if id(owner) in seen:
        return
    seen.add(id(owner))
    yield path, owner, owner._stored_parameters()
    for name, held in _children(owner):
        inner = f"{path}/{name}" if path else name
        if isinstance(held, Layer):
            yield from _walk(held, inner, seen)
        else:
            yield from _walk_all(held, inner, seen)


def _children(owner: Layer) -> Iterator[tuple[str, Any]]:
    """The layers that a layer holds, by attribute names, with private attributes last."""
    if getattr(owner, "_graph", None) is not None or hasattr(owner, "add"):
        yield "layers", owner.layers  # type: ignore[attr-defined]
    held = {name: value for name, value in vars(owner).items() if _holds_layers(value)}
    for name in sorted(held, key=lambda name: f"~{name}" if name.startswith("_") else name):
        if name not in _INTERNAL:
            yield name, held[name]


_INTERNAL = frozenset({"_layers", "_chain", "_inbound_nodes"})


def _holds_layers(value: Any) -> bool:
    if not isinstance(value, CONTAINERS):
        return isinstance(value, Layer)
    return any(isinstance(leaf, Layer) for leaf in leaves_once(value))


def _walk_all(container: Any, path: str, seen: set[int]) -> Iterator[Entry]:
    """The layers of a list or dict, under the numbered names of their classes."""
    if id(container) in seen:  # it may contain itself
        return
    seen.add(id(container))
    counts: dict[str, int] = {}
    parts = list(container.values()) if isinstance(container, Mapping) else list(container)
    for part in parts:
        inner = isinstance(part, CONTAINERS)
        if not inner and not isinstance(part, Layer):
            continue
        name = _CONTAINER if inner else snake_case(type(part).__name__)
        count = counts.get(name, 0)
        counts[name] = count + 1
        walk = _walk_all if inner else _walk
        yield from walk(part, f"{path}/{name}_{count}" if count else f"{path}/{name}", seen)


def _values(
    group: Any, owner: Any, path: str, variables: list[Parameter], others: int = 0
) -> list[tuple[Parameter, Array]]:
    count = 0 if group is None else len(group) - others
    if count != len(variables):
        built = "" if getattr(owner, "built", True) or variables else " (it was never built)"
        raise _MisfitError(
            f"Layer {owner.name!r}{built} expected {len(variables)} variables, but received "
            f"{count} variables during loading, at {path!r} of the file. Expected: "
            f"{[variable.name for variable in variables]}"
        )
    return [
        (variable, _read(group, str(place), variable, owner))
        for place, variable in enumerate(variables)
    ]


def _arrays_of(owner: Any) -> dict[str, Array]:
    return owner.named_arrays() if isinstance(owner, Layer) else {}


def _named(group: Any, owner: Any) -> dict[str, Array]:
    """The named arrays beside the weights, for a layer that has some."""
    takes = isinstance(owner, Layer) and type(owner).set_named_arrays is not Layer.set_named_arrays
    found: dict[str, Array] = {}
    for name in group or () if takes else ():
        if name.isdigit():
            continue
        dataset = _in_full(group, name, owner)
        if dataset.dtype.kind != "f" or dataset.ndim != 1:
            raise ValueError(
                f"{name!r} of {owner.name!r} must be a one-dimensional array of numbers, stored in "
                f"full, received the shape {tuple(dataset.shape)} and dtype {dataset.dtype}"
            )
        found[name] = read_array(group, name, dataset)
    return found


def _read(group: Any, name: str, variable: Parameter, owner: Any) -> Array:
    dataset = dataset_at(group, name, f"the weight {variable.path!r} of {owner.name!r}")
    if tuple(dataset.shape) != variable.shape or dataset.dtype.kind not in "fiub":
        raise _MisfitError(
            f"the weight {variable.path!r} of {owner.name!r} must have the shape {variable.shape}, "
            f"received the shape {tuple(dataset.shape)} and dtype {dataset.dtype} in the file: "
            "they must match"
        )
    value = read_array(group, name, dataset)
    # The configuration has the exact learning rate, while this one is rounded.
    known = variable.numpy()
    same = not variable.shape and _as_written(variable, owner) == value
    return known if same else value


def _optimizer_values(
    group: Any, optimizer: Any, variables: list[Parameter]
) -> list[tuple[Parameter, Array]]:
    if group is None:
        return []
    if len(group) <= 2 < len(variables):  # it was saved before it was built
        variables = variables[: len(group)]
    # Keras 2 stores the learning rate only in the configuration.
    if len(group) == len(variables) - 1:
        variables = [each for each in variables if not each.path.endswith("/learning_rate")]
    if len(group) != len(variables):
        warn(
            f"Skipping variable loading for optimizer {optimizer.name!r}, because it has "
            f"{len(variables)} variables whereas the saved optimizer has {len(group)} variables."
        )
        return []
    found = _values(group, optimizer, "optimizer", variables)
    for variable, value in found:
        optimizer.check_variable(variable, value)
    return found
