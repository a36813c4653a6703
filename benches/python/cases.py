"""The cases that are timed: what runs, at which sizes, on which numbers."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sizes = tuple[int, int, int, int]

GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
STATES = {"lstm": 2, "gru": 1, "simple_rnn": 1}
# Activations per unit and step.
ACTIVATIONS = {"lstm": 5, "gru": 3, "simple_rnn": 1}
MODES = {
    "step": "one time step per call, state kept",
    "call": "one inference call over whole sequences, outputs at every step",
    "backprop": "forward and backward, gradients by inputs and weights",
    "train": "training step: layer and Dense(1) on the last step, mean squared error, Adam",
}

STREAMING: list[Sizes] = [
    (1, 1, 8, 32), (1, 1, 32, 32), (1, 1, 64, 128), (1, 1, 128, 256), (1, 1, 512, 1024),
]  # fmt: skip
GROUPS: dict[str, list[Sizes]] = {
    "short": [
        (16, 5, 8, 20), (32, 10, 16, 32), (8, 24, 32, 64), (64, 24, 20, 20), (32, 4, 128, 128),
        (32, 7, 12, 128), (64, 12, 16, 256),
    ],
    "single": [(1, 50, 8, 32), (1, 100, 64, 128), (1, 100, 256, 256), (1, 100, 128, 512)],
    "small": [
        (2, 100, 128, 512), (4, 100, 128, 512), (8, 100, 128, 512), (16, 100, 128, 512),
        (8, 50, 64, 128), (8, 100, 256, 256), (16, 100, 512, 1024),
    ],
    "large": [
        (32, 100, 256, 256), (64, 50, 512, 512), (128, 100, 32, 64), (256, 30, 16, 32),
        (32, 1000, 8, 64), (33, 100, 100, 100), (100, 77, 30, 300), (64, 50, 17, 17),
    ],
}  # fmt: skip
QUICK: dict[str, list[Sizes]] = {
    "step": [(1, 1, 32, 32), (1, 1, 128, 256)],
    "call": [(1, 50, 8, 32), (32, 100, 64, 128)],
    "backprop": [(8, 50, 64, 128)],
    "train": [(32, 10, 16, 32)],
}


@dataclass(frozen=True)
class Job:
    """One line of the table."""

    mode: str
    cell: str
    batch: int
    time: int
    features: int
    units: int

    @property
    def gates(self) -> int:
        """Blocks of `units` columns in the kernel."""
        return GATES[self.cell]

    @property
    def sizes(self) -> Sizes:
        """Batch, time, inputs, units."""
        return self.batch, self.time, self.features, self.units

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Data:
    """A job's numbers in float32, `[batch, time, features]`, weights in Keras' layout."""

    inputs: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array  # GRU: `[2, 3 * units]`, inputs' and recurrent bias
    head_kernel: Array
    head_bias: Array
    targets: Array
    d_outputs: Array


def make_data(job: Job) -> Data:
    """Random numbers, none constant; weights scaled so that states stay alive."""
    rng = np.random.default_rng(zlib.crc32(repr(job.sizes).encode()))
    batch, time, features, units = job.sizes
    columns = job.gates * units

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    return Data(
        inputs=normal(batch, time, features),
        kernel=normal(features, columns, scale=features**-0.5),
        recurrent_kernel=normal(units, columns, scale=0.9 * units**-0.5),
        bias=normal(*((2, columns) if job.cell == "gru" else (columns,)), scale=0.3),
        head_kernel=normal(units, 1, scale=units**-0.5),
        head_bias=normal(1, scale=0.1),
        targets=normal(batch, 1),
        d_outputs=normal(batch, time, units, scale=(batch * time) ** -0.5),
    )


def jobs(
    modes: list[str], cells: list[str], groups: list[str], own: list[Sizes], *, quick: bool
) -> Iterator[Job]:
    """The lines that were requested; `own` sizes replace the table's."""
    for mode in modes:
        if own:
            table = own
        elif quick:
            table = QUICK[mode]
        elif mode == "step":
            table = STREAMING
        else:
            table = [sizes for group in groups for sizes in GROUPS[group]]
        for sizes in table:
            if mode == "step" and sizes[1] != 1:
                continue
            for cell in cells:
                yield Job(mode, cell, *sizes)
