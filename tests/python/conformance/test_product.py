"""Any three settings together, for tanh and sigmoid at 17 units and fewer.

All of their product where FERRNN_DEEP is set.
"""

import itertools
import os

import numpy as np

from conformance.cases import PRODUCT, Case, covering
from conformance.comparison import expect_same
from each_case import each_case
from ferrnn._src.sequence import fused


def rows():
    if not os.environ.get("FERRNN_DEEP"):
        return list(covering(PRODUCT, 3))
    return [dict(zip(PRODUCT, row, strict=True)) for row in itertools.product(*PRODUCT.values())]


def case_of(row):
    mask, zeroed = row[("mask", "zeroed")]
    rest = {name: value for name, value in row.items() if isinstance(name, str)}
    return Case(**rest, mask=mask, zeroed=zeroed)


CASES = [case_of(row) for row in rows()]


def loss_ahead(case, cell, origin, by):
    """The loss with weights and arrays moved along one direction, drawn from the case."""
    rng = case.rng(1006)
    directions = [rng.normal(size=weight.shape) for weight in origin]
    cell.set_weights([w + by * d for w, d in zip(origin, directions, strict=True)])
    arrays = case.arrays(cell)
    directions += [rng.normal(size=array.shape) for array in arrays]
    moved = [a + by * d for a, d in zip(arrays, directions[len(origin) :], strict=True)]
    values, _ = case.forward(fused.scan, cell, differentiable=False)(moved)
    cell.set_weights(origin)
    rng = case.rng(1005)
    return sum(np.vdot(rng.normal(size=value.shape), value) for value in values), directions


@each_case("units", PRODUCT["units"])
@each_case("cell", PRODUCT["cell"])
def test_gradients_match_finite_differences_and_fused_equals_stepwise(cell, units):
    eps = 1e-5
    cases = [case for case in CASES if (case.cell, case.units) == (cell, units)]
    assert cases
    for case in cases:
        made = case.make_cell()
        origin = made.get_weights()
        _, d_arrays, d_weights = expect_same(case, made, rtol=1e-10, atol=1e-12)
        ahead, directions = loss_ahead(case, made, origin, eps)
        behind, _ = loss_ahead(case, made, origin, -eps)
        pairs = list(zip((*d_weights, *d_arrays), directions, strict=True))
        slope = sum(float(np.vdot(gradient, direction)) for gradient, direction in pairs)
        scale = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient, _ in pairs))
        assert scale > 0
        assert abs(slope - (ahead - behind) / (2 * eps)) < 1e-6 * scale, case
