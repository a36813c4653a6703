"""What each layer costs in a training step beyond the arithmetic: microseconds, at a small size.

    python benches/python/layer_cost.py
    python benches/python/layer_cost.py --layers Dropout Add
    python benches/python/layer_cost.py --record

`forward` is the layer's forward pass in training, `backward` its vjp into new gradients; both are
the whole cost. `arithmetic` is what the indispensable calls of NumPy or of the engine take by
themselves, on existing operands. The difference is Python: checks, shapes, closures. The last row
is what a model adds for each layer: a graph of layers that do nothing.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from layer_cases import BATCH, FEATURES, STEPS, Run, X, cases, nothing
from table import tell

import ferrnn
from ferrnn import Call, Gradients, layers, simd_level

CALL = Call(training=True, differentiable=True)
LIMIT = 5.0  # microseconds of Python in each direction


def best(runs: Mapping[str, list[Run]], number: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds of a call of each, the least mean of its bursts.

    All take a burst in turns, so that what slows the machine down for a second slows all.
    """
    timers = {name: [timeit.Timer(run) for run in each] for name, each in runs.items()}
    least = {name: [float("inf")] * len(each) for name, each in runs.items()}
    for _ in range(rounds):
        for name, each in timers.items():
            found = [_burst(timer, number) for timer in each]
            least[name] = [min(pair) for pair in zip(least[name], found, strict=True)]
    return least


def _burst(timer: timeit.Timer, number: int) -> float:
    timer.timeit(number)  # the others' turns left the caches cold
    return timer.timeit(number) / number * 1e6


def graph_runs() -> Iterator[tuple[str, list[Run]]]:
    """Calls of models of 1 and of 21 layers that do nothing, and one of such a layer alone."""
    for depth in (1, 21):
        inputs = outputs = ferrnn.Input((STEPS, FEATURES))
        for _ in range(depth):
            outputs = layers.GaussianNoise(0.0)(outputs)
        yield f"graph of {depth}", _both_ways(ferrnn.Model(inputs, outputs).outputs_and_mask, X)
    yield "graph of none", _both_ways(layers.GaussianNoise(0.0).forward_with_losses, X)


def _both_ways(forward: Callable[..., Any], inputs: Any) -> list[Run]:
    outputs, *_, vjp = forward(inputs, CALL)
    d_outputs = np.ones_like(outputs)
    return [lambda: forward(inputs, CALL), lambda: vjp(d_outputs, Gradients())]


def rows(wanted: list[str], number: int, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Name; forward, its arithmetic, the rest; the same backward."""
    runs = {
        name: [*_both_ways(layer.forward_with_losses, inputs), *alone]
        for name, layer, inputs, *alone in cases()
        if not wanted or name.split()[0] in wanted
    }
    least = best({**runs, **dict(graph_runs())}, number, rounds)
    for name, (_, _, *alone) in runs.items():
        forward, backward, *arithmetic = least[name]
        own = [0.0 if run is nothing else n for run, n in zip(alone, arithmetic, strict=True)]
        yield name, [forward, own[0], forward - own[0], backward, own[1], backward - own[1]]
    costs = zip(*(least[f"graph of {depth}"] for depth in (1, 21)), strict=True)
    forward, backward = ((after - before) / 20 for before, after in costs)
    forward -= least["graph of none"][0]
    yield "the graph, for each", [forward, 0.0, forward, backward, 0.0, backward]


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The table, line by line."""
    yield "| layer | forward | arithmetic | Python | backward | arithmetic | Python |"
    yield "|---|---|---|---|---|---|---|"
    for name, figures in rows(asked.layers, asked.number, asked.rounds):
        cells = [f"{figure:.1f}" for figure in figures]
        for at in (2, 5):
            if figures[at] > LIMIT:
                cells[at] = f"**{cells[at]}**"
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measures, prints, and records if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", nargs="*", default=[], help="only these, by class name")
    parser.add_argument("--number", type=int, default=10, help="calls of a burst")
    parser.add_argument("--rounds", type=int, default=200, help="bursts of each")
    parser.add_argument("--record", action="store_true", help="write to benches/record")
    asked = parser.parse_args()
    ferrnn.set_num_threads(1)
    notes = [
        f"ferrnn {ferrnn.__version__} ({simd_level()}), numpy {np.__version__}, 1 thread",
        f"batch {BATCH}, {STEPS} steps, {FEATURES} features, float32; microseconds, minima",
        f"Python beyond {LIMIT:g} us is bold",
    ]
    tell("Layers in a training step", "layer-cost", notes, lines(asked), asked.record)


if __name__ == "__main__":
    main()
