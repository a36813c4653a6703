"""Weighted losses and metrics of all combinations of shapes that Keras accepts have its values."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from weighing import LOSSES, TARGETS, WEIGHTS, data, measures

VALUES = json.loads((Path(__file__).parent / "weighing.json").read_text())["values"]
KINDS = [
    (target, masked)
    for target, masked in itertools.product(TARGETS, (False, True))
    if not masked or len(TARGETS[target][1]) == 3
]
pytestmark = [
    pytest.mark.filterwarnings("ignore:The model does not have any trainable weights"),
    # A masked step has outputs of 0, which are no probabilities; Keras gives NaN as well.
    pytest.mark.filterwarnings("ignore:invalid value encountered in divide"),
]
IN_TRAINING = {*LOSSES, "mae", "AUC", "SparseCategoricalAccuracy"}


def model(about, target, measure):
    masking = [keras.layers.Masking()] if about["masked"] else []
    made = keras.Sequential(
        [keras.Input(about["y_pred"].shape[1:]), *masking, keras.layers.Activation("linear")]
    )
    metric = [measure] if measure == "mae" else []
    if measure not in LOSSES and not metric:
        metric = [getattr(keras.metrics, measure)(name="it")]
    loss = "sparse_categorical_crossentropy" if target.startswith("labels") else "mse"
    made.compile("sgd", loss, weighted_metrics=metric)
    return made


def of(logs, measure):
    return next(value for name, value in logs.items() if (name == "loss") == (measure in LOSSES))


def in_own_step(made, about, measure):
    """As a `test_step` of a user's would compute it, from outputs that carry their mask."""
    x, true, weight = about["y_pred"], about["y_true"], about["sample_weight"]
    if measure in LOSSES:
        return made.compute_loss(x, true, made(x), weight)
    made.reset_metrics()
    return of(made.compute_metrics(x, true, made(x), weight), measure)


def in_passes(made, about, measure):
    """As `test_on_batch`, and for some measures `evaluate`, `train_on_batch` and `fit` tell it."""
    batch = (about["y_pred"], about["y_true"], about["sample_weight"])
    yield made.test_on_batch(*batch, return_dict=True)
    if measure in IN_TRAINING:
        yield made.evaluate(iter([batch]), verbose=0, return_dict=True)
        yield made.train_on_batch(*batch, return_dict=True)
        history = made.fit(iter([batch]), steps_per_epoch=1, verbose=0).history
        yield {name: values[-1] for name, values in history.items()}


@each_case(("target", "masked"), KINDS)
@each_case("weight", WEIGHTS)
def test_the_values_are_those_of_keras(target, masked, weight):
    about = data(target, weight, masked)
    place = f"{target}/{weight}/{'masked' if masked else 'whole'}"
    loss_is_known = any(f"{place}/{each}" in VALUES for each in LOSSES)
    for measure in measures(target):
        made = model(about, target, measure)
        key = f"{place}/{measure}"
        if key not in VALUES:
            refused_in_a_sentence_or_a_number(made, about, measure)
            continue
        expected = pytest.approx(VALUES[key], rel=2e-6, abs=1e-7)
        assert in_own_step(made, about, measure) == expected, key
        for logs in in_passes(made, about, measure) if loss_is_known else ():
            assert of(logs, measure) == expected, key


def refused_in_a_sentence_or_a_number(made, about, measure):
    said = None
    try:
        found = in_own_step(made, about, measure)
    except ValueError as error:
        said = str(error)
    if said is None:
        assert np.ndim(found) == 0
    else:
        assert "`sample_weight`" in said or "the same shape" in said


def test_most_combinations_are_known_to_keras():
    assert len(VALUES) > 700
