"""The outputs of one model for all rows of a Ray dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import ray.data

from ferrnn._src.clusters.scoring import outputs_of_one, scores_of, stacked
from ferrnn._src.clusters.shipping import Shipped, read_model, shipped
from ferrnn._src.models.rows import shape_of_row
from ferrnn._src.training.samples import checked_count
from ferrnn._src.tree.types import Array


def predict(
    model: Any,
    dataset: Any,
    *,
    columns: str | Sequence[str] = "data",
    output: str = "output",
    batch_size: int = 256,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> Any:
    """The rows of a Ray Dataset with the outputs of a model as one more column.

    Nothing is computed yet. The model is sent as it is now and opened once by each worker process,
    which needs no access to its file. The outputs are bitwise those of `model.predict`. Ray may
    reorder the rows; their other columns tell which is which.

    Args:
        model: A built model of one input and one output, or the path of a saved one.
        dataset: A `ray.data.Dataset` with a sample in each row.
        columns: The column of samples that are arrays; or several columns of numbers, which make a
            sample together. For a model of sequences these are read as `[time, features]`,
            features of the first step first.
        output: The name of the new column.
        batch_size: How many samples the model takes at a time.
        ray_remote_args: Options of Ray's tasks, such as `num_cpus`.

    Raises:
        TypeError: If `model` or `dataset` is of another kind.
        ValueError: If the model does not fit the samples, or columns are missing.

    >>> import ferrnn as keras
    >>> import ray.data
    >>> from ferrnn.ray import predict
    >>> model = keras.Sequential([keras.Input((5, 1)), keras.layers.GRU(2)])
    >>> rows = ray.data.from_numpy(np.zeros((100, 5, 1)))  # doctest: +SKIP
    >>> predict(model, rows).take(1)[0]["output"].shape  # doctest: +SKIP
    (2,)
    """
    model, size = read_model(model), checked_count(batch_size, "batch_size")
    if not isinstance(dataset, ray.data.Dataset):
        raise TypeError(f"`dataset` must be a Ray Dataset, received {type(dataset).__name__}")
    schema = dataset.schema(fetch_if_missing=False)
    names = None if schema is None else schema.names
    wanted = [columns] if isinstance(columns, str) else list(columns)
    check_columns(names, wanted, "columns")
    if names is not None and output in names:
        raise ValueError(
            f"`output` must name a new column, received {output!r}, which the dataset already has"
        )
    shape = None
    if not isinstance(columns, str):
        shape = shape_of_row(model, len(wanted))
        outputs_of_one(model, shape, np.float32)
    return dataset.map_batches(
        _score_batch,
        batch_size=size,
        batch_format="numpy",
        fn_args=(shipped(model, "predict"), size, wanted, shape, output),
        **(ray_remote_args or {}),
    )


def check_columns(names: Sequence[str] | None, wanted: Sequence[str], argument: str) -> None:
    """Raises ValueError for columns that are not among `names`, if these are known.

    >>> check_columns(["a"], ["b"], "columns")
    Traceback (most recent call last):
    ValueError: `columns` must name columns of the dataset, received 'b'; it has ['a']
    """
    for name in wanted:
        if names is not None and name not in names:
            raise ValueError(
                f"`{argument}` must name columns of the dataset, received {name!r}; it has "
                f"{list(names)}"
            )


def _score_batch(
    batch: dict[str, Array],
    sent: Shipped,
    size: int,
    wanted: list[str],
    shape: tuple[int, ...] | None,
    output: str,
) -> dict[str, Array]:
    if shape is None:
        samples = batch[wanted[0]]
        if samples.dtype == object:
            samples = stacked(samples, "dataset")
    else:
        table = np.stack([batch[name] for name in wanted], axis=1)
        samples = table.reshape(len(table), *shape)
    scores = scores_of(samples, sent, size)
    if not isinstance(scores, np.ndarray):
        raise ValueError(  # noqa: TRY004 - the model is of the right type
            f"`model` must have one output, received one that returns a {type(scores).__name__}"
        )
    return {**batch, output: scores}
