"""What the scripts of this folder share: where the files go, and how their numbers are kept."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from making import Cases, Random

Array = NDArray[Any]
DATA = Path(__file__).parent / "data"

__all__ = ["DATA", "Array", "Random", "Recorder"]


class Recorder:
    """Collects the cases of one script, and writes them to `data/<maker>.npz`."""

    def __init__(self, maker: str, **versions: str) -> None:
        self.maker = maker
        self.versions = versions
        self.cases = Cases()

    def path(self, file: str) -> Path:
        """Where the file of this name goes."""
        path = DATA / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(
        self,
        name: str,
        file: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        about: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps a case: its inputs and outputs in order, and further arrays by name."""
        if not self.path(file).exists():
            raise ValueError(f"{name}: {file} was not written")
        kept = {f"input_{i}": np.asarray(array) for i, array in enumerate(inputs)}
        kept |= {f"output_{i}": np.asarray(array) for i, array in enumerate(outputs)}
        for i, output in enumerate(outputs):
            array = np.asarray(output)
            if array.dtype.kind == "f" and array.size > 1 and array.min() == array.max():
                raise ValueError(f"{name}: output {i} is one number throughout")
        kept |= {key: np.asarray(array) for key, array in (arrays or {}).items()}
        self.cases.add(name, {"file": file, **(about or {})}, kept)

    def refused(self, name: str, file: str, reason: str, **about: Any) -> None:
        """Keeps a case that a reader must refuse, and why."""
        self.cases.add(name, {"file": file, "refused": reason, **about}, {})

    def pack(self) -> None:
        """Moves the files into `data/<maker>.zip`: HDF5 is mostly zeros."""
        folder = DATA / self.maker
        with zipfile.ZipFile(DATA / f"{self.maker}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(DATA))
        shutil.rmtree(folder)

    def write(self) -> None:
        """Writes all cases."""
        self.cases.write(self.path(f"{self.maker}.npz"), self.versions)
        files = sorted({about["file"] for about in self.cases.table.values()})
        size = sum(self.path(file).stat().st_size for file in files if self.path(file).is_file())
        size += self.path(f"{self.maker}.npz").stat().st_size
        print(f"{self.maker}: {len(self.cases.table)} cases, {len(files)} files, {size} bytes")
