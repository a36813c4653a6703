"""Dataframes whose rows are samples of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ferrnn._src.tree.types import Array


def shape_of_row(model: Any, count: int) -> tuple[int, ...]:
    """The shape of one sample for a model whose sample is one row.

    Raises:
        ValueError: If the model has several inputs, or `count` columns do not fill its input.
    """
    given = getattr(model, "input_shape", None)
    if not isinstance(given, tuple):
        raise ValueError(  # noqa: TRY004 - the model is of the right type
            f"`model` must have one input, received {model.name!r}"
        )
    known = [extent for extent in given[1:] if extent is not None]
    open_axes = len(given) - 1 - len(known)
    each = math.prod(known)
    if open_axes > 1 or count % each or (not open_axes and count != each):
        raise ValueError(f"`columns` must fill the model's input {given}, received {count} columns")
    return tuple(count // each if extent is None else extent for extent in given[1:])


def names_of_outputs(count: int) -> list[str]:
    """The columns of the outputs of one sample.

    >>> names_of_outputs(2)
    ['output_0', 'output_1']
    """
    return [f"output_{at}" for at in range(count)]


def score_frame(model: Any, frame: Any, names: Sequence[Any], size: int) -> Any:
    """The outputs for the rows of a frame of pandas, as a frame with the same index.

    Args:
        model: A model of one input and one output.
        frame: Numbers in the columns `names`; of sequences `[time, features]`, those of the first
            step first.
        names: These columns, in order.
        size: How many samples the model takes at a time.

    Raises:
        ValueError: If the columns do not fit the model.
    """
    rows = frame[list(names)].to_numpy().reshape(len(frame), *shape_of_row(model, len(names)))
    found: Array = model.predict(rows, batch_size=size, verbose=0)
    scores = found.reshape(len(frame), math.prod(found.shape[1:]))
    outputs = names_of_outputs(scores.shape[1])
    return frame[[]].assign(**{name: scores[:, at] for at, name in enumerate(outputs)})
