"""The full product of the settings for tanh and sigmoid, at 17 units and fewer."""

import itertools

import numpy as np
import pytest

from conformance.cases import PRODUCT, Case
from conformance.comparison import expect_same, run
from ferrnn.sequence import fused

OUTER = ("cell", "units", "batch", "time")
INNER = tuple(name for name in PRODUCT if name not in OUTER)


def cases(cell, units, batch, time):
    for settings in itertools.product(*(PRODUCT[name] for name in INNER)):
        inner = dict(zip(INNER, settings, strict=True))
        if inner["zeroed"] and inner["mask"] == "none":
            continue
        yield Case(cell=cell, units=units, batch=batch, time=time, **inner)


def shifted(case, cell, by):
    """The loss with weights and arrays moved along one direction, drawn from the case."""
    rng = case.rng(1006)
    moved = []
    for parameter in cell.weights:
        direction = rng.normal(size=parameter.shape)
        moved.append(direction)
        parameter.assign(parameter.value + by * direction)
    arrays = []
    for array in case.arrays(cell):
        direction = rng.normal(size=array.shape)
        moved.append(direction)
        arrays.append(array + by * direction)
    values, _ = case.forward(fused.scan, cell, differentiable=False)(arrays)
    rng = case.rng(1005)
    return sum(np.vdot(rng.normal(size=value.shape), value) for value in values), moved


@pytest.mark.parametrize("time", PRODUCT["time"])
@pytest.mark.parametrize("batch", PRODUCT["batch"])
@pytest.mark.parametrize("units", PRODUCT["units"])
@pytest.mark.parametrize("cell", PRODUCT["cell"])
def test_gradients_along_one_direction_match_finite_differences(cell, units, batch, time):
    eps = 1e-5
    for case in cases(cell, units, batch, time):
        ahead, directions = shifted(case, case.make_cell(), eps)
        behind, _ = shifted(case, case.make_cell(), -eps)
        made = case.make_cell()
        _, d_arrays, d_weights = run(case, made, fused.scan)
        pairs = list(zip((*d_weights, *d_arrays), directions, strict=True))
        slope = sum(float(np.vdot(gradient, direction)) for gradient, direction in pairs)
        scale = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient, _ in pairs))
        assert scale > 0
        assert abs(slope - (ahead - behind) / (2 * eps)) < 1e-6 * scale, case


@pytest.mark.parametrize("time", PRODUCT["time"])
@pytest.mark.parametrize("batch", PRODUCT["batch"])
@pytest.mark.parametrize("units", PRODUCT["units"])
@pytest.mark.parametrize("cell", PRODUCT["cell"])
def test_fused_equals_stepwise(cell, units, batch, time):
    for case in cases(cell, units, batch, time):
        expect_same(case, rtol=1e-10, atol=1e-12)
