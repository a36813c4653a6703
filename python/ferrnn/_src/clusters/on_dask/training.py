"""One model trained by Dask's workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dask.array as da
import numpy as np

from ferrnn._src.clusters.on_dask.workers import DaskWorkers
from ferrnn._src.clusters.training import train
from ferrnn._src.clusters.workers import Shards, one_array
from ferrnn._src.training.callbacks import History


def fit(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    batch_size: int = 1024,
    shard_size: int = 256,
    epochs: int = 1,
    shuffle: bool = True,
    seed: int = 0,
    callbacks: Iterable[Any] | None = None,
    validation_data: Any = None,
    verbose: str | int = 0,
    client: Any = None,
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
        x: Inputs, a Dask or NumPy array `[samples, ...]`.
        y: Targets, given like `x`, with as many samples.
        sample_weight: Weights `[samples]` of the loss, given like `x`.
        batch_size: Samples of one update, a multiple of `shard_size`.
        shard_size: Samples of one task. If it equals `batch_size`, training is bitwise that of
            `model.fit` with `shuffle=False`.
        epochs: Passes over the samples.
        shuffle: Whether each epoch visits the shards in another order. Samples keep their shard.
        seed: The seed of that order.
        callbacks: They run in this process, as in `model.fit`; logs contain the loss.
        validation_data: `(x, y)` in memory, evaluated in this process after each epoch.
        verbose: As in `model.fit`.
        client: A `distributed.Client`; the one in use if None.

    Returns:
        The history of losses, as `model.fit` returns it.

    Raises:
        TypeError: If an argument is of another kind than described.
        ValueError: If sizes do not fit, or the model is not compiled, is stateful or has a
            custom `train_step`.
        NotImplementedError: If training changes weights by other means than gradients.

    >>> import distributed
    >>> import ferrnn as keras
    >>> from ferrnn.dask import fit
    >>> model = keras.Sequential([keras.Input((5, 1)), keras.layers.GRU(2)])
    >>> model.compile("adam", loss="mse")
    >>> x = np.random.default_rng(0).normal(size=(100, 5, 1))
    >>> with distributed.Client(processes=False, dashboard_address=None) as client:
    ...     history = fit(model, x, x[:, :2, 0], batch_size=64, shard_size=16, client=client)
    >>> history.params["steps"]
    2
    """
    workers = DaskWorkers(client)

    def cut(value: Any, size: int, name: str) -> Shards:
        array = _in_shards(value, size, name)
        blocks = workers.client.compute(list(array.to_delayed().ravel()))
        return Shards(blocks, list(array.chunks[0]), array.shape[1:], array.dtype)

    return train(
        workers,
        model,
        {"x": x, "y": y, "sample_weight": sample_weight},
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


def _in_shards(value: Any, size: int, name: str) -> Any:
    """An array whose blocks are the shards."""
    if not isinstance(value, da.Array):
        if hasattr(value, "dask"):
            raise TypeError(
                f"`{name}` must be a Dask or NumPy array, received {type(value).__name__}; convert "
                "a dataframe with `to_dask_array(lengths=True)`"
            )
        value = da.from_array(one_array(value, name))
    if value.ndim == 0 or np.isnan(value.shape).any():
        raise ValueError(
            f"`{name}` must have a known number of samples, received the shape {value.shape}; call "
            "`compute_chunk_sizes()` to find it"
        )
    if not len(value):
        raise ValueError(f"`{name}` must have samples, received the shape {value.shape}")
    return value.rechunk({0: size, **dict.fromkeys(range(1, value.ndim), -1)})
