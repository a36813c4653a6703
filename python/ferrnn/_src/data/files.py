"""Files of data on this machine: found, verified, unpacked."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import uuid
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ferrnn._src.files.writing import whole_file


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file in `cache_dir/cache_subdir`, copied there from a local `origin`.

    `origin` is a path or a `file:` address; nothing is downloaded. For another address the file
    must be in the cache already (`~/.keras`, or `KERAS_HOME`), where Keras looks too. `file_hash`
    is checked; `extract` unpacks a tar or zip archive and gives the folder.

    >>> _ = Path("series.csv").write_text("1,2,3")
    >>> Path(get_file(origin="series.csv", cache_dir="cache")).as_posix()
    'cache/datasets/series.csv'
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (the path of the file).')
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = _cache(cache_dir) / cache_subdir
    target, extracted = _places(folder, fname, origin, unpack=extract or untar)
    source = _local(origin)
    if source is None and not target.exists():
        raise FileNotFoundError(
            f"ferrnn downloads nothing: download {origin} yourself, and save the file as {target}"
        )
    fits = target.exists() and (file_hash is None or _fits(target, file_hash, hash_algorithm))
    anew = source is not None and (force_download or not fits)
    if anew and source is not None and file_hash is not None:
        fits = _fits(source, file_hash, hash_algorithm)  # checked before the old file is replaced
    if not fits and file_hash is not None:
        raise ValueError(
            "Incomplete or corrupted file detected. The "
            f"{hash_algorithm} file hash of {source if anew else target} does not match the "
            f"provided value of {file_hash}."
        )
    if anew and source is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as content, whole_file(target) as file:
            shutil.copyfileobj(content, file)
    if not (extract or untar):
        return str(target)
    _extract(target, extracted, "tar" if untar else archive_format)
    return str(extracted)


def _cache(given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given).expanduser()
    home = os.environ.get("KERAS_HOME")
    return Path(home) if home else Path.home() / ".keras"


def _local(origin: str) -> Path | None:
    """The local path that `origin` names, or None for another address."""
    parts = urlsplit(origin)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    # A single letter before a colon is a drive.
    return Path(origin) if len(parts.scheme) < 2 else None


def _places(folder: Path, fname: str | None, origin: str, *, unpack: bool) -> tuple[Path, Path]:
    """The path of the file, and the folder to unpack it to."""
    name = fname or Path(urlsplit(origin).path).name
    if not name:
        raise ValueError(
            f"Can't parse the file name from the origin provided: '{origin}'. Please specify the "
            "`fname` argument."
        )
    if os.sep in name:
        raise ValueError(
            "Paths are no longer accepted as the `fname` argument. To specify the file's parent "
            f"directory, use the `cache_dir` argument. Received: fname={fname}"
        )
    if not unpack:
        return folder / name, folder / name
    if fname and "." in fname:
        return folder / name, folder / f"{name.partition('.')[0]}_extracted"
    return folder / f"{name}_archive", folder / name


def _fits(path: Path, expected: str, algorithm: str) -> bool:
    known = {"sha256": hashlib.sha256, "md5": hashlib.md5}
    if algorithm == "auto":
        algorithm = "sha256" if len(expected) == 64 else "md5"
    if algorithm not in known:
        raise ValueError(
            f"`hash_algorithm` must be 'auto', 'md5' or 'sha256', received {algorithm!r}"
        )
    return known[algorithm](path.read_bytes()).hexdigest() == expected


def _extract(path: Path, folder: Path, kind: str | None) -> None:
    """Unpacks to a new folder, which then replaces `folder`."""
    draft = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    old = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        _unpack(path, draft, kind)
        if draft.exists():
            if folder.exists():
                folder.replace(old)
            draft.replace(folder)
    finally:
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)


def _unpack(path: Path, folder: Path, kind: str | None) -> None:
    """Unpacks into `folder`; refuses an archive with members outside it."""
    if kind not in ("auto", "tar", "zip", None):
        raise ValueError(
            f"`archive_format` must be 'auto', 'tar', 'zip' or None, received {kind!r}"
        )
    if kind in ("auto", "tar") and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                _inside(folder, member.name)
                if not (member.isfile() or member.isdir()):
                    raise ValueError(
                        f"the archive {path} must hold only files and folders, received a link or "
                        f"a device: {member.name!r}"
                    )
            # Newer versions of Python check the members too, and require a `filter`.
            options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **options)  # noqa: S202 - the members were looked at above
    elif kind in ("auto", "zip") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                _inside(folder, name)
            archive.extractall(folder)  # noqa: S202 - the members were looked at above
    elif kind is not None:
        raise ValueError(f"{path} must be an archive of the format {kind!r}")


def _inside(folder: Path, name: str) -> None:
    root = folder.resolve()
    if root not in (root / name).resolve().parents and (root / name).resolve() != root:
        raise ValueError(f"the members of an archive must lie inside its folder, received {name!r}")
