"""Weights in several HDF5 files of limited size, with a JSON file that maps weights to files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ferrnn._src.files.errors import within
from ferrnn._src.files.limits import limited, spend
from ferrnn._src.files.writing import write_files
from ferrnn._src.models.hdf5 import (
    dataset_at,
    group_at,
    opened,
    read_array,
    write_array,
    written,
)
from ferrnn._src.tree.types import Array

SUFFIX = ".weights.json"
_GIGABYTE = 1024**3


def write_shards(whole: io.BytesIO, path: Path, max_shard_size: float) -> None:
    """Splits a file of weights into files of at most `max_shard_size` gigabytes beside `path`.

    All files are written before the first replaces an old one; a process that is killed while
    replacing may leave some old and some new ones.
    """
    limit = float(max_shard_size) * _GIGABYTE
    shards: list[list[tuple[str, str, Array]]] = [[]]
    where: dict[str, list[str]] = {}
    size = total = 0
    with opened(whole) as file:
        attributes = dict(file.attrs)
        for group in _groups(file):
            for name in group:
                array = read_array(group, name, group[name])
                if array.nbytes > limit:
                    raise ValueError(
                        "`max_shard_size` must be at least the size of each weight, received "
                        f"{max_shard_size} GB for {array.nbytes} bytes of the weight "
                        f"{group.name}/{name}"
                    )
                if size + array.nbytes > limit:
                    shards.append([])
                    size = 0
                size, total = size + array.nbytes, total + array.nbytes
                shards[-1].append((group.name, name, array))
                names = where.setdefault(group.name, [])
                if _name(path, len(shards) - 1) not in names:
                    names.append(_name(path, len(shards) - 1))
    index = {"metadata": {"total_size": total}, "weight_map": where}
    contents: dict[Any, Any] = {
        path.with_name(_name(path, at)): _packed(shard, attributes)
        for at, shard in enumerate(shards)
    }
    write_files({**contents, path: json.dumps(index, indent=4)})


def _name(path: Path, at: int) -> str:
    return f"{path.name.removesuffix(SUFFIX)}_{at:05}.weights.h5"


def _packed(shard: list[tuple[str, str, Array]], attributes: Mapping[str, Any]) -> bytes:
    target = io.BytesIO()
    with written(target) as file:
        for key, value in attributes.items():
            file.attrs[key] = value
        for folder, name, array in shard:
            write_array(file.require_group(folder), name, array)
    return target.getvalue()


def _groups(group: Any) -> Iterator[Any]:
    """The groups that hold arrays of variables, at any depth."""
    for name in group:
        inner = group_at(group, name)
        if inner is not None and name == "vars":
            yield inner
        elif inner is not None:
            yield from _groups(inner)


def read_shards(path: Path) -> io.BytesIO:
    """The files that the JSON file at `path` names, as one file of weights."""
    with within(path.name):
        index = json.loads(path.read_text(encoding="utf-8"))
        where = index.get("weight_map") if isinstance(index, Mapping) else None
        if not isinstance(where, Mapping):
            raise ValueError("it must have a `weight_map` of weights to files")  # noqa: TRY004
    places = [
        (str(place).strip("/"), name)
        for place, given in where.items()
        for name in (given if isinstance(given, list) else [given])
    ]
    names = dict.fromkeys(name for _, name in places)
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"`weight_map` must name files beside {path.name}, received {name!r}")
    size = sum(path.with_name(name).stat().st_size for name in names)
    whole = io.BytesIO()
    with limited(size), ExitStack() as stack, written(whole) as target:
        files: dict[str, Any] = {}
        for name in names:
            source = stack.enter_context(path.with_name(name).open("rb"))
            files[name] = stack.enter_context(opened(source))
            target.attrs.update(files[name].attrs)
        for place, name in places:
            with within(name):
                _copy(files[name], place, target)
    whole.seek(0)
    return whole


def _copy(file: Any, place: str, target: Any) -> None:
    group = group_at(file, place)
    if group is None:
        raise ValueError(f"{place!r} is missing, which `weight_map` places in this file")
    for name in group:
        dataset = dataset_at(group, name, f"{place}/{name}")
        if dataset.id.get_storage_size() < dataset.nbytes:
            raise ValueError(f"{place}/{name} must be stored in full")
        spend(dataset.shape, dataset.dtype.itemsize, f"{place}/{name}")
        write_array(target.require_group(place), name, read_array(group, name, dataset))
