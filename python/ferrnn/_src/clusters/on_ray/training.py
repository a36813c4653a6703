"""One model trained by Ray's workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import ray.data

from ferrnn._src.clusters.on_ray.scoring import check_columns
from ferrnn._src.clusters.on_ray.workers import RayWorkers
from ferrnn._src.clusters.training import train
from ferrnn._src.clusters.workers import Shards, one_array
from ferrnn._src.training.callbacks import History
from ferrnn._src.tree.types import Array


def fit(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    inputs: str = "data",
    batch_size: int = 1024,
    shard_size: int = 256,
    epochs: int = 1,
    shuffle: bool = True,
    seed: int = 0,
    callbacks: Iterable[Any] | None = None,
    validation_data: Any = None,
    verbose: str | int = 0,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> History:
    """Trains `model` by gradients that workers compute for shards of the samples.

    In a step, each of `batch_size / shard_size` shards gives the gradients of its mean loss; they
    are summed in the order of the shards, weighted by their sizes; and the model's optimizer makes
    one update in this process, whose weights go to the workers with the next step. The weights are
    bitwise the same for any number of workers, whichever of them computes a shard, on machines
    with one instruction set. If a
    worker is lost, another one computes its shard again.

    Args:
        model: A built and compiled model, which is trained in place.
        x: Inputs, an array `[samples, ...]`; or a `ray.data.Dataset`, whose rows are kept in the
            cluster's object store and never come to this process.
        y: Targets, given like `x`, with as many samples; for a dataset, the name of their column.
        sample_weight: Weights `[samples]` of the loss, given like `y`.
        inputs: The column of the inputs, if `x` is a dataset.
        batch_size: Samples of one update, a multiple of `shard_size`.
        shard_size: Samples of one task. If it equals `batch_size`, training is bitwise that of
            `model.fit` with `shuffle=False`.
        epochs: Passes over the samples.
        shuffle: Whether each epoch visits the shards in another order. Samples keep their shard.
        seed: The seed of that order.
        callbacks: They run in this process, as in `model.fit`; logs contain the loss.
        validation_data: `(x, y)` in memory, evaluated in this process after each epoch.
        verbose: As in `model.fit`.
        ray_remote_args: Options of Ray's tasks, such as `num_cpus`.

    Returns:
        The history of losses, as `model.fit` returns it.

    Raises:
        TypeError: If an argument is of another kind than described.
        ValueError: If sizes do not fit, columns are missing, or the model is not compiled, is
            stateful or has a custom `train_step`.
        NotImplementedError: If training changes weights by other means than gradients.

    >>> import ferrnn as keras
    >>> from ferrnn.ray import fit
    >>> model = keras.Sequential([keras.Input((5, 1)), keras.layers.GRU(2)])
    >>> model.compile("adam", loss="mse")
    >>> x = np.random.default_rng(0).normal(size=(100, 5, 1))
    >>> fit(model, x, x[:, :2, 0], batch_size=64, shard_size=16).params["steps"]  # doctest: +SKIP
    2
    """
    workers = RayWorkers(ray_remote_args)

    def cut(value: Any, size: int, name: str) -> Shards:
        if isinstance(value, _Column):
            return _shards_of_column(workers, value, size, name)
        array = one_array(value, name)
        places = range(0, len(array), size)
        handles = [workers.hold(array[at : at + size]) for at in places]
        sizes = [min(size, len(array) - at) for at in places]
        return Shards(handles, sizes, array.shape[1:], array.dtype)

    return train(
        workers,
        model,
        _given(x, y, sample_weight, inputs),
        cut,
        batch_size=batch_size,
        shard_size=shard_size,
        epochs=epochs,
        shuffle=shuffle,
        seed=seed,
        callbacks=callbacks,
        validation_data=validation_data,
        verbose=verbose,
    )


class _Column(NamedTuple):
    """One column of a dataset."""

    dataset: Any
    name: str


def _given(x: Any, y: Any, sample_weight: Any, inputs: str) -> dict[str, Any]:
    """`x`, `y` and `sample_weight`, as columns if `x` is a dataset."""
    if not isinstance(x, ray.data.Dataset):
        return {"x": x, "y": y, "sample_weight": sample_weight}
    rows = x.materialize()
    named = {"x": inputs, "y": y, "sample_weight": sample_weight}
    for name, column in named.items():
        if column is None:
            continue
        argument = "inputs" if name == "x" else name
        if not isinstance(column, str):
            raise TypeError(
                f"`{argument}` must name a column if `x` is a Ray Dataset, received "
                f"{type(column).__name__}"
            )
        check_columns(rows.schema().names, [column], argument)
    return {
        name: None if column is None else _Column(rows, column) for name, column in named.items()
    }


def _shards_of_column(workers: RayWorkers, column: _Column, size: int, name: str) -> Shards:
    """Shards of `size` from blocks of any size, made where the blocks are."""
    blocks = column.dataset.to_numpy_refs(column=column.name)
    kinds = [workers.result(each) for each in [workers.submit(_kind, block) for block in blocks]]
    full = [(block, kind) for block, kind in zip(blocks, kinds, strict=True) if kind[0]]
    if not full:
        raise ValueError(f"`{name}` must have samples, received a dataset without rows")
    shapes = sorted({kind[1:] for _, kind in full}, key=str)
    if len(shapes) > 1 or shapes[0][1].hasobject:
        raise ValueError(
            f"`{name}` must have samples of one shape and type, received {shapes[:5]} in the "
            f"column {column.name!r}"
        )
    ends = list(accumulate(kind[0] for _, kind in full))
    spans = [(block, end - kind[0], end) for (block, kind), end in zip(full, ends, strict=True)]
    handles, sizes = [], []
    for start in range(0, ends[-1], size):
        stop = min(start + size, ends[-1])
        over = [span for span in spans if span[1] < stop and span[2] > start]
        cuts = [(max(start - begin, 0), min(stop, end) - begin) for _, begin, end in over]
        handles.append(workers.submit(_joined, cuts, *(block for block, *_ in over)))
        sizes.append(stop - start)
    return Shards(handles, sizes, *shapes[0])


def _kind(block: Array) -> tuple[int, tuple[int, ...], Any]:
    """The number of samples in a block, with their shape and type."""
    return len(block), block.shape[1:], block.dtype


def _joined(cuts: list[tuple[int, int]], *blocks: Array) -> Array:
    """Parts of several blocks, concatenated."""
    return np.concatenate(
        [block[start:stop] for (start, stop), block in zip(cuts, blocks, strict=True)]
    )
