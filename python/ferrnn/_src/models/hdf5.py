"""Arrays in HDF5 files: written with checksums, and read only from the file itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ferrnn._src.tree.types import Array

_CHECKSUM = "crc32"
# HDF5's numbers of the supported filters: deflate, shuffle, fletcher32.
_DEFLATE, _FILTERS = 1, frozenset({1, 2, 3})
# The bytes by which a chunk of a resizable array may be larger than its contents.
_CHUNK = 2**20


def _h5py() -> Any:
    try:
        import h5py  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "files of weights need h5py, which the extra `files` installs: pip install "
            "'ferrnn[files]'"
        ) from error
    return h5py


@contextmanager
def opened(source: BinaryIO) -> Iterator[Any]:
    """An HDF5 file to read."""
    h5py = _h5py()
    guarded = _Guarded(source)
    try:
        try:
            file = h5py.File(guarded, "r")
        except OSError as error:
            raise ValueError(f"it must be an HDF5 file: {error}") from error
        with file:
            yield file
    finally:
        guarded.tell_failure()


@contextmanager
def written(target: BinaryIO) -> Iterator[Any]:
    """A new HDF5 file in a file that is opened `w+b`."""
    h5py = _h5py()
    guarded = _Guarded(target)
    try:
        with h5py.File(guarded, "w") as file:
            yield file
    finally:
        guarded.tell_failure()


class _Guarded:
    """A file for HDF5, which gives no reasons and cannot be closed after a failed write.

    After the first failure nothing is read or written, and HDF5 is not told.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._failure: BaseException | None = None
        self._file = file

    def tell_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _attempt(self, step: Callable[[], Any], instead: Any) -> Any:
        if self._failure is None:
            try:
                return step()
            except BaseException as error:  # noqa: BLE001 - raised after HDF5 has closed the file
                self._failure = error
        return instead

    def seek(self, place: int, origin: int = 0) -> Any:
        return self._attempt(lambda: self._file.seek(place, origin), place)

    def tell(self) -> Any:
        return self._attempt(self._file.tell, 0)

    def read(self, size: int) -> Any:
        return self._attempt(lambda: self._file.read(size), bytes(size))

    def readinto(self, buffer: memoryview) -> Any:
        return self._attempt(
            lambda: self._file.readinto(buffer),  # type: ignore[attr-defined]
            len(buffer),
        )

    def write(self, content: memoryview) -> Any:
        return self._attempt(lambda: self._file.write(content), len(content))

    def truncate(self, size: int) -> Any:
        return self._attempt(lambda: self._file.truncate(size), size)

    def flush(self) -> Any:
        return self._attempt(self._file.flush, None)


def group_at(file: Any, path: str) -> Any:
    """The group at a path inside the file, or None. Links to other places are refused."""
    h5py = _h5py()
    group = file
    for name in path.split("/"):
        link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(  # noqa: TRY004 - the file is at fault
                f"{path!r} must be in the file itself, received a link to another place, a "
                f"{type(link).__name__}"
            )
        group = group[name]
        if not isinstance(group, h5py.Group):
            return None
    return group


def write_array(group: Any, name: str, value: Array) -> None:
    """Writes an array, and its checksum as an attribute, which Keras ignores."""
    dataset = group.create_dataset(name, data=value)
    dataset.attrs.create(_CHECKSUM, _checksum(group, name, value), dtype=np.uint32)


def dataset_at(group: Any, name: str, what: str) -> Any:
    """An array of the file that has not been read yet, with its shape and dtype."""
    h5py = _h5py()
    link = group.get(name, getlink=True)
    dataset = group[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"the file must hold an array for {what}, not a group or a link")
    if dataset.shape is None or dataset.dtype.itemsize > 16:
        raise ValueError(f"the file must hold numbers for {what}")
    return dataset


def read_array(group: Any, name: str, dataset: Any) -> Array:
    """Reads a dataset from `dataset_at`, and verifies its checksum if it has one."""
    _check_chunks(dataset)
    value = np.asarray(dataset[()])
    expected = dataset.attrs.get(_CHECKSUM)
    if expected is not None and expected != _checksum(group, name, value):
        raise ValueError(f"the array {name!r} is damaged: its checksum does not match")
    return value


def _checksum(group: Any, name: str, value: Array) -> int:
    """The checksum of an array's numbers, dtype, shape and path."""
    plain = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    head = f"{group.name}/{name} {plain.dtype.str} {value.shape}"
    return zlib.crc32(plain.reshape(-1).view(np.uint8).data, zlib.crc32(head.encode()))


def _check_chunks(dataset: Any) -> None:
    """Raises ValueError for chunks that take much more memory than the array."""
    if dataset.chunks is None:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if size > dataset.nbytes + _CHUNK:
        raise ValueError(f"an array of {dataset.nbytes} bytes must not have chunks of {size} bytes")
    made = dataset.id.get_create_plist()
    filters = [made.get_filter(at)[0] for at in range(made.get_nfilters())]
    if not _FILTERS.issuperset(filters) or filters.count(_DEFLATE) > 1:
        raise ValueError(
            f"an array must be stored plainly or with deflate, received the filters {filters}"
        )
    if _DEFLATE not in filters:
        return
    skipped = 1 << filters.index(_DEFLATE)
    for at in range(dataset.id.get_num_chunks()):
        place = dataset.id.get_chunk_info(at).chunk_offset
        mask, content = dataset.id.read_direct_chunk(place)
        if mask & skipped:
            continue
        inflating = zlib.decompressobj()
        inflating.decompress(content, size + 1)
        if inflating.unconsumed_tail:
            raise ValueError(f"a chunk must not expand to more than its {size} bytes")
