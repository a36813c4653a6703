"""One model trained by all workers, to the same bits however many they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dask
import dask.array as da
import numpy as np

from ferrnn._src.clusters.gradients import Part, part_of, summed
from ferrnn._src.clusters.shipping import read_client, read_model, shipped
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.samples import as_samples, checked_count
from ferrnn._src.training.steps import Steps
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

# How many gradients one task sums: fewer bytes reach the client, in an order that is fixed.
_FAN = 8


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
    model, client = read_model(model), read_client(client)
    _check_model(model)
    size = checked_count(shard_size, "shard_size")
    if checked_count(batch_size, "batch_size") % size:
        raise ValueError(
            f"`batch_size` must be a multiple of `shard_size` = {size}, received {batch_size}"
        )
    epochs = checked_count(epochs, "epochs", least=0)
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {
        name: _in_shards(value, size, name) for name, value in given.items() if value is not None
    }
    if "y" not in arrays:
        raise ValueError("`y` must be an array of targets, received None")
    for name, array in arrays.items():
        if len(array) != len(arrays["x"]):
            raise ValueError(
                f"`{name}` must have as many samples as `x`: {len(arrays['x'])}, "
                f"received {len(array)}"
            )
    run = _Run(model, client, arrays, batch_size // size)
    history = History()
    hooks = model._hooks(
        callbacks, history, verbose=verbose, epochs=epochs, steps=-(-run.count // run.together)
    )
    model.stop_training = False
    hooks.tell("on_train_begin", {})
    logs: dict[str, Any] = {}
    for epoch in range(epochs):
        hooks.tell("on_epoch_begin", epoch, {})
        order = np.arange(run.count)
        if shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(run.count)
        logs = {"loss": run.epoch(order, hooks)}
        if validation_data is not None:
            found = model.evaluate(*validation_data, verbose=0, return_dict=True)
            logs.update({f"val_{name}": value for name, value in found.items()})
            model._prepare_training(run.first)
        hooks.tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    if epochs:
        model.finish_training()
    hooks.tell("on_train_end", logs)
    return history


class _Run:
    """Shards that workers hold, and steps over them."""

    def __init__(self, model: Any, client: Any, arrays: dict[str, Any], together: int) -> None:
        self.model, self.client, self.together = model, client, together
        self.sizes: tuple[int, ...] = arrays["x"].chunks[0]
        self.count = len(self.sizes)
        self.first = np.zeros((1, *arrays["x"].shape[1:]), arrays["x"].dtype)
        model._prepare_training(self.first)
        blocks = {name: list(array.to_delayed().ravel()) for name, array in arrays.items()}
        self._shards = {name: client.compute(parts) for name, parts in blocks.items()}
        self._sent = client.submit(_itself, shipped(model, "fit"), pure=False)

    def epoch(self, order: Array, hooks: Any) -> float:
        """Trains on all shards in this order; gives the mean loss."""
        loss = 0.0
        for step, at in enumerate(range(0, self.count, self.together)):
            hooks.tell("on_train_batch_begin", step, {})
            chosen = [int(shard) for shard in order[at : at + self.together]]
            samples = sum(self.sizes[shard] for shard in chosen)
            found = self._step(chosen, samples)
            loss += found * samples
            hooks.tell("on_train_batch_end", step, {"loss": found})
            if self.model.stop_training:
                break
        return loss / sum(self.sizes)

    def _step(self, chosen: list[int], samples: int) -> float:
        """One update by the shards chosen; gives their loss."""
        model, client, optimizer = self.model, self.client, self.model.optimizer
        trained = model.trainable_weights
        # A task, not scattered data: what is lost with a worker is made again.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            values = [weight.numpy() for weight in trained]
            weights = client.submit(_itself, values, pure=False)
        first = int(optimizer.iterations) * self.together
        level = []
        for place, shard in enumerate(chosen, first):
            x, y, weight = (
                self._shards[name][shard] if name in self._shards else None
                for name in ("x", "y", "sample_weight")
            )
            share = self.sizes[shard] / samples
            level.append(
                client.submit(part_of, self._sent, weights, x, y, weight, share, place, pure=False)
            )
        while len(level) > 1:
            level = [
                client.submit(summed, *level[at : at + _FAN], pure=False)
                for at in range(0, len(level), _FAN)
            ]
        part: Part = level[0].result()
        grads = Gradients()
        for parameter, gradient in zip(trained, part.gradients, strict=True):
            grads.add(parameter, gradient)
        factor = getattr(optimizer, "loss_scale_factor", None)
        optimizer.apply(grads if factor is None else grads.times(factor), trained)
        return part.loss


def _itself(value: Any) -> Any:
    return value


def _check_model(model: Any) -> None:
    if not model.compiled or model.optimizer is None:
        raise ValueError("`model` must be compiled with a loss and an optimizer")
    if type(model).train_step is not Steps.train_step:
        raise ValueError(
            "`model` must be trained by its loss: a `train_step` of its own updates weights itself"
        )
    stateful = [layer.name for layer in model.layers if getattr(layer, "stateful", False)]
    if stateful:
        raise ValueError(
            f"`model` must not be stateful, received the stateful layer {stateful[0]!r}: shards "
            "are in no order"
        )


def _in_shards(value: Any, size: int, name: str) -> Any:
    """An array whose blocks are the shards."""
    if not isinstance(value, da.Array):
        if hasattr(value, "dask"):
            raise TypeError(
                f"`{name}` must be a Dask or NumPy array, received {type(value).__name__}; a "
                "dataframe has `to_dask_array(lengths=True)`"
            )
        value = as_samples(value, name)
        if not isinstance(value, np.ndarray):
            raise TypeError(f"`{name}` must be one array, received {type(value).__name__}")
        value = da.from_array(value)
    if value.ndim == 0 or np.isnan(value.shape).any():
        raise ValueError(
            f"`{name}` must have a known number of samples, received the shape {value.shape}; "
            "`compute_chunk_sizes()` finds it"
        )
    if not len(value):
        raise ValueError(f"`{name}` must have samples, received the shape {value.shape}")
    return value.rechunk({0: size, **dict.fromkeys(range(1, value.ndim), -1)})
