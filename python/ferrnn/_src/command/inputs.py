"""Inputs for models whose file is all that is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ferrnn._src.interop.onnx.files import Value
from ferrnn._src.interop.onnx.model import OnnxModel
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.tree.types import Array

_STEPS = 32  # where a model leaves the number of steps open
_SAME = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def read_inputs(path: Path) -> Any:
    """The array of a `.npy` file, or those of a `.npz` file by their names.

    Raises:
        ValueError: It is neither, or holds something else than numbers.
    """
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            made = dict(found) if isinstance(found, Mapping) else found
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"`--inputs` must be a .npy or .npz file of numbers, received {path}"
        ) from error
    return made


def random_inputs(model: Any, batch: int = 2) -> Any:
    """Inputs that a model takes: ids for an Embedding, else normal numbers; always the same."""
    rng = np.random.default_rng(1)
    if isinstance(model, OnnxModel):
        return _of_graph(model, batch, rng)
    made = [_random(model, tensor, batch, rng) for tensor in model.inputs]
    return made[0] if len(made) == 1 else made


@contextmanager
def own_inputs(model: OnnxModel, *, chosen: bool) -> Iterator[None]:
    """Says how inputs are chosen, where random ones do not do."""
    try:
        yield
    except ValueError as error:
        if chosen:
            raise
        names = ", ".join(f"{each.name} {each.shape}" for each in model.inputs)
        raise ValueError(
            f"random inputs do not do: {error}. Give yours by `--inputs x.npz`: {names}"
        ) from error


def _random(model: Any, tensor: Any, batch: int, rng: np.random.Generator) -> Array:
    first, *rest = tensor.shape
    shape = [first or batch, *(size or _STEPS for size in rest)]
    for step in model._graph.steps:
        if type(step.layer) is Embedding and step.node.inputs is tensor:
            return rng.integers(1, step.layer.input_dim, size=shape)
    return rng.normal(size=shape).astype("float64" if tensor.dtype == "float64" else "float32")


def _of_graph(model: OnnxModel, batch: int, rng: np.random.Generator) -> dict[str, Array]:
    """By name; dimensions of one name have one size, and the first of all is the batch."""
    sizes: dict[int | str | None, int] = {}
    made: dict[str, Array] = {}
    for value in model.inputs:
        shape = []
        for at, size in enumerate(value.shape or ()):
            if isinstance(size, int) and size > 0:
                shape.append(size)
            elif isinstance(size, str) and ("batch" in size.lower() or not sizes):
                shape.append(sizes.setdefault(size, batch))
            elif isinstance(size, str):
                shape.append(sizes.setdefault(size, _STEPS))
            else:
                shape.append(_STEPS if at else batch)
        made[value.name] = _numbers(model, value, shape, rng)
    return made


def _numbers(model: OnnxModel, value: Value, shape: list[int], rng: np.random.Generator) -> Array:
    dtype = np.dtype("f4") if value.dtype is None else value.dtype
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    rows = _rows(model, value.name)
    if rows is not None:
        return rng.integers(0, rows, size=shape).astype(dtype)
    return np.ones(shape, dtype)  # lengths, rates and masks are rather ones than any other number


def _rows(model: OnnxModel, name: str) -> int | None:
    """How many rows the table has in which an input's numbers are looked up."""
    names = {name}
    for step in model.plan.steps:
        node = step.node
        if node.operator in _SAME and node.inputs[0] in names:
            names.update(node.outputs)
        table = model.plan.constants.get(node.inputs[0]) if node.inputs else None
        if node.operator == "Gather" and node.inputs[1] in names and table is not None:
            return int(table.shape[node.attributes.get("axis", 0)])
    return None
