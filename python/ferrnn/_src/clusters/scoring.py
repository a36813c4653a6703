"""The outputs of one model for the samples of a partition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ferrnn._src.clusters.shipping import Shipped
from ferrnn._src.models.rows import score_frame
from ferrnn._src.tree.types import Array


def outputs_of_one(model: Any, shape: Iterable[int], dtype: Any) -> Array:
    """The outputs for one sample of zeros, for the shape and dtype of all outputs.

    Raises:
        ValueError: If the model has several outputs.
    """
    one = model.predict_on_batch(np.zeros((1, *map(int, shape)), dtype))
    if not isinstance(one, np.ndarray):
        raise ValueError(  # noqa: TRY004 - the model is of the right type
            f"`model` must have one output, received {model.name!r}, which returns a "
            f"{type(one).__name__}"
        )
    return one


def scores_of(samples: Any, sent: Shipped, size: int) -> Any:
    """The outputs for an array `[samples, ...]`."""
    model, lock = sent.opened()
    with lock:
        return model.predict(np.asarray(samples), batch_size=size, verbose=0)


def scores_of_frame(frame: Any, sent: Shipped, size: int, names: list[Any]) -> Any:
    """The outputs for the rows of a frame, as a frame."""
    model, lock = sent.opened()
    with lock:
        return score_frame(model, frame, names, size)


def stacked(samples: Iterable[Any], name: str) -> Array:
    """Samples of one shape as one array; `name` is the argument they came in.

    Raises:
        ValueError: If shapes differ.
    """
    arrays = [np.asarray(sample) for sample in samples]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"`{name}` must have samples of one shape, received {shapes[:5]} in a partition"
        )
    return np.stack(arrays)
