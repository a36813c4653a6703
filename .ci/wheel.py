"""Checks a built wheel: one file for all of CPython 3.10 and newer, small, with licences."""

import sys
import zipfile
from pathlib import Path

# So that growth is noticed; most of it is the engine, compiled for three instruction sets.
LARGEST = 3_000_000
WANTED = [
    "ferrnn/__init__.py",
    "ferrnn/_core.pyi",
    "ferrnn/py.typed",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "THIRD-PARTY-LICENSES.txt",
]


def main() -> None:
    """Names what is wrong."""
    wheel = Path(sys.argv[1])
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
