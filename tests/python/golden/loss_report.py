"""Prints how far ferrnn's losses are from Keras', over the first fifty steps of each model.

    python tests/python/golden/loss_report.py

The files were made by `make_golden.py`; the tests beside this script hold each step to 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import custom_models
import ferrnn
import golden
from graph_models import GRAPHS
from shared_models import RUNS
from specs import build


def _stack(name: str, case: golden.Case) -> Any:
    layers = [
        getattr(ferrnn.layers, kind)(units, **options)
        for kind, units, options in case.about["stack"]
    ]
    model = ferrnn.Sequential([ferrnn.Input((6, 3)), *layers])
    kind, options = case.about["optimizer"]
    model.compile(getattr(ferrnn.optimizers, kind)(**options), case.about["loss"])
    return model


def _layers(name: str, case: golden.Case) -> Any:
    layers = [build(ferrnn.layers, spec) for spec in case.about["layers"]]
    model = ferrnn.Sequential([ferrnn.Input(batch_shape=case["inputs"].shape[1:]), *layers])
    model.compile(ferrnn.optimizers.Adam(0.01), "mse")
    return model


def _shared(name: str, case: golden.Case) -> Any:
    model = RUNS[name].build(ferrnn)
    model.compile(ferrnn.optimizers.Adam(0.01), RUNS[name].loss)
    return model


MODELS: dict[str, Callable[[str, golden.Case], Any]] = {
    "training": _stack,
    "runs": _layers,
    "shared_runs": _shared,
    "graphs": lambda name, case: GRAPHS[name](ferrnn),
    "custom": lambda name, case: custom_models.make(ferrnn, name),
}


def largest_difference(file: str, name: str) -> tuple[int, float]:
    """The number of steps, and the largest relative difference of a loss."""
    case = golden.load(file, name)
    model = MODELS[file](name, case)
    model.set_weights(case.series("weight"))
    inputs = case.series("inputs") or [case["inputs"]]
    targets = case.series("targets") or [case["targets"]]
    losses = []
    for step in range(len(case["losses"])):
        x, y = ([each[step] for each in arrays] for arrays in (inputs, targets))
        model.reset_metrics()
        logs = model.train_on_batch(*(e if len(e) > 1 else e[0] for e in (x, y)), return_dict=True)
        losses.append(logs["loss"])
    return len(losses), float(np.max(np.abs(np.array(losses) / case["losses"] - 1)))


def main() -> None:
    """A row for each model."""
    for file in MODELS:
        for name in golden.names(file):
            steps, found = largest_difference(file, name)
            print(f"| {file}: {name} | {steps} | {found:.1e} |")


if __name__ == "__main__":
    main()
