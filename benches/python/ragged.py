"""What padding costs: sequences of lengths uniform in 1..time against their real steps alone.

    python benches/python/ragged.py [--threads 2] [--record]

The cost of the real steps alone is taken to be that of the full batch times the share of steps
that are real. Full and ragged calls take turns, so that what disturbs one disturbs the other; the
ratio is the median over rounds. Forward is `layer(x, lengths=...)`, training the layer's `forward`
and its vjp, told that it runs once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from table import tell
from timing import Run, median_ratio, round_robin

import ferrnn
from ferrnn import Call, Gradients

SIZES = [(32, 100, 64, 128), (32, 100, 256, 256), (64, 200, 16, 64), (8, 100, 64, 128)]
KINDS = ["LSTM", "GRU", "SimpleRNN"]


def runs(kind: str, sizes: tuple[int, int, int, int]) -> tuple[dict[str, Run], float]:
    """The four calls of a case, and the share of its steps that are real."""
    batch, time, features, units = sizes
    rng = np.random.default_rng(batch + time)
    inputs = rng.normal(size=(batch, time, features)).astype("float32")
    d_outputs = rng.normal(size=(batch, time, units)).astype("float32")
    lengths = rng.integers(1, time + 1, size=batch)
    mask = np.arange(time) < lengths[:, None]
    layer = getattr(ferrnn.layers, kind)(units, return_sequences=True)
    layer.build(inputs.shape)

    def train(mask: Any) -> Run:
        call = Call(differentiable=True, consume=True, mask=mask)

        def run() -> object:
            _, vjp = layer.forward(inputs, call)
            assert vjp is not None
            return vjp(d_outputs, Gradients())

        return run

    calls: dict[str, Run] = {
        "full": lambda: layer(inputs),
        "ragged": lambda: layer(inputs, lengths=lengths),
        "train full": train(None),
        "train ragged": train(mask),
    }
    return calls, float(lengths.sum()) / (batch * time)


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The table, line by line."""
    yield "| layer | batch, time, inputs, units | threads | real steps | forward | training |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for threads in asked.threads:
        ferrnn.set_num_threads(threads)
        for kind in KINDS:
            for sizes in SIZES:
                calls, share = runs(kind, sizes)
                found = round_robin(calls, rounds=asked.rounds, slice_seconds=0.03)
                ratios = [
                    median_ratio(found[f"{mode}ragged"], found[f"{mode}full"]) / share
                    for mode in ("", "train ")
                ]
                yield (
                    f"| {kind} | {', '.join(map(str, sizes))} | {threads} | {share:.2f} "
                    f"| {ratios[0]:.2f} | {ratios[1]:.2f} |"
                )


def main() -> None:
    """Prints the table, and writes it to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    asked = parser.parse_args()
    notes = [
        f"ferrnn {ferrnn.__version__} ({ferrnn.simd_level()})",
        "time of the ragged batch over that of its real steps alone (1.00: padding is free)",
    ]
    tell("Ragged batches", "ragged", notes, lines(asked), asked.record)


if __name__ == "__main__":
    main()
