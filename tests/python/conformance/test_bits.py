"""Equality to the last bit: threads, batches, padding, and time in pieces do not matter."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest

from conformance.cases import IN_ENGINE, Case
from conformance.comparison import run
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src import native
from ferrnn._src.sequence import fused
from ferrnn.layers import Dense

DTYPES = ("float32", "float64")
# The engine takes no further thread for less; there is work for three, in many rows and in one.
MULTIPLY_ADDS_OF_A_THREAD = 2_500_000
SIZES = (
    {"batch": 33, "time": 14, "units": 121, "features": 19},
    {"batch": 1, "time": 80, "units": 300, "features": 19},
)
# Every pair of settings; all of the product where FERRNN_DEEP is set.
WORK = [
    (sizes, masked, dtype)
    for sizes in SIZES
    for masked in ("none", "holes")
    for dtype in DTYPES
    if "FERRNN_DEEP" in os.environ
    or (sizes["batch"] == 1) ^ (masked == "none") ^ (dtype == "float32")
]


def of_sizes(name, sizes):
    """A case of so much work; a cell without a product of states takes more steps for it."""
    more = {"time": 8 * sizes["time"]} if name == "ind_rnn" else {}
    return replace(Case(cell=name), **sizes | more)


@pytest.fixture
def threads():
    before = native.num_threads()
    yield native.set_num_threads
    native.set_num_threads(before)


def expect_same_bits(given, expected):
    for one, two in zip(given, expected, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("sizes", "masked", "dtype"), WORK)
@pytest.mark.parametrize("name", IN_ENGINE)
def test_any_number_of_threads_gives_the_same_bits(name, masked, sizes, dtype, threads):
    case = replace(of_sizes(name, sizes), mask=masked, dtype=dtype)
    cell = case.make_cell()
    threads(1)
    expected = run(case, cell, fused.scan)
    for count in (2, 3):
        threads(count)
        for given, wanted in zip(run(case, cell, fused.scan), expected, strict=True):
            expect_same_bits(given, wanted)


def gradients(cell, inputs, states, d_values, **options):
    """Outputs, states, and the gradients that belong to single rows."""
    call = Call(differentiable=True)
    outputs, final, vjp = fused.scan(cell, inputs, states, call, **options)
    d_inputs, d_states = vjp(d_values[0], d_values[1:], Gradients())
    return [outputs, *final, d_inputs, *d_states]


@each_case("dtype", DTYPES)
@each_case("units", [3, 64, 100])
@each_case("name", IN_ENGINE)
def test_a_row_is_the_same_alone_and_in_its_batch(name, units, dtype):
    case = Case(cell=name, batch=37, time=5, units=units, features=9, mask="holes", dtype=dtype)
    cell = case.make_cell()
    inputs, states, mask = case.make_inputs(), case.make_states(cell), case.make_mask()
    rng = case.rng(1005)
    shapes = [(37, 5, cell.output_size), *(state.shape for state in states)]
    d_values = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    together = gradients(cell, inputs, states, d_values, mask=mask)
    for rows in (slice(0, 1), slice(17, 18), slice(36, 37), slice(5, 12)):
        alone = gradients(
            cell,
            inputs[rows],
            tuple(state[rows] for state in states),
            [d_value[rows] for d_value in d_values],
            mask=mask[rows],
        )
        expect_same_bits(alone, [value[rows] for value in together])


@each_case("dtype", DTYPES)
@each_case("backwards", [False, True])
@each_case("name", IN_ENGINE)
def test_padding_changes_no_bit(name, backwards, dtype):
    case = Case(cell=name, batch=6, time=5, units=17, features=9, dtype=dtype)
    cell = case.make_cell()
    inputs, states = case.make_inputs(), case.make_states(cell)
    rng = case.rng(1005)
    shapes = [(6, 5, cell.output_size), *(state.shape for state in states)]
    d_values = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    plain = gradients(cell, inputs, states, d_values, go_backwards=backwards)
    padding = np.full((6, 4, 9), np.nan, dtype)  # what stands at masked steps is never read
    longer = np.concatenate([inputs, padding], axis=1)
    mask = np.arange(9)[None, :].repeat(6, axis=0) < 5
    nothing = np.zeros((6, 4, cell.output_size), dtype)
    parts = [nothing, d_values[0]] if backwards else [d_values[0], nothing]
    d_longer = [np.concatenate(parts, axis=1), *d_values[1:]]
    padded = gradients(cell, longer, states, d_longer, mask=mask, go_backwards=backwards)
    real = slice(4, 9) if backwards else slice(0, 5)
    outputs, d_inputs = padded[0], padded[1 + len(states)]
    assert not d_inputs[:, 5:].any()
    padded[0], padded[1 + len(states)] = outputs[:, real], d_inputs[:, :5]
    expect_same_bits(padded, plain)


@each_case("dtype", DTYPES)
@each_case("batch", [1, 5, 33])
@each_case("name", IN_ENGINE)
def test_the_whole_sequence_is_the_same_as_step_by_step(name, batch, dtype):
    case = Case(cell=name, batch=batch, time=7, units=33, features=9, dtype=dtype)
    cell = case.make_cell()
    inputs, states = case.make_inputs(), case.make_states(cell)
    outputs, final, _ = fused.scan(cell, inputs, states, Call())
    steps = []
    for t in range(7):
        output, states, _ = fused.scan(cell, inputs[:, t : t + 1], states, Call())
        steps.append(output)
    expect_same_bits([np.concatenate(steps, axis=1), *states], [outputs, *final])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [None, "relu", "tanh", "softmax"])
def test_dense_is_the_same_alone_in_a_batch_and_on_any_threads(activation, dtype, threads):
    layer = Dense(70, activation, dtype=dtype)
    rows, features = 1250, 90
    assert rows * features * 70 >= 3 * MULTIPLY_ADDS_OF_A_THREAD
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(rows, features)).astype(dtype)
    d_outputs = rng.normal(size=(rows, 70)).astype(dtype)

    def both(rows):
        outputs, vjp = layer.forward(inputs[rows], Call(differentiable=True))
        grads = Gradients()
        return [outputs, vjp(d_outputs[rows], grads)], [grads[w] for w in layer.weights]

    layer.build((None, features))
    threads(1)
    expected, expected_weights = both(slice(None))
    for count in (2, 3):
        threads(count)
        given, weights = both(slice(None))
        expect_same_bits([*given, *weights], [*expected, *expected_weights])
    for rows in (slice(0, 1), slice(1249, 1250), slice(31, 44)):
        expect_same_bits(both(rows)[0], [value[rows] for value in expected])


# The units of one row that do not meet are little work for one thread.
PAYING = [
    (name, sizes)
    for name, sizes in itertools.product(IN_ENGINE, SIZES)
    if name != "ind_rnn" or sizes["batch"] > 1
]


@each_case(("name", "sizes"), PAYING)
def test_the_problems_above_pay_for_three_threads(name, sizes):
    case = of_sizes(name, sizes)
    cell = case.make_cell()
    for single in getattr(cell, "cells", [cell]):
        weights = [single.kernel.size, single.recurrent_kernel.size]
        assert case.batch * case.time * sum(weights) >= 3 * MULTIPLY_ADDS_OF_A_THREAD
