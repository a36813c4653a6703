"""Whole training runs against Keras, in float32: the loss of every step and the last weights."""

from __future__ import annotations

import numpy as np

import ferrnn
import golden
from each_case import each_case


@each_case("name", golden.names("training"))
def test_fifty_steps_are_those_of_keras(name: str, engine: str) -> None:
    case = golden.load("training", name)
    layers = [
        getattr(ferrnn.layers, kind)(units, **options)
        for kind, units, options in case.about["stack"]
    ]
    model = ferrnn.Sequential([ferrnn.Input((6, 3)), *layers])
    kind, options = case.about["optimizer"]
    (metric,) = case.about["metrics"]
    optimizer = getattr(ferrnn.optimizers, kind)(**options)
    model.compile(optimizer, case.about["loss"], metrics=[metric])
    model.set_weights(case.series("weight"))
    losses, metrics = [], []
    for inputs, targets in zip(case["inputs"], case["targets"], strict=True):
        model.reset_metrics()
        logs = model.train_on_batch(inputs, targets, return_dict=True)
        losses.append(logs["loss"])
        metrics.append(logs[metric])
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    np.testing.assert_allclose(metrics, case["metrics"], rtol=1e-4)
    for weight, expected in zip(model.get_weights(), case.series("trained"), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
    predictions = model.predict_on_batch(case["inputs"][0])
    assert type(predictions) is np.ndarray
    np.testing.assert_allclose(predictions, case["predictions"], rtol=1e-3, atol=1e-4)
    assert np.ptp(losses) > 0.01, "a loss that does not move proves nothing"
