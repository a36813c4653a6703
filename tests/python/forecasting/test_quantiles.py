"""Quantiles never cross; the pinball loss and its gradient are right."""

import numpy as np
import pytest

from ferrnn._src.forecasting.quantiles import (
    PROBABILITIES,
    PinballLoss,
    at_probability,
    ordered,
)


def test_quantiles_never_cross():
    raw = np.random.default_rng(1).normal(0, 30, (50, 7, 11))
    assert (np.diff(ordered(raw), axis=-1) >= 0).all()
    assert (np.diff(ordered(raw.astype("float32")), axis=-1) >= 0).all()


def test_the_middle_is_the_median_and_steps_are_added_up():
    raw = np.random.default_rng(2).normal(size=(3, 5))
    steps = np.log1p(np.exp(raw))
    expected = [
        raw[:, 2] - steps[:, 1] - steps[:, 0],
        raw[:, 2] - steps[:, 1],
        raw[:, 2],
        raw[:, 2] + steps[:, 3],
        raw[:, 2] + steps[:, 3] + steps[:, 4],
    ]
    np.testing.assert_allclose(ordered(raw), np.stack(expected, axis=1))


def test_the_pinball_loss_is_its_formula():
    random = np.random.default_rng(3)
    raw = random.normal(size=(3, 4, 11))
    y = np.stack([random.normal(size=(3, 4)), random.random((3, 4)) < 0.7], axis=2)
    total = 0.0
    for at, p in enumerate(PROBABILITIES):
        error = y[..., 0] - ordered(raw)[..., at]
        total += (np.maximum(p * error, (p - 1) * error) * y[..., 1]).mean()
    np.testing.assert_allclose(PinballLoss()(y, raw), total / len(PROBABILITIES))


def test_the_gradient_of_the_pinball_loss_is_that_of_differences():
    random = np.random.default_rng(4)
    raw = random.normal(size=(2, 3, 11))
    y = np.stack([random.normal(0, 2, (2, 3)), [[1, 0, 1], [1, 1, 1]]], axis=2)
    loss, weights = PinballLoss(), random.normal(size=(2, 3))
    _, vjp = loss.pointwise(y, raw)
    gradient, numeric = vjp(weights), np.empty_like(raw)
    for place in np.ndindex(raw.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = raw.copy()
            moved[place] += step
            ends.append((loss.pointwise(y, moved)[0] * weights).sum())
        numeric[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)
    assert (gradient[0, 1] == 0).all()
    assert np.abs(gradient[0, 0]).min() > 0


def test_targets_without_weights_are_refused():
    with pytest.raises(ValueError, match=r"\[batch, horizon, 2\]"):
        PinballLoss()(np.zeros((2, 3, 11)), np.zeros((2, 3, 11)))


def test_between_known_probabilities_quantiles_are_interpolated():
    quantiles = np.sort(np.random.default_rng(5).normal(size=(2, 3, 11)), axis=-1)
    np.testing.assert_allclose(at_probability(quantiles, 0.25), quantiles[..., 4])
    middle = (quantiles[..., 4] + quantiles[..., 5]) / 2
    np.testing.assert_allclose(at_probability(quantiles, 0.375), middle)
    np.testing.assert_allclose(at_probability(quantiles, 0.999), quantiles[..., -1])
    np.testing.assert_allclose(at_probability(quantiles, 0.001), quantiles[..., 0])
