"""The model files that other frameworks wrote, and what these computed with them."""

import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import golden

DATA = Path(__file__).parent / "data"
MAKERS = tuple(sorted(path.stem for path in DATA.glob("*.npz")))


def names(maker: str) -> list[str]:
    """The names of all cases that the script for this maker recorded."""
    return golden.names(f"../interop/data/{maker}")


def load(maker: str, name: str) -> golden.Case:
    """One case: `path(about["file"])` is its file; `input_0`..., `output_0`... are its arrays."""
    return golden.load(f"../interop/data/{maker}", name)


def path(file: str) -> Path:
    """Where the file or folder of this name is: in `data/`, or unpacked from a zip there."""
    maker = file.split("/", maxsplit=1)[0]
    if (DATA / f"{maker}.zip").exists():
        return Path(_unpacked(maker).name, file)
    return DATA / file


@cache
def _unpacked(maker: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with zipfile.ZipFile(DATA / f"{maker}.zip") as packed:
        packed.extractall(folder.name)
    return folder


def expect_close(actual: Any, wanted: Any, tolerance: float = 2e-6) -> None:
    """Both are alike, up to a part of the largest number that is wanted."""
    actual, wanted = np.asarray(actual, "float64"), np.asarray(wanted, "float64")
    assert actual.shape == wanted.shape
    if wanted.size:
        scale = max(float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)), 1e-30)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance * scale)
