"""One model trained by the workers of Dask."""

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
    are summed by the shards' sizes, in the order of the shards; and the model's optimizer makes one
    update here, whose weights go to the workers with the next step. Neither the number of
    workers nor which of them does what changes a bit, on machines with one set of instructions. A
    shard whose worker is lost is computed again by another.

    Args:
        model: A built and compiled model, which is trained in place.
        x: Inputs, a Dask or NumPy array `[samples, ...]`.
        y: Targets, as `x`, with as many samples.
        sample_weight: Weights `[samples]` of the loss, as `x`.
        batch_size: Samples of one update, a multiple of `shard_size`.
        shard_size: Samples of one task. With that of the batch, training is what `model.fit` of
            `shuffle=False` does, to the bit.
        epochs: Passes over the samples.
        shuffle: Whether shards come in another order in each epoch. Samples keep their shard.
        seed: Of that order.
        callbacks: They run here, as in `model.fit`; logs have the loss.
        validation_data: `(x, y)` in memory, evaluated here after each epoch.
        verbose: As in `model.fit`.
        client: A `distributed.Client`; the one in use if None.

    Returns:
        The history of losses, as of `model.fit`.

    Raises:
        TypeError: If an argument is of another kind than described.
        ValueError: If sizes do not fit, or the model is not compiled, is stateful or has a
            `train_step` of its own.
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
                f"`{name}` must be a Dask or NumPy array, received {type(value).__name__}; a "
                "dataframe has `to_dask_array(lengths=True)`"
            )
        value = da.from_array(one_array(value, name))
    if value.ndim == 0 or np.isnan(value.shape).any():
        raise ValueError(
            f"`{name}` must have a known number of samples, received the shape {value.shape}; "
            "`compute_chunk_sizes()` finds it"
        )
    if not len(value):
        raise ValueError(f"`{name}` must have samples, received the shape {value.shape}")
    return value.rechunk({0: size, **dict.fromkeys(range(1, value.ndim), -1)})
