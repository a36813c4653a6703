"""The `inference_precision` of a model's recurrent cells, by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.files.errors import within
from ferrnn._src.models.weights_file import saved


def precisions(model: Any) -> dict[str, str]:
    """The `inference_precision` of each cell in which it is not "full".

    >>> from ferrnn._src.layers.gru import GRU
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([GRU(3)])
    >>> model.layers[0].inference_precision = "int8"
    >>> precisions(model)
    {'layers/gru/cell': 'int8'}
    """
    found = {path: cell.inference_precision for path, cell in _cells(model)}
    return {path: value for path, value in found.items() if value != "full"}


def set_precisions(model: Any, values: Mapping[str, Any]) -> None:
    """Sets the precisions that `precisions` returned.

    Raises:
        ValueError: A path does not lead to a recurrent cell, or a value is not a precision.
    """
    rest = dict(values)
    for path, cell in _cells(model):
        if path in rest:
            with within(path):
                cell.inference_precision = rest.pop(path)
    if rest:
        raise ValueError(f"there is no recurrent cell at {sorted(rest)[:5]}")


def set_precision(model: Any, value: str) -> None:
    """Sets the same precision for all recurrent cells.

    Raises:
        ValueError: There are no such cells, or the weights of one are not float32.
    """
    cells = [cell for _, cell in _cells(model)]
    if not cells:
        raise ValueError(
            "`precision` is for models with recurrent layers that the engine runs; the model "
            f"{model.name!r} has no such layer"
        )
    for cell in cells:
        cell.inference_precision = value


def in_words(model: Any) -> str | None:
    """The weights of reduced precision, as in "int8 (gru, lstm)", or None."""
    by_value: dict[str, list[str]] = {}
    for path, value in precisions(model).items():
        name = "/".join(part for part in path.split("/") if part not in ("layers", "cell", "cells"))
        by_value.setdefault(value, []).append(name)
    texts = [f"{value} ({', '.join(names)})" for value, names in by_value.items()]
    return ", ".join(texts) or None


def _cells(model: Any) -> Iterator[tuple[str, BuiltInCell]]:
    for path, owner, _ in saved(model, include_optimizer=False):
        if isinstance(owner, BuiltInCell):
            yield path, owner
