"""Every pair of settings: the engine against finite differences, and against NumPy step by step."""

from dataclasses import replace

from conformance.cases import FACTORS, PAIRWISE
from conformance.comparison import best_scan, expect_same
from each_case import each_case
from ferrnn.testing import check_vjp


def named(case):
    settings = [getattr(case, name) for name in FACTORS]
    return "-".join("+".join(s) if isinstance(s, tuple) else str(s) for s in settings)


@each_case("case", PAIRWISE, ids=named)
def test_gradients_match_finite_differences(case):
    cell = case.make_cell()
    idle = case.idle(cell)
    moving = [parameter for parameter in cell.weights if parameter not in idle]
    check_vjp(case.forward(best_scan(cell), cell), case.arrays(cell), moving)


@each_case("case", PAIRWISE, ids=named)
def test_fused_equals_stepwise(case):
    expect_same(case, case.make_cell(), rtol=1e-10, atol=1e-12)
    single = replace(case, dtype="float32")
    expect_same(single, single.make_cell(), rtol=2e-4, atol=2e-5)
