"""What the scripts that make golden files share: the file format and random numbers that
compress."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Cases:
    """A table of cases, each a JSON description and named arrays."""

    def __init__(self) -> None:
        self.table: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, Array] = {}

    def add(self, name: str, description: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Adds one case; every array is checked to be finite and not all one number."""
        if name in self.table:
            raise ValueError(f"two cases are called {name!r}")
        self.table[name] = dict(description)
        for key, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.kind == "f":
                if not np.all(np.isfinite(array)) or np.abs(array).max() > 1e4:
                    raise ValueError(f"{name}/{key} is not tame: {array}")
                if not np.any(array):
                    raise ValueError(f"{name}/{key} is all zero and proves nothing")
            self.arrays[f"{name}/{key}"] = array

    def write(self, path: Path, versions: Mapping[str, str]) -> None:
        """Writes one flat array for each dtype, and where in it each array lies.

        (One member for each array, as `np.savez` has it, would be headers for the most part.)
        """
        flat: dict[str, list[Array]] = {}
        index: dict[str, tuple[str, int, tuple[int, ...]]] = {}
        for key, array in self.arrays.items():
            parts = flat.setdefault(array.dtype.name, [])
            index[key] = (array.dtype.name, sum(part.size for part in parts), array.shape)
            parts.append(array.ravel())
        table = {"versions": versions, "cases": self.table, "arrays": index}
        members = {dtype: np.concatenate(parts) for dtype, parts in flat.items()}
        text = np.frombuffer(json.dumps(table).encode(), np.uint8)
        np.savez_compressed(path, allow_pickle=False, table=text, **members)


class Random:
    """Random numbers for one case, seeded by its name, rounded to multiples of 1/256."""

    def __init__(self, name: str) -> None:
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *shape: int, scale: float = 1.0, dtype: str = "float64") -> Array:
        """Normal numbers away from zero (so that none is a kink), of the given scale."""
        values = np.round(self.rng.normal(size=shape) * scale * 256.0)
        away: Array = np.where(values == 0, 1.0, values) / 256.0
        return away.astype(dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Array:
        """Uniform numbers strictly between `low` and `high`."""
        return np.round(self.rng.uniform(low * 256 + 1, high * 256 - 1, size=shape)) / 256.0

    def right_padded(self, batch: int, time: int) -> NDArray[np.bool_]:
        """A mask whose rows are real for a random length, full and short ones among them."""
        lengths = self.rng.integers(1, time + 1, size=batch)
        lengths[0] = time
        if batch > 1:
            lengths[1] = max(1, time // 2)
        return np.arange(time) < lengths[:, None]

    def holes(self, batch: int, time: int) -> NDArray[np.bool_]:
        """A mask with holes anywhere: leading and trailing ones, and one row masked altogether."""
        mask = self.rng.random((batch, time)) < 0.6
        mask[0, 0] = False
        mask[0, -1] = True
        if batch > 1:
            mask[1, 0], mask[1, -1] = True, False
        if batch > 2:
            mask[2] = False
        return mask
