"""Windows for training, trainings of networks, and forecasts in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ferrnn._src.forecasting.quantiles import PinballLoss, ordered
from ferrnn._src.forecasting.windows import (
    Context,
    Rows,
    Shape,
    context_of,
    targets_of,
    windows_of,
)
from ferrnn._src.training.batches import Batches
from ferrnn._src.training.optimizers.adam import Adam
from ferrnn._src.training.rates import ReduceLROnPlateau
from ferrnn._src.training.samples import Samples
from ferrnn._src.training.stopping import EarlyStopping
from ferrnn._src.training.together import Fit
from ferrnn._src.tree.types import Array

# The number of windows made at once.
CHUNK = 1024
# The most bytes that the windows of an epoch may take.
_MOST_BYTES = 1 << 27


@dataclass(frozen=True, eq=False)
class WindowsAt:
    """The windows at some origins: the network's inputs and targets."""

    rows: Rows
    origins: Array
    shape: Shape

    @cached_property
    def all(self) -> Samples:
        """The windows at all origins."""
        return self.some(np.arange(len(self.origins)))

    @cached_property
    def bytes_each(self) -> int:
        """The bytes of one window."""
        one = self.some(np.zeros(1, int))
        return sum(int(array.nbytes) for array in (*one.x, one.y))

    def some(self, chosen: Array) -> Samples:
        """The windows at some of the origins."""
        parts: list[tuple[Array, ...]] = []
        for at in range(0, len(chosen), CHUNK):
            origins = self.origins[chosen[at : at + CHUNK]]
            windows = windows_of(context_of(self.rows, origins, self.shape), self.shape)
            targets = targets_of(self.rows, origins, windows.level, self.shape.horizon)
            parts.append((*windows.inputs, targets))
        *inputs, y = map(np.concatenate, zip(*parts, strict=True))
        return Samples(inputs, y)


class WindowBatches(Batches):
    """Batches of windows, in another order for each epoch, or `most` others of them.

    Those of an epoch are gathered before it begins; if an epoch has all of them, only once. Without
    a `seed` they are not shuffled.
    """

    def __init__(self, windows: WindowsAt, batch: int, most: int, seed: int | None) -> None:
        self._windows = windows
        self._random = None if seed is None else np.random.default_rng(seed)
        self._most = min(most, max(_MOST_BYTES // windows.bytes_each, batch))
        super().__init__(self._drawn(), batch_size=batch)

    def drawn_order(self) -> Array | None:
        return None if self._random is None or not self.stays else self._permuted()

    def on_epoch_end(self) -> None:
        if not self.stays:
            self.samples = self._drawn()

    @property
    def stays(self) -> bool:
        return self._most >= len(self._windows.origins)

    def _permuted(self) -> Array:
        count = len(self._windows.origins)
        return np.arange(count) if self._random is None else self._random.permutation(count)

    def _drawn(self) -> Samples:
        """The windows of the next epoch."""
        return (
            self._windows.all if self.stays else self._windows.some(self._permuted()[: self._most])
        )


@dataclass(frozen=True)
class Stop:
    """The end of training: after `epochs`, or when the loss on `held_out` does not improve."""

    epochs: int
    patience: int = 1
    held_out: WindowBatches | None = None


def training(
    network: Any,
    batches: WindowBatches,
    rate: float,
    stop: Stop,
    end: Callable[[int], None],
) -> Fit:
    """A training of a network; `end` gets the best number of epochs."""
    network.compile(Adam(learning_rate=rate, global_clipnorm=1.0), loss=PinballLoss())
    options = {"x": batches, "epochs": stop.epochs, "validation_data": stop.held_out}
    if stop.held_out is None:
        return Fit(network, options, lambda history: end(stop.epochs))
    early = EarlyStopping(patience=stop.patience, restore_best_weights=True)
    slower = ReduceLROnPlateau(factor=0.4, patience=max(stop.patience // 3, 1))
    options["callbacks"] = [early, slower]
    return Fit(network, options, lambda history: end(int(early.best_epoch) + 1))


def forecast(
    networks: list[Any], rows: Rows, origins: Array, steps: int, shape: Shape, *, recursive: bool
) -> Array:
    """Scaled quantiles `[origins, steps, quantiles]`, the mean over networks."""
    make: Callable[..., Array] = _recursive if recursive else _direct
    wanted = Shape(shape.context, steps if recursive else shape.horizon, shape.season)
    made = [
        make(networks, context_of(rows, origins[at : at + CHUNK], wanted), shape)[:, :steps]
        for at in range(0, len(origins), CHUNK)
    ]
    return np.concatenate(made)


def _direct(networks: list[Any], context: Context, shape: Shape) -> Array:
    windows = windows_of(context, shape)
    batch = len(windows.level)
    made = sum(
        ordered(network.predict(windows.inputs, batch_size=batch, verbose=0).astype(np.float64))
        for network in networks
    )
    quantiles: Array = made / len(networks) + windows.level[:, None, None]
    return quantiles


def _recursive(networks: list[Any], context: Context, shape: Shape) -> Array:
    """Forecasts step by step, where the median becomes the newest value of the window."""
    parts = []
    coming = context.coming
    for step in range(coming.shape[1]):
        now = Context(context.z, context.past, context.known, coming[:, step : step + 1],
                      context.static)  # fmt: skip
        quantiles = _direct(networks, now, shape)
        parts.append(quantiles)
        context = now.moved(quantiles[:, 0, quantiles.shape[2] // 2], coming[:, step : step + 1])
    return np.concatenate(parts, axis=1)
