import inspect

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call
from ferrnn._src.cells.protocol import DropoutMasks
from ferrnn.layers import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from ferrnn.testing import check_vjp

CELLS = [LSTMCell, GRUCell, SimpleRNNCell]
each_cell = each_case("kind", CELLS)


def random_cell(kind, units=3, features=2, **options):
    cell = kind(units, dtype="float64", **options)
    cell.build((None, features))
    rng = np.random.default_rng(4)
    for weight in cell.weights:
        weight.assign(rng.normal(size=weight.shape))
    return cell


def arrays(cell, batch=4, features=2):
    rng = np.random.default_rng(5)
    states = cell.get_initial_state(batch)
    return rng.normal(size=(batch, features)), [rng.normal(size=s.shape) for s in states]


@each_cell
def test_weights_have_keras_names_order_and_shapes(kind):
    cell = kind(5)
    cell.build((None, 3))
    gates = cell.gates
    bias = (2, 15) if kind is GRUCell else (5 * gates,)
    assert [weight.name for weight in cell.weights] == ["kernel", "recurrent_kernel", "bias"]
    assert [weight.shape for weight in cell.weights] == [(3, 5 * gates), (5, 5 * gates), bias]
    assert GRUCell(5, reset_after=False).bias_shape == (15,)
    plain = kind(5, use_bias=False)
    plain.build((None, 3))
    assert plain.bias is None
    assert len(plain.weights) == 2


@each_cell
def test_weights_start_as_in_keras(kind):
    cell = kind(5, dtype="float64")
    cell.build((None, 3))
    kernel, recurrent, bias = cell.get_weights()
    limit = np.sqrt(6 / (3 + 5 * cell.gates))
    assert 0.8 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), atol=1e-12)
    if kind is LSTMCell:
        assert bias.tolist() == [0] * 5 + [1] * 5 + [0] * 10
    else:
        assert not bias.any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"bias_initializer": "ones"}, [1] * 8),
        ({"unit_forget_bias": False}, [0] * 8),
        ({"unit_forget_bias": False, "bias_initializer": "ones"}, [1] * 8),
    ],
)
def test_forget_bias_leaves_the_rest_to_its_initializer(options, expected):
    cell = LSTMCell(2, **options)
    cell.build((None, 3))
    assert cell.bias.value.tolist() == expected


def test_settings_stand_in_keras_order():
    def names(kind):
        return [name for name in inspect.signature(kind).parameters if name != "kwargs"]

    start = ["units", "activation", "recurrent_activation", "use_bias"]
    start += ["kernel_initializer", "recurrent_initializer", "bias_initializer"]
    end = [f"{part}_regularizer" for part in ("kernel", "recurrent", "bias")]
    end += [f"{part}_constraint" for part in ("kernel", "recurrent", "bias")]
    end += ["dropout", "recurrent_dropout"]
    assert names(LSTMCell) == [*start, "unit_forget_bias", *end, "seed"]
    assert names(GRUCell) == [*start, *end, "reset_after", "seed"]
    start.remove("recurrent_activation")
    assert names(SimpleRNNCell) == [*start, *end, "seed"]


@each_cell
def test_state_sizes_are_those_of_keras(kind):
    cell = kind(4)
    assert cell.state_size == ([4, 4] if kind is LSTMCell else 4)
    assert cell.output_size == 4
    assert [state.shape for state in cell.get_initial_state(2)] == [(2, 4)] * (
        2 if kind is LSTMCell else 1
    )


@each_cell
def test_states_come_back_as_they_were_nested(kind):
    cell = kind(4)
    _, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    assert type(states) is list
    if kind is not LSTMCell:
        output, state = cell(np.ones((2, 3)), np.zeros((2, 4)))
        np.testing.assert_array_equal(output, state)


@each_cell
@each_case("masks", ["none", "shared", "gates", "inputs", "recurrent"])
@each_case("bias", [True, False])
def test_gradients_of_a_step_match_finite_differences(kind, masks, bias):
    for options in [{}] if kind is not GRUCell else [{}, {"reset_after": False}]:
        cell = random_cell(kind, use_bias=bias, **options)
        x, states = arrays(cell)
        rng = np.random.default_rng(6)
        count = cell.gates if masks in ("gates", "recurrent") else 1
        dropout = DropoutMasks(
            None if masks in ("none", "recurrent") else rng.normal(size=(count, 4, 2)),
            None if masks in ("none", "inputs") else rng.normal(size=(count, 4, 3)),
        )

        def forward(everything, cell=cell, dropout=dropout):
            inputs, *states = everything
            call = Call(differentiable=True)
            (output, new), vjp = cell.step(inputs, tuple(states), call, dropout)

            def back(d_all, grads):
                d_inputs, d_states = vjp(d_all[0], d_all[1:], grads)
                return (d_inputs, *d_states)

            return (output, *new), back

        check_vjp(forward, (x, *states), cell.weights)


