"""One case through both ways of running a cell."""

import numpy as np

from ferrnn import Gradients
from ferrnn._src.sequence import fused, stepwise


def run(case, cell, scan):
    """Outputs with states, and the gradients of the arrays and of the weights."""
    (*values,), vjp = case.forward(scan, cell)(case.arrays(cell))
    rng = case.rng(1005)
    d_values = tuple(rng.normal(size=value.shape).astype(case.dtype) for value in values)
    grads = Gradients()
    d_arrays = vjp(d_values, grads)
    return values, d_arrays, [grads[parameter] for parameter in cell.weights]


def best_scan(cell):
    """The engine's scan or, for a cell that only Python knows, that of single steps."""
    return fused.scan if fused.supports(cell) else stepwise.scan


def expect_same(case, cell, *, rtol, atol):
    """Both ways give the same, which is returned; a weight's gradient is judged by its largest."""
    given, expected = run(case, cell, best_scan(cell)), run(case, cell, stepwise.scan)
    for one, two in zip((*given[0], *given[1]), (*expected[0], *expected[1]), strict=True):
        expect_close(one, two, rtol, atol)
    for one, two in zip(given[2], expected[2], strict=True):
        scale = 1 + np.abs(two).max()
        expect_close(one / scale, two / scale, rtol, atol)
    return given


def expect_close(one, two, rtol, atol):
    """As NumPy's `assert_allclose`, whose report is made only where it is needed."""
    assert one.shape == two.shape
    if not np.all(np.abs(one - two) <= atol + rtol * np.abs(two)):
        np.testing.assert_allclose(one, two, rtol=rtol, atol=atol)
