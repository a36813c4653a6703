"""Models of recurrent and other layers, trained as Keras trains them: the loss of every step."""

from __future__ import annotations

import numpy as np
import pytest

import ferrnn
import golden
from each_case import each_case
from shared_models import RUNS


@each_case("name", golden.names("shared_runs"))
def test_fifty_steps_are_those_of_keras(name: str) -> None:
    case = golden.load("shared_runs", name)
    model = RUNS[name].build(ferrnn)
    model.compile(ferrnn.optimizers.Adam(0.01), RUNS[name].loss)
    pairs = zip(model.weights, case.about["paths"], strict=True)
    for weight, path in pairs:
        assert weight.path.split("/")[-1] == path.split("/")[-1]
    model.set_weights(case.series("weight"))
    losses = []
    for inputs, targets in zip(case["inputs"], case["targets"], strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(inputs, targets))
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    predictions = model.predict_on_batch(case["inputs"][0])
    np.testing.assert_allclose(predictions, case["predictions"], rtol=1e-3, atol=1e-4)
    evaluated = model.evaluate(case["inputs"][1], case["targets"][1], verbose=0)
    np.testing.assert_allclose(evaluated, case["evaluated"][0], rtol=1e-3)
    assert np.ptp(losses) > 0.01, "a loss that does not move proves nothing"


@pytest.mark.parametrize("name", RUNS)
def test_a_file_gives_the_same_model_back(name: str, tmp_path) -> None:
    pytest.importorskip("h5py")
    case = golden.load("shared_runs", name)
    model = RUNS[name].build(ferrnn)
    model.set_weights(case.series("weight"))
    model.save(tmp_path / "model.keras")
    again = ferrnn.models.load_model(tmp_path / "model.keras")
    inputs = case["inputs"][0]
    np.testing.assert_array_equal(again.predict_on_batch(inputs), model.predict_on_batch(inputs))
