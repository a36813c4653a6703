"""Golden models trained by plans and layer by layer: losses and weights are the same to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ferrnn
import golden
from graph_models import GRAPHS
from specs import build


def of_runs(name: str) -> tuple[Any, Any, Any]:
    case = golden.load("runs", name)
    inputs, targets = case["inputs"], case["targets"]
    layers = [build(ferrnn.layers, spec) for spec in case.about["layers"]]
    model = ferrnn.Sequential([ferrnn.Input(batch_shape=inputs.shape[1:]), *layers])
    model.compile(ferrnn.optimizers.Nadam(0.01), "mse")
    model.set_weights(case.series("weight"))
    return model, inputs, targets


def of_training(name: str) -> tuple[Any, Any, Any]:
    case = golden.load("training", name)
    layers = [
        getattr(ferrnn.layers, kind)(units, **options)
        for kind, units, options in case.about["stack"]
    ]
    model = ferrnn.Sequential([ferrnn.Input((6, 3)), *layers])
    kind, options = case.about["optimizer"]
    optimizer = getattr(ferrnn.optimizers, kind)(**options)
    model.compile(optimizer, case.about["loss"], metrics=case.about["metrics"])
    model.set_weights(case.series("weight"))
    return model, case["inputs"], case["targets"]


CASES = [(of_runs, name) for name in golden.names("runs")]
CASES += [(of_training, name) for name in golden.names("training")]


@pytest.mark.parametrize(("make", "name"), CASES)
def test_plans_change_no_bit(make: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        ferrnn.utils.set_random_seed(3)
        model, inputs, targets = make(name)
        report = model.explain_plan()
        assert report.covered is (planned == "1"), report
        x, y = (np.concatenate(each) for each in (inputs, targets))
        size = inputs.shape[1]
        logs = model.fit(x, y, batch_size=size, epochs=2, shuffle=False, verbose=0).history
        found.append((logs, model.get_weights(), model.predict(x[:size], verbose=0)))
    assert found[0][0] == found[1][0]
    for own, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(found[0][2], found[1][2])


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_several_ends_train_to_the_same_bits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = golden.load("graphs", name)
    x, y = ([np.concatenate(each) for each in case.series(part)] for part in ("inputs", "targets"))
    size, found = case.series("inputs")[0].shape[1], []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        ferrnn.utils.set_random_seed(3)
        model = GRAPHS[name](ferrnn)
        model.set_weights(case.series("weight"))
        report = model.explain_plan()
        assert report.covered is (planned == "1"), report
        given = y if len(y) > 1 else y[0]
        logs = model.fit(x, given, batch_size=size, epochs=2, shuffle=False, verbose=0).history
        predicted = model.predict(x, batch_size=size, verbose=0)
        found.append((logs, [*model.get_weights(), *ferrnn.tree.flatten(predicted)]))
    assert found[0][0] == found[1][0]
    for own, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(own, other)
