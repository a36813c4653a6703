"""The gradients of one shard of a batch, and their sum in a fixed order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ferrnn._src.clusters.shipping import Shipped
from ferrnn._src.training.samples import Samples
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.seed_state import SeedState

# More than the number of random arrays that a layer draws in one step.
_DRAWS = 1024


class Part(NamedTuple):
    """A shard's part of the loss of a batch and of its gradients, one for each trainable weight."""

    loss: float
    gradients: list[Array]


def part_of(
    sent: Shipped,
    weights: list[Array],
    x: Any,
    y: Any,
    sample_weight: Any,
    share: float,
    place: int,
) -> Part:
    """The part of one shard: its mean loss and gradients, times its share of the batch.

    `place` numbers the shards of a training, and determines their random numbers, which therefore
    do not depend on the worker.
    """
    model, lock = sent.opened()
    with lock:
        # The layout of arrays in memory depends on how they were sent, and the order of sums on it.
        arrays = (None if a is None else np.ascontiguousarray(a) for a in (x, y, sample_weight))
        batch = Samples.of(*arrays)
        model._prepare_training(batch.x)
        trained = model.trainable_weights
        for weight, value in zip(trained, weights, strict=True):
            weight.assign(value)
        still = []
        for variable in model.variables:
            if isinstance(variable, SeedState):
                variable.assign(np.array([variable.numpy()[0], place * _DRAWS], np.uint64))
            elif not variable.trainable:
                still.append((variable, variable.version))
        loss, grads = model.loss_and_gradients(batch.arrays)
        changed = [variable.path for variable, version in still if variable.version != version]
        if changed:
            raise NotImplementedError(
                f"`fit` on a cluster only sums gradients, but the model's {changed[0]!r} is "
                "changed in training by other means"
            )
        found = [grads.get(weight) for weight in trained]
    parts = zip(trained, found, strict=True)
    return Part(
        loss * share,
        [np.zeros(w.shape, w.dtype) if g is None else g * g.dtype.type(share) for w, g in parts],
    )


def summed(*parts: Part) -> Part:
    """The sum of some parts, from the first to the last."""
    loss, total = parts[0].loss, list(parts[0].gradients)
    for part in parts[1:]:
        loss += part.loss
        total = [one + other for one, other in zip(total, part.gradients, strict=True)]
    return Part(loss, total)
