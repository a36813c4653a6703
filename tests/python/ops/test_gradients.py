"""Every operation's gradient against finite differences."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import ops
from ferrnn._src.symbolic.tracing import differentiate
from ferrnn.testing import check_vjp
from operation_tables import BINARY, UNARY, leaves, other_cases

OTHERS = other_cases(ops)


def check(function, *inputs):
    check_vjp(lambda arrays: differentiate(lambda xs: function(*xs), arrays), inputs, rtol=1e-5)


def away_from_kinks(array):
    """Entries moved away from the places where an operation is not smooth."""
    near = np.abs(np.mod(array * 2, 1) - 0.5) > 0.45
    return np.where(near, array + 0.06, array)


@each_case(("name", "low", "high"), UNARY, ids=[case[0] for case in UNARY])
def test_of_one_array(name, low, high):
    inputs = away_from_kinks(np.random.default_rng(1).uniform(low, high, size=(3, 5)))
    check(getattr(ops, name), inputs)


@each_case("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (2, 1, 4))])
@each_case("name", BINARY)
def test_of_two_arrays(name, shapes):
    rng = np.random.default_rng(1)
    check(getattr(ops, name), *(rng.uniform(0.3, 3, size=shape) for shape in shapes))


@each_case(("name", "function", "shapes"), OTHERS, ids=[case[0] for case in OTHERS])
def test_of_the_others(name, function, shapes):
    rng = np.random.default_rng(1)
    check(function, *(away_from_kinks(rng.normal(size=shape)) for shape in shapes))


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_of_products_with_zeros(name):
    check(getattr(ops, name), np.array([2.0, 0.0, -3.0, 0.5]))


def test_number_operands_have_gradients_beside_arrays():
    check(lambda x: ops.add(1.5, ops.multiply(x, 2)) / 3, np.array([1.0, 2.0]))


@each_case(("name", "function", "shapes"), OTHERS, ids=[case[0] for case in OTHERS])
def test_gradients_have_the_dtype_of_the_inputs(name, function, shapes):
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64"):
        inputs = tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)
        outputs, vjp = differentiate(lambda xs: function(*xs), inputs)
        ones = [np.ones_like(leaf) for leaf in leaves(outputs)]
        found = vjp(packed(outputs, ones), None)
        assert [part.dtype.name for part in found] == [dtype] * len(inputs)
        assert [part.shape for part in found] == [part.shape for part in inputs]


def packed(structure, leaves):
    if isinstance(structure, list | tuple):
        return type(structure)(packed(part, leaves) for part in structure)
    return leaves.pop(0)
