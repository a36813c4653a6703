"""Batches of windows, made while the package's own `fit` runs, and forecasts in chunks."""

from __future__ import annotations

from collections.abc import Callable
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
from ferrnn._src.training.callbacks import Callback
from ferrnn._src.training.optimizers.adam import Adam
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.rates import ReduceLROnPlateau
from ferrnn._src.training.stopping import EarlyStopping
from ferrnn._src.tree.types import Array

# Windows made at once outside of training.
CHUNK = 1024


class WindowBatches(PyDataset):
    """The windows at some origins: each epoch in another order, or another part of them."""

    def __init__(
        self, rows: Rows, origins: Array, shape: Shape, batch: int, most: int, seed: int | None
    ) -> None:
        super().__init__()
        self.rows, self.origins, self.shape, self.batch = rows, origins, shape, batch
        self.count = min(len(origins), most)
        self.random = None if seed is None else np.random.default_rng(seed)
        self.order = np.arange(self.count)
        self.on_epoch_end()

    def __len__(self) -> int:
        return (self.count + self.batch - 1) // self.batch

    def __getitem__(self, index: int) -> Any:
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        return batch_of(self.rows, self.origins[chosen], self.shape)

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        if self.random is not None:
            self.order = self.random.permutation(len(self.origins))[: self.count]


def batch_of(rows: Rows, origins: Array, shape: Shape) -> tuple[Any, Array]:
    """The network's inputs and targets for some origins."""
    windows = windows_of(context_of(rows, origins, shape), shape)
    return windows.inputs, targets_of(rows, origins, windows.level, shape.horizon)


def train(
    network: Any,
    batches: WindowBatches,
    held_out: WindowBatches | None,
    *,
    epochs: int,
    patience: int,
    rate: float,
    verbose: int,
) -> int:
    """Trains until the held-out windows' loss no longer falls; gives the number of best epochs."""
    network.compile(Adam(learning_rate=rate, global_clipnorm=1.0), loss=PinballLoss())
    callbacks: list[Callback] = []
    if held_out is not None:
        callbacks = [
            EarlyStopping(patience=patience, restore_best_weights=True),
            ReduceLROnPlateau(factor=0.4, patience=max(patience // 3, 1)),
        ]
    network.fit(
        batches, epochs=epochs, validation_data=held_out, callbacks=callbacks, verbose=verbose
    )
    return int(callbacks[0].best_epoch) + 1 if held_out is not None else epochs  # type: ignore[attr-defined]


def forecast(
    networks: list[Any], rows: Rows, origins: Array, steps: int, shape: Shape, *, recursive: bool
) -> Array:
    """Scaled quantiles `[origins, steps, quantiles]`; the mean of the networks'."""
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
    """One step after the other: the median becomes the newest value of the window."""
    parts = []
    coming = context.coming
    for step in range(coming.shape[1]):
        now = Context(context.z, context.past, context.known, coming[:, step : step + 1],
                      context.static)  # fmt: skip
        quantiles = _direct(networks, now, shape)
        parts.append(quantiles)
        context = now.moved(quantiles[:, 0, quantiles.shape[2] // 2], coming[:, step : step + 1])
    return np.concatenate(parts, axis=1)
