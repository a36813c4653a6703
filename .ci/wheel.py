"""Checks a built wheel: one file for all of CPython 3.10 and newer, small, with licences.

With `--pack` it compresses the wheel anew before, as far as deflate goes, which needs `zopfli`.
"""

import argparse
import io
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

# So that growth is noticed; most of it is the engine, compiled for three instruction sets.
LARGEST = 3_400_000
WANTED = [
    "ferrnn/__init__.py",
    "ferrnn/_core.pyi",
    "ferrnn/py.typed",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "THIRD-PARTY-LICENSES.txt",
]


class Zopfli:
    """A compressor as `zipfile` takes one."""

    def __init__(self) -> None:
        self._given = io.BytesIO()

    def compress(self, data: bytes) -> bytes:
        """Takes more data."""
        self._given.write(data)
        return b""

    def flush(self) -> bytes:
        """All of it, compressed: a stream of zlib without its head and its sum."""
        compress = import_module("zopfli.zlib").compress
        made: bytes = compress(self._given.getvalue(), numiterations=5)
        return made[2:-4]


def pack(wheel: Path) -> None:
    """Compresses the files of a wheel anew; their names, order and dates stay."""
    packed = wheel.with_suffix(".packed")
    module: Any = zipfile  # which has no public way to bring a compressor
    module._get_compressor = lambda *kind: Zopfli()
    with zipfile.ZipFile(wheel) as given, zipfile.ZipFile(packed, "w") as made:
        for entry in given.infolist():
            made.writestr(entry, given.read(entry), zipfile.ZIP_DEFLATED)
    packed.replace(wheel)
    with zipfile.ZipFile(wheel) as made:
        broken = made.testzip()
    if broken is not None:
        raise SystemExit(f"{broken} was not compressed well")


def main() -> None:
    """Names what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", action="store_true", help="compress the wheel anew")
    parser.add_argument("wheel", type=Path)
    asked = parser.parse_args()
    wheel = asked.wheel
    if asked.pack:
        pack(wheel)
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size:,} bytes")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        unpacked = sum(entry.file_size for entry in archive.infolist())
    print(f"{len(names)} files, {unpacked:,} bytes unpacked")
    missing = [wanted for wanted in WANTED if not any(name.endswith(wanted) for name in names)]
    if missing:
        raise SystemExit(f"the wheel lacks {missing}")
    if "-cp310-abi3-" not in wheel.name:
        raise SystemExit(f"{wheel.name} is not an abi3 wheel of CPython 3.10")
    if size > LARGEST:
        raise SystemExit(f"{size:,} bytes are more than {LARGEST:,}")


if __name__ == "__main__":
    main()
