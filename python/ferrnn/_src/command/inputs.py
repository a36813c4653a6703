"""Inputs for models of which only the file is known."""

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

_STEPS = 32  # if a model leaves the number of steps open
_SAME = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def read_inputs(path: Path) -> Any:
    """The array of a `.npy` file, or those of a `.npz` file by their names.

    Raises:
        ValueError: It is neither, or holds anything but numbers.
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
    """Inputs for a model: ids for an Embedding, else normally distributed; always the same."""
    rng = np.random.default_rng(1)
    if isinstance(model, OnnxModel):
        return _of_graph(model, batch, rng)
    made = [_random(model, tensor, batch, rng) for tensor in model.inputs]
    return made[0] if len(made) == 1 else made


@contextmanager
def own_inputs(model: OnnxModel, *, chosen: bool) -> Iterator[None]:
    """A block whose errors with random inputs explain how to pass others."""
    try:
        yield
    except ValueError as error:
        if chosen:
            raise
        names = ", ".join(f"{each.name} {each.shape}" for each in model.inputs)
        raise ValueError(
            f"the model does not take random inputs: {error}. Pass inputs with `--inputs x.npz`: "
            f"{names}"
        ) from error


def _random(model: Any, tensor: Any, batch: int, rng: np.random.Generator) -> Array:
    first, *rest = tensor.shape
    shape = [first or batch, *(size or _STEPS for size in rest)]
    for step in model._graph.steps:
        if type(step.layer) is Embedding and step.node.inputs is tensor:
            return rng.integers(1, step.layer.input_dim, size=shape)
    return rng.normal(size=shape).astype("float64" if tensor.dtype == "float64" else "float32")


def _of_graph(model: OnnxModel, batch: int, rng: np.random.Generator) -> dict[str, Array]:
    """Inputs by name; dimensions of one name have one size, and the first is the batch."""
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
    # For lengths, rates and masks, ones are more likely to be valid than other numbers.
    return np.ones(shape, dtype)


def _rows(model: OnnxModel, name: str) -> int | None:
    """The number of rows of the table in which an input's numbers are looked up."""
    names = {name}
    for step in model.plan.steps:
        node = step.node
        if node.operator in _SAME and node.inputs[0] in names:
            names.update(node.outputs)
        table = model.plan.constants.get(node.inputs[0]) if node.inputs else None
        if node.operator == "Gather" and node.inputs[1] in names and table is not None:
            return int(table.shape[node.attributes.get("axis", 0)])
    return None
