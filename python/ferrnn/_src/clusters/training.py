"""One model trained by all workers, with the same bits for any number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.clusters.gradients import Part, part_of, summed
from ferrnn._src.clusters.shipping import read_model, shipped
from ferrnn._src.clusters.workers import Shards, Workers
from ferrnn._src.training.callback_list import hooks_of
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.samples import checked_count
from ferrnn._src.training.steps import Steps
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

# The number of gradients that one task sums, in a fixed order, to send fewer bytes to the caller.
_FAN = 8


def train(
    workers: Workers,
    model: Any,
    given: Mapping[str, Any],
    cut: Callable[[Any, int, str], Shards],
    *,
    batch_size: int,
    shard_size: int,
    epochs: int,
    shuffle: bool,
    seed: int,
    callbacks: Iterable[Any] | None,
    validation_data: Any,
    verbose: str | int,
) -> History:
    """Trains `model` by gradients that workers compute for shards of the samples.

    In a step, each of `batch_size / shard_size` shards gives the gradients of its mean loss; they
    are summed in the order of the shards, weighted by their sizes; and the model's optimizer makes
    one update in this process, whose weights go to the workers with the next step. The weights are
    bitwise the same for any number of workers, whichever of them computes a shard, on machines
    with one instruction set.

    Args:
        workers: The cluster.
        model: As for the `fit` of each kind of cluster, as are the other arguments.
        given: `x`, `y` and `sample_weight`.
        cut: Splits one of these into shards of a given size; takes its name for errors.
        batch_size: Samples of one update.
        shard_size: Samples of one task.
        epochs: Passes over the samples.
        shuffle: Whether each epoch visits the shards in another order.
        seed: The seed of that order.
        callbacks: They run in this process.
        validation_data: Evaluated in this process.
        verbose: As in `model.fit`.
    """
    model = read_model(model)
    _check_model(model)
    size = checked_count(shard_size, "shard_size")
    if checked_count(batch_size, "batch_size") % size:
        raise ValueError(
            f"`batch_size` must be a multiple of `shard_size` = {size}, received {batch_size}"
        )
    epochs = checked_count(epochs, "epochs", least=0)
    if given["y"] is None:
        raise ValueError("`y` must be an array of targets, received None")
    arrays = {name: cut(value, size, name) for name, value in given.items() if value is not None}
    for name, array in arrays.items():
        if array.samples != arrays["x"].samples:
            raise ValueError(
                f"`{name}` must have as many samples as `x`: {arrays['x'].samples}, "
                f"received {array.samples}"
            )
    run = _Run(model, workers, arrays, batch_size // size)
    history = History()
    hooks = hooks_of(
        model,
        callbacks,
        history,
        verbose=verbose,
        epochs=epochs,
        steps=-(-run.count // run.together),
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
    """Shards held by workers, and training steps over them."""

    def __init__(
        self, model: Any, workers: Workers, arrays: Mapping[str, Shards], together: int
    ) -> None:
        self.model, self.workers, self.together = model, workers, together
        self.sizes = arrays["x"].sizes
        self.count = len(self.sizes)
        self.first = np.zeros((1, *arrays["x"].shape), arrays["x"].dtype)
        model._prepare_training(self.first)
        self._shards = {name: array.handles for name, array in arrays.items()}
        self._sent = workers.hold(shipped(model, "fit"))

    def epoch(self, order: Array, hooks: Any) -> float:
        """Trains on all shards in this order; returns the mean loss."""
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
        """One update by the chosen shards; returns their loss."""
        model, workers, optimizer = self.model, self.workers, self.model.optimizer
        trained = model.trainable_weights
        weights = workers.hold([weight.numpy() for weight in trained])
        first = int(optimizer.iterations) * self.together
        level = []
        for place, shard in enumerate(chosen, first):
            x, y, weight = (
                self._shards[name][shard] if name in self._shards else None
                for name in ("x", "y", "sample_weight")
            )
            share = self.sizes[shard] / samples
            level.append(workers.submit(part_of, self._sent, weights, x, y, weight, share, place))
        while len(level) > 1:
            level = [
                workers.submit(summed, *level[at : at + _FAN]) for at in range(0, len(level), _FAN)
            ]
        part: Part = workers.result(level[0])
        grads = Gradients()
        for parameter, gradient in zip(trained, part.gradients, strict=True):
            grads.add(parameter, gradient)
        factor = getattr(optimizer, "loss_scale_factor", None)
        optimizer.apply(grads if factor is None else grads.times(factor), trained)
        return part.loss


def _check_model(model: Any) -> None:
    if not model.compiled or model.optimizer is None:
        raise ValueError("`model` must be compiled with a loss and an optimizer")
    if type(model).train_step is not Steps.train_step:
        raise ValueError(
            "`model` must not have a custom `train_step`, which updates weights itself"
        )
    stateful = [layer.name for layer in model.layers if getattr(layer, "stateful", False)]
    if stateful:
        raise ValueError(
            f"`model` must not be stateful, received the stateful layer {stateful[0]!r}: shards "
            "have no order"
        )
