"""Reads files in the format of `torch.save` before PyTorch 1.6.

They are a sequence of pickles: a magic number, a version, the sizes of the machine's numbers, the
object, and the keys of its storages; then for each key the count of its elements in 8 bytes, and
the elements. The object is read twice, as its storages come after it.
"""

from __future__ import annotations

from typing import Any

from ferrnn._src.interop.torch.pickles import PickleError, read_pickle_at
from ferrnn._src.interop.torch.tensors import Storage, Tensors, dtype_of, storage_of


def read_legacy_file(data: bytes, start: int) -> Any:
    """The object of a file whose magic number ends at `start`.

    Raises:
        PickleError: The file is damaged, or calls anything but the functions that make tensors.
    """
    version, at = read_pickle_at(data, start, {}, _refused)
    if version != 1001:
        raise PickleError(f"version {version!r} of PyTorch's old files is not supported")
    machine, at = read_pickle_at(data, at, {}, _refused)
    if isinstance(machine, dict) and machine.get("little_endian", True) is not True:
        raise PickleError("its numbers are big-endian, which is not supported")
    told: dict[str, tuple[Any, int]] = {}
    functions = Tensors(len(data)).functions()
    hollow = {name: _nothing if "rebuild" in name else made for name, made in functions.items()}
    _, end = read_pickle_at(data, at, hollow, lambda identity: _noted(told, identity))
    keys, place = read_pickle_at(data, end, {}, _refused)
    storages: dict[str, Storage] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in told or key in storages:
            raise PickleError(f"storage {key!r} does not belong to the object")
        storages[key], place = _storage(data, place, key, *told[key])
    if set(storages) != set(told):
        raise PickleError(f"the storages {sorted(set(told) - set(storages))} are missing")
    made, _ = read_pickle_at(data, at, functions, lambda identity: _found(storages, identity))
    return made


def _found(storages: dict[str, Storage], identity: Any) -> Any:
    return identity[1] if identity[0] == "module" else storages[identity[2]]


def _noted(told: dict[str, tuple[Any, int]], identity: Any) -> Any:
    """Records the type and the count of elements in a persistent id.

    For a module pickled as a whole, it is the class, with the text of its code.
    """
    if isinstance(identity, tuple) and len(identity) == 4 and identity[0] == "module":
        return identity[1]
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise PickleError(f"a persistent id {identity!r} is not a storage")
    _, kind, key, _, count = identity[:5]
    if not isinstance(key, str) or type(count) is not int:
        raise PickleError(f"a persistent id {identity!r} is not a storage")
    if len(identity) == 6 and identity[5] is not None:
        raise PickleError(f"storage {key!r} is a view of another, which is not supported")
    dtype_of(kind, key)
    told[key] = kind, count
    return None


def _storage(data: bytes, place: int, key: str, kind: Any, count: int) -> tuple[Storage, int]:
    """The storage at a place of the file, and where it ends."""
    size = int.from_bytes(data[place : place + 8], "little", signed=True)
    begin = place + 8
    if size != count or begin > len(data):
        raise PickleError(f"storage {key!r} must have {count} elements, received {size}")
    end = begin + max(count, 0) * dtype_of(kind, key)[0].itemsize
    return storage_of(kind, key, count, memoryview(data)[begin:end]), end


def _refused(identity: Any) -> Any:
    raise PickleError("unexpected storage")


def _nothing(*_: Any) -> None:
    return None