@each_case(
    ("kind", "options", "inputs", "recurrent"),
    [
        (LSTMCell, {"dropout": 0.5}, 1, None),
        (LSTMCell, {"dropout": 0.5, "implementation": 1}, 4, None),
        (LSTMCell, {"recurrent_dropout": 0.5}, None, 4),
        (LSTMCell, {"dropout": 0.5, "recurrent_dropout": 0.5}, 4, 4),
        (GRUCell, {"dropout": 0.5}, 1, None),
        (GRUCell, {"dropout": 0.5, "recurrent_dropout": 0.5}, 3, 3),
        (SimpleRNNCell, {"dropout": 0.5, "recurrent_dropout": 0.5}, 1, 1),
        (LSTMCell, {"dropout": 1.0, "recurrent_dropout": 1.0}, None, None),
        (SimpleRNNCell, {"dropout": 1.0}, 1, None),
    ],
)
def test_dropout_masks_are_as_many_as_in_keras(kind, options, inputs, recurrent):
    cell = kind(3, **options)
    masks = cell.draw_dropout(5, 2) or DropoutMasks()
    assert (None if masks.inputs is None else masks.inputs.shape) == (inputs and (inputs, 5, 2))
    wanted = recurrent and (recurrent, 5, 3)
    assert (None if masks.recurrent is None else masks.recurrent.shape) == wanted


def test_a_rate_of_one_drops_the_inputs_of_a_simple_rnn_only():
    assert not SimpleRNNCell(3, dropout=1.0).draw_dropout(5, 2).inputs.any()
    assert GRUCell(3, dropout=1.0).draw_dropout(5, 2) is None


@each_cell
def test_rates_are_brought_into_range_and_recurrent_dropout_splits_the_gates(kind):
    cell = kind(3, dropout=-1, recurrent_dropout=2)
    assert (cell.dropout, cell.recurrent_dropout, cell.implementation) == (0, 1, 1)
    assert kind(3).implementation == 2


@each_cell
def test_a_called_cell_drops_in_training_only(kind):
    cell = kind(30, dropout=0.5, seed=1)
    x, states = np.ones((2, 8)), cell.get_initial_state(2)
    plain = cell(x, states)[0]
    np.testing.assert_array_equal(cell(x, states)[0], plain)
    dropped = cell(x, states, training=True)[0]
    assert not np.array_equal(dropped, plain)
    assert not np.array_equal(dropped[0], dropped[1])


@each_cell
def test_the_configuration_makes_an_equal_cell(kind):
    cell = kind(3, activation="relu", use_bias=False, dropout=0.1, seed=4, name="mine")
    again = kind.from_config(cell.get_config())
    assert again.get_config() == cell.get_config()
    assert again.name == "mine"


@each_cell
@each_case("units", [0, -1, 2.5, "3", None, True])
def test_units_must_be_a_positive_integer(kind, units):
    with pytest.raises(ValueError, match=r"argument `units`, expected a positive integer, got"):
        kind(units)


@each_cell
def test_weights_carry_their_regularizers_and_constraints(kind):
    cell = kind(3, recurrent_regularizer="l2", bias_constraint="non_neg")
    cell.build((None, 2))
    found = [(w.regularizer is not None, w.constraint is not None) for w in cell.weights]
    assert found == [(False, False), (True, False), (False, True)]
    assert cell.recurrent_regularizer is cell.recurrent_kernel.regularizer
    assert kind.from_config(cell.get_config()).get_config() == cell.get_config()


@each_cell
def test_other_bad_settings_are_named(kind):
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to"):
        kind(3, unit=4)
    with pytest.raises(TypeError, match="`dropout` must be a number"):
        kind(3, dropout="0.5")
    with pytest.raises(ValueError, match="`recurrent_dropout` must be a number"):
        kind(3, recurrent_dropout=float("nan"))
    with pytest.raises(ValueError, match="Could not interpret activation"):
        kind(3, activation="tan")
    with pytest.raises(ValueError, match="known number of features"):
        kind(3).build((None, None))


@each_cell
def test_a_step_refuses_what_does_not_fit(kind):
    cell = kind(3, name="mine")
    states = cell.get_initial_state(2)
    cell(np.ones((2, 4)), states)
    for bad in (np.ones((3, 4)), np.ones((2, 5)), np.ones(4), np.ones((2, 4, 1))):
        with pytest.raises(ValueError, match="the cell 'mine' must be given inputs"):
            cell(bad, states)
    with pytest.raises(ValueError, match="the cell 'mine' must be given inputs"):
        cell(np.ones((2, 4)), [*states, states[0]])


def test_a_stack_is_its_cells_one_on_another():
    cells = [random_cell(GRUCell, 3, 2), random_cell(LSTMCell, 4, 3)]
    stack = StackedRNNCells(cells, dtype="float64")
    assert stack.state_size == [3, [4, 4]]
    x, (h, *others) = np.ones((5, 2)), stack.get_initial_state(5)
    output, states = stack(x, [h, *others])
    first, below = cells[0](x, h)
    second, above = cells[1](first, others[0])
    np.testing.assert_array_equal(output, second)
    np.testing.assert_array_equal(states[0], below)
    np.testing.assert_array_equal(states[1], above)


def test_a_stack_within_a_stack_works():
    inner = StackedRNNCells([SimpleRNNCell(3), GRUCell(4)])
    stack = StackedRNNCells([inner, LSTMCell(5)])
    output, states = stack(np.ones((2, 6)), stack.get_initial_state(2))
    assert output.shape == (2, 5)
    assert [np.shape(state) for state in states[1]] == [(2, 5), (2, 5)]
    assert stack.state_size == [[3, 4], [5, 5]]


def test_a_stack_refuses_what_is_no_cell():
    with pytest.raises(ValueError, match="at least one cell"):
        StackedRNNCells([])
    with pytest.raises(ValueError, match="All cells must have a `call` method"):
        StackedRNNCells([3])

    class Stateless:
        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(ValueError, match="All cells must have a `state_size` attribute"):
        StackedRNNCells([Stateless()])
