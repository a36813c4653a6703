"""Reads a golden file: its cases by name, each a description and its arrays."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
HERE = Path(__file__).parent


class Case:
    """One golden case: `case["inputs"]` is an array, `case.about["layer"]` how it was made."""

    def __init__(self, about: dict[str, Any], arrays: dict[str, Array]) -> None:
        self.about = about
        self.arrays = arrays

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def get(self, name: str) -> Array | None:
        """The array of this name, or None."""
        return self.arrays.get(name)

    def series(self, prefix: str) -> list[Array]:
        """The arrays `<prefix>_0`, `<prefix>_1`, ... in order."""
        found: list[Array] = []
        while f"{prefix}_{len(found)}" in self.arrays:
            found.append(self.arrays[f"{prefix}_{len(found)}"])
        return found


@cache
def _read(file: str) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Array]]]:
    with np.load(HERE / f"{file}.npz", allow_pickle=False) as stored:
        table = json.loads(stored["table"].tobytes())
        numbers = {dtype: stored[dtype] for dtype in stored.files if dtype != "table"}
    arrays: dict[str, dict[str, Array]] = {name: {} for name in table["cases"]}
    for key, (dtype, start, shape) in table["arrays"].items():
        case, _, name = key.partition("/")
        array = numbers[dtype][start : start + math.prod(shape)].reshape(shape)
        array.flags.writeable = False
        arrays[case][name] = array
    return table["cases"], arrays


def names(file: str) -> list[str]:
    """The names of all cases in `<file>.npz`."""
    return list(_read(file)[0])


def load(file: str, name: str) -> Case:
    """One case of `<file>.npz`; its arrays are read-only."""
    table, arrays = _read(file)
    return Case(table[name], arrays[name])
