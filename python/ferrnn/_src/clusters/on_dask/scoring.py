"""The outputs of one model for all partitions of a collection."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np

from ferrnn._src.clusters.scoring import outputs_of_one, scores_of, scores_of_frame, stacked
from ferrnn._src.clusters.shipping import Shipped, read_model, shipped
from ferrnn._src.models.rows import names_of_outputs, shape_of_row
from ferrnn._src.training.samples import checked_count


def predict(
    model: Any,
    collection: Any,
    *,
    batch_size: int = 256,
    columns: Sequence[Any] | None = None,
) -> Any:
    """The outputs of a model for each sample of a Dask collection, as a collection of its kind.

    Nothing is computed yet. The model is sent as it is now and opened once by each worker process,
    which needs no access to its file. Results are bitwise those of `model.predict`.

    Args:
        model: A built model of one input and one output, or the path of a saved one.
        collection: An array `[samples, ...]`, which gives an array; a bag of samples of equal
            shape, which gives a bag of arrays; or a dataframe with a sample in each row, which
            gives a dataframe with the same index and the columns `output_0`, `output_1` and so on.
        batch_size: How many samples the model takes at a time.
        columns: The columns of a dataframe to read, in order; all if None. For a model of sequences
            they are read as `[time, features]`, features of the first step first.

    Raises:
        TypeError: If `model` or `collection` is of another kind.
        ValueError: If the model does not fit the samples.

    >>> import ferrnn as keras
    >>> import dask.array
    >>> from ferrnn.dask import predict
    >>> model = keras.Sequential([keras.Input((5, 1)), keras.layers.GRU(2)])
    >>> predict(model, dask.array.zeros((100, 5, 1), chunks=(30, 5, 1)))
    dask.array<concatenate, shape=(100, 2), dtype=float32, chunksize=(30, 2), chunktype=numpy.ndarray>
    """  # noqa: E501 - as Dask prints it
    model, size = read_model(model), checked_count(batch_size, "batch_size")
    if columns is not None and not isinstance(collection, dd.DataFrame):
        raise ValueError(
            f"`columns` can only be given for a dataframe, received a {type(collection).__name__}"
        )
    if isinstance(collection, da.Array):
        return _of_array(model, collection, size)
    if isinstance(collection, db.Bag):
        sent = dask.delayed(shipped(model, "predict"))
        return collection.map_partitions(_score_list, sent, size)
    if isinstance(collection, dd.DataFrame):
        return _of_frame(model, collection, size, columns)
    raise TypeError(
        f"`collection` must be a Dask array, bag or dataframe, received {type(collection).__name__}"
    )


def _of_array(model: Any, array: Any, size: int) -> Any:
    if any(math.isnan(extent) for extent in array.shape[1:]):
        raise ValueError(
            "`collection` must be an array with known lengths of all axes but the first, received "
            f"the shape {array.shape}"
        )
    one = outputs_of_one(model, array.shape[1:], array.dtype)
    whole = array.rechunk(dict.fromkeys(range(1, array.ndim), -1))
    sent = dask.delayed(shipped(model, "predict"))
    score = dask.delayed(scores_of, pure=True)
    parts = [
        da.from_delayed(score(block, sent, size), (length, *one.shape[1:]), one.dtype)
        for block, length in zip(whole.to_delayed().ravel(), whole.chunks[0], strict=True)
    ]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def _of_frame(model: Any, frame: Any, size: int, columns: Sequence[Any] | None) -> Any:
    names = list(frame.columns if columns is None else columns)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"`columns` must be columns of the dataframe, received {missing}; it has "
            f"{list(frame.columns)}"
        )
    shape = shape_of_row(model, len(names))
    one = outputs_of_one(model, shape, np.dtype(np.float32))
    empty = frame._meta[[]].assign(
        **{name: np.empty(0, one.dtype) for name in names_of_outputs(one[0].size)}
    )
    sent = dask.delayed(shipped(model, "predict"))
    return frame.map_partitions(scores_of_frame, sent, size, names, meta=empty)


def _score_list(samples: Iterable[Any], sent: Shipped, size: int) -> list[Any]:
    given = list(samples)
    return list(scores_of(stacked(given, "collection"), sent, size)) if given else []
