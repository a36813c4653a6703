"""Users' cells as programs of the engine give what their steps in Python give."""

import logging

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, layers, ops
from ferrnn._src.programs import telling
from ferrnn._src.sequence import programmed, stepwise
from ferrnn.testing import check_vjp
from program_comparison import TOLERANCES, agree, drawn, made
from users_cells import ALL, LongCell, MinimalCell, Written

each_cell = each_case("kind", ALL)


# Tests of cells that are no programs.
FALL_BACK = {
    "test_what_is_no_program_runs_step_by_step_and_says_so_once",
    "test_attributes_that_a_cell_changes_are_as_steps_leave_them",
}


@pytest.fixture(autouse=True)
def no_message(request, caplog):
    """A cell that runs step by step after all would compare it with itself."""
    telling.forget()
    with caplog.at_level(logging.WARNING, "ferrnn"):
        yield
    if request.function.__name__ not in FALL_BACK:
        assert not caplog.messages


@each_cell
@each_case("dtype", TOLERANCES)
@each_case(("batch", "time"), [(1, 1), (3, 5), (37, 4)])
def test_a_program_gives_what_steps_give(kind, dtype, batch, time):
    cell = made(kind, dtype)
    agree(cell, *drawn(cell, batch, time))


@each_cell
@each_case(
    ("zero", "sequences", "backwards"),  # any two of them
    [(False, False, False), (False, True, True), (True, False, True), (True, True, False)],
)
def test_masks_and_directions_are_those_of_steps(kind, zero, sequences, backwards):
    cell = made(kind)
    mask = np.random.default_rng(3).random((5, 6)) < 0.6
    mask[0], mask[1] = False, True
    inputs, states = drawn(cell, 5, 6)
    inputs[~mask] = np.nan
    agree(
        cell,
        inputs,
        states,
        mask=mask,
        go_backwards=backwards,
        return_sequences=sequences,
        zero_output_for_mask=zero,
    )
    agree(cell, *drawn(cell, 2, 3), go_backwards=backwards, return_sequences=sequences)


@each_cell
def test_gradients_match_finite_differences(kind):
    cell = made(kind)
    layer = layers.RNN(cell, return_sequences=True, return_state=True, dtype="float64")
    inputs, states = drawn(cell, 3, 4)
    layer.build(inputs.shape)
    check_vjp(
        lambda arrays: layer.forward(arrays, Call(differentiable=True)),
        (inputs, *states),
        layer.trainable_weights,
        rtol=1e-5,
    )


@pytest.mark.parametrize("units", [1, 16, 17, 32])
def test_widths_fill_registers_or_leave_a_tail(units):
    for dtype in TOLERANCES:
        cell = made(LongCell, dtype, units=units)
        agree(cell, *drawn(cell, 6, 3))


def test_an_output_may_be_the_input_or_a_state():
    class Passing(Written):
        def call(self, inputs, states):
            return states[0], [inputs]

    class Swapping(Written):
        def __init__(self, **options):
            super().__init__(**options)
            self.state_size = [4, 4]

        def call(self, inputs, states):
            return inputs, [states[1], states[0]]

    for kind in (Passing, Swapping):
        cell = made(kind, units=4) if kind is Passing else made(kind)
        agree(cell, *drawn(cell, 3, 4))


def test_several_inputs_come_in_their_structure():
    class Two(Written):
        def build(self, shapes):
            self.weight("kernel", 4, self.units)

        def call(self, inputs, states):
            h = ops.matmul(inputs["a"], self.kernel) * inputs["b"] + states[0]
            return h, [h]

    cell = Two(dtype="float64")
    cell.build(None)
    rng = np.random.default_rng(1)
    inputs = {"a": rng.normal(size=(3, 2, 4)), "b": rng.normal(size=(3, 2, 5))}
    agree(cell, inputs, (rng.normal(size=(3, 5)),))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_cells_of_a_stack_may_be_programs_and_built_in(masked, backwards, zero):
    kinds = [(MinimalCell, 3), (layers.GRUCell, 4), (LongCell, 5)]
    parts = [kind(units, dtype="float64") for kind, units in kinds]
    stack = layers.StackedRNNCells(parts, dtype="float64")
    stack.build((None, 4))
    rng = np.random.default_rng(2)
    for weight in stack.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    inputs, states = drawn(stack, 4, 5)
    mask = rng.random((4, 5)) < 0.6 if masked else None
    agree(stack, inputs, states, mask=mask, go_backwards=backwards, zero_output_for_mask=zero)


def test_new_weights_and_settings_are_seen():
    class Scaled(MinimalCell):
        factor = 1.0

        def call(self, inputs, states):
            h, states = super().call(inputs, states)
            return h * self.factor, states

    cell = made(Scaled)
    inputs, states = drawn(cell, 2, 3)
    agree(cell, inputs, states)
    cell.kernel.assign(2 * cell.kernel.numpy())
    agree(cell, inputs, states)
    cell.factor = 3.0
    agree(cell, inputs, states)
    cell.kernel.trainable = False
    agree(cell, inputs, states)


def test_training_is_told_to_the_cell():
    class Told(MinimalCell):
        def call(self, inputs, states, training=False):
            h, states = super().call(inputs, states)
            return (2 * h if training else h), states

    layer = layers.RNN(made(Told), dtype="float64")
    x = drawn(layer.cell, 2, 3)[0]
    np.testing.assert_allclose(layer(x, training=True), 2 * layer(x), rtol=1e-12)


def branching(inputs, states):
    return (inputs if ops.max(inputs[:, :1], axis=1) > 0 else states[0]), [inputs]


def looping(inputs, states):
    return ops.cond(ops.sum(inputs[:, 0:1], axis=1) > 0, lambda: inputs, lambda: states[0]), [
        inputs
    ]


def drawing(inputs, states):
    return inputs + np.random.default_rng().normal(), [inputs]


def sorting(inputs, states):
    return ops.sort(inputs), [inputs]


def counting(inputs, states):
    return inputs / inputs.shape[0], [inputs]


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (branching, "a Python branch on a value"),
        (looping, "a Python branch on a value"),
        (sorting, "the operation `sort`"),
        (drawing, "differs between calls"),
        (counting, "depends on the number of rows"),
    ],
)
def test_what_is_no_program_runs_step_by_step_and_says_so_once(step, named, caplog):
    class Odd(Written):
        def call(self, inputs, states):
            return step(inputs, states)

    layer = layers.RNN(Odd(4))
    for _ in range(2):
        assert layer(np.ones((1, 3, 4), "float32")).shape == (1, 4)
    assert [named in message for message in caplog.messages] == [True]
    assert "the cell Odd runs step by step" in caplog.messages[0]


def test_attributes_that_a_cell_changes_are_as_steps_leave_them():
    class Counting(MinimalCell):
        seen = 0

        def call(self, inputs, states):
            self.seen += 1
            return super().call(inputs, states)

    cell = made(Counting)
    programmed.scan(cell, *drawn(cell, 2, 3), Call())
    assert cell.seen == 3


def test_the_environment_turns_programs_off(monkeypatch):
    cell = made(MinimalCell)
    inputs, states = drawn(cell, 2, 3)
    monkeypatch.setenv("FERRNN_PLAN", "0")
    off = programmed.scan(cell, inputs, states, Call())[0]
    np.testing.assert_array_equal(off, stepwise.scan(cell, inputs, states, Call())[0])
