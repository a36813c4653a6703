"""What `stepwise` defines, restated row by row without masks."""

from functools import partial

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, layers
from ferrnn._src.activations import activations
from ferrnn._src.cells.base import Cell
from ferrnn._src.cells.protocol import DropoutMasks
from ferrnn._src.sequence import fused, stepwise
from ferrnn.activations import Activation
from ferrnn.layers import LSTM, Bidirectional, GRUCell, LSTMCell, SimpleRNNCell
from ferrnn.testing import check_vjp

ENGINES = each_case("scan", [stepwise.scan, fused.scan], ids=["stepwise", "fused"])
BUILT_IN = [getattr(layers, name) for name in dir(layers) if name.endswith("Cell")]
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)


class Doubling(Cell):
    """A cell whose output, `[x, h]`, has another shape than its state, a running sum."""

    def __init__(self, features):
        super().__init__(dtype="float64")
        self.state_size = features
        self.built = True

    @property
    def output_size(self):
        return 2 * self.state_size

    def step(self, inputs, states, call):
        h = states[0] + inputs

        def vjp(d_output, d_states, grads):
            d_x, d_h = np.split(d_output, 2, axis=1)
            d_sum = d_h + d_states[0]
            return d_x + d_sum, (d_sum,)

        return (np.concatenate([inputs, h], axis=1), (h,)), vjp


def lstm(units=3, features=2):
    cell = LSTMCell(units, dtype="float64", bias_initializer="random_normal")
    cell.build((None, features))
    return cell


def problem(cell, batch=4, time=5, features=2):
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(batch, time, features))
    states = tuple(rng.normal(size=(batch, cell.units)) for _ in range(2))
    return inputs, states


@ENGINES
@each_case("zeroed", [False, True])
@each_case("backwards", [False, True])
def test_a_mask_leaves_out_steps_and_repeats_the_output(scan, zeroed, backwards):
    cell = lstm()
    inputs, states = problem(cell)
    options = {"go_backwards": backwards, "zero_output_for_mask": zeroed}
    outputs, final, _ = scan(cell, inputs, states, Call(), mask=MASK, **options)
    last, _, _ = scan(cell, inputs, states, Call(), mask=MASK, return_sequences=False, **options)
    for row in range(4):
        order = range(4, -1, -1) if backwards else range(5)
        h, c = (state[row : row + 1] for state in states)
        for index, t in enumerate(order):
            if MASK[row, t]:
                (h, (_, c)), _ = cell.step(inputs[row : row + 1, t], (h, c), Call())
            expected = np.zeros_like(h) if zeroed and not MASK[row, t] else h
            np.testing.assert_allclose(outputs[row, index], expected[0], rtol=1e-12)
        np.testing.assert_allclose(final[0][row], h[0], rtol=1e-12)
        np.testing.assert_allclose(final[1][row], c[0], rtol=1e-12)
        np.testing.assert_array_equal(last[row], outputs[row, -1])


@ENGINES
def test_no_step_gives_the_initial_state(scan):
    cell = lstm()
    inputs, states = problem(cell, time=0)
    call = Call(differentiable=True)
    outputs, final, _ = scan(cell, inputs, states, call)
    last, _, vjp = scan(cell, inputs, states, call, return_sequences=False)
    assert outputs.shape == (4, 0, 3)
    np.testing.assert_array_equal(last, states[0])
    np.testing.assert_array_equal(final, states)
    ones = np.ones((4, 3))
    d_inputs, (d_h, d_c) = vjp(ones, (2 * ones, 3 * ones), Gradients())
    assert d_inputs.shape == (4, 0, 2)
    np.testing.assert_array_equal(d_h, 3 * ones)
    np.testing.assert_array_equal(d_c, 3 * ones)


@ENGINES
def test_an_empty_batch_gives_empty_results(scan):
    cell = lstm()
    inputs, states = problem(cell, batch=0)
    outputs, final, vjp = scan(cell, inputs, states, Call(differentiable=True))
    assert outputs.shape == (0, 5, 3)
    assert [state.shape for state in final] == [(0, 3), (0, 3)]
    grads = Gradients()
    d_inputs, d_states = vjp(outputs, None, grads)
    assert d_inputs.shape == (0, 5, 2)
    assert [state.shape for state in d_states] == [(0, 3), (0, 3)]
    assert not any(grads[weight].any() for weight in cell.weights)


@ENGINES
def test_nan_stays_in_its_row_and_behind_a_mask_is_never_read(scan):
    cell = lstm()
    inputs, states = problem(cell)
    clean, _, _ = scan(cell, inputs, states, Call())
    inputs[1, 2] = np.nan
    outputs, _, _ = scan(cell, inputs, states, Call())
    assert np.isnan(outputs[1, 2:]).all()
    np.testing.assert_array_equal(outputs[1, :2], clean[1, :2])
    np.testing.assert_array_equal(outputs[[0, 2, 3]], clean[[0, 2, 3]])
    mask = ~np.isnan(inputs).any(axis=2)
    outputs, _, vjp = scan(cell, inputs, states, Call(differentiable=True), mask=mask)
    grads = Gradients()
    d_inputs, _ = vjp(np.ones_like(outputs), None, grads)
    assert np.isfinite(outputs).all()
    assert np.isfinite(d_inputs).all()
    assert all(np.isfinite(gradient).all() for _, gradient in grads.items())
    assert not d_inputs[1, 2].any()


@ENGINES
def test_a_masked_step_has_no_gradient_even_from_a_lost_state(scan):
    cell = lstm()
    inputs, states = problem(cell)
    inputs[3, 0] = np.nan
    mask = np.ones((4, 5), bool)
    mask[3, 2] = False
    outputs, _, vjp = scan(cell, inputs, states, Call(differentiable=True), mask=mask)
    d_inputs, _ = vjp(np.ones_like(outputs), None, Gradients())
    assert np.isnan(d_inputs[3, 3]).all()
    assert d_inputs[3, 2].tolist() == [0, 0]


@ENGINES
def test_missing_gradients_are_zeros(scan):
    cell = lstm()
    inputs, states = problem(cell)
    outputs, _, vjp = scan(cell, inputs, states, Call(differentiable=True))
    zeros, ones = np.zeros_like(outputs), np.ones((4, 3))

    def gradients(d_outputs, d_final):
        grads = Gradients()
        d_inputs, d_states = vjp(d_outputs, d_final, grads)
        return [d_inputs, *d_states, *(grads[weight] for weight in cell.weights)]

    for given, full in [
        ((None, (ones, None)), (zeros, (ones, 0 * ones))),
        ((outputs, None), (outputs, (0 * ones, 0 * ones))),
        ((None, (None, ones)), (zeros, (0 * ones, ones))),
    ]:
        for one, two in zip(gradients(*given), gradients(*full), strict=True):
            np.testing.assert_array_equal(one, two)


@ENGINES
def test_gradients_of_inputs_are_left_out_unless_wanted(scan):
    cell = lstm()
    inputs, states = problem(cell)
    call = Call(differentiable=True, inputs_need_gradient=False)
    outputs, _, vjp = scan(cell, inputs, states, call)
    grads = Gradients()
    d_inputs, d_states = vjp(outputs, None, grads)
    assert d_inputs is None
    assert len(d_states) == 2
    assert len(grads) == 3


def test_consumed_residuals_give_the_same_once():
    cell = lstm()
    inputs, states = problem(cell)
    results = []
    for consume in (False, True):
        outputs, _, vjp = fused.scan(
            cell, inputs, states, Call(differentiable=True, consume=consume)
        )
        grads = Gradients()
        d_inputs, _ = vjp(outputs, None, grads)
        results.append([d_inputs, *(grads[weight] for weight in cell.weights)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(RuntimeError):
        vjp(outputs, None, Gradients())


def test_an_output_of_another_shape_starts_from_zeros():
    cell = Doubling(2)
    inputs = np.ones((4, 5, 2))
    start = (np.full((4, 2), 7.0),)
    outputs, (final,), _ = stepwise.scan(cell, inputs, start, Call(), mask=MASK)
    assert not outputs[1, :2].any()
    assert outputs[1, 2].tolist() == [1, 1, 8, 8]
    assert outputs[0, 2].tolist() == outputs[0, 1].tolist() == [1, 1, 9, 9]
    assert final[:, 0].tolist() == [10, 9, 7, 12]
    empty, _, _ = stepwise.scan(cell, inputs[:, :0], start, Call(), return_sequences=False)
    assert empty.tolist() == np.zeros((4, 4)).tolist()


@each_case("sequences", [True, False])
@each_case("mask", [None, MASK])
@each_case("zeroed", [True, False])
def test_gradients_of_a_cell_with_another_output_shape(mask, sequences, zeroed):
    cell = Doubling(2)

    def forward(arrays):
        outputs, final, vjp = stepwise.scan(
            cell,
            arrays[0],
            arrays[1:],
            Call(differentiable=True),
            mask=mask,
            return_sequences=sequences,
            zero_output_for_mask=zeroed,
        )

        def back(d_all, grads):
            d_inputs, d_states = vjp(d_all[0], d_all[1:], grads)
            return (d_inputs, *d_states)

        return (outputs, *final), back

    rng = np.random.default_rng(3)
    check_vjp(forward, (rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 2))))


def test_only_exactly_a_built_in_cell_with_known_activations_is_fused():
    class Mine(SimpleRNNCell):
        pass

    assert fused.supports(SimpleRNNCell(3))
    assert fused.supports(LSTMCell(3, activation="gelu", recurrent_activation="hard_sigmoid"))
    assert not fused.supports(Mine(3))
    assert not fused.supports(LSTMCell(3, activation="softmax"))
    assert not fused.supports(LSTMCell(3, recurrent_activation=np.tanh))
    assert not fused.supports(Doubling(3))


def test_every_way_of_writing_a_weight_reaches_the_engine():
    cell = lstm()
    inputs, states = problem(cell)

    def outputs():
        return fused.scan(cell, inputs, states, Call())[0]

    for weight in cell.weights:
        before = outputs()
        packed = fused.packed_weights(cell)
        assert fused.packed_weights(cell) is packed
        weight.assign(weight.value * 2)
        between = outputs()
        with weight.writing() as array:
            array[...] *= 2
        assert not np.array_equal(before, between)
        assert not np.array_equal(between, outputs())
        expected = stepwise.scan(cell, inputs, states, Call())[0]
        np.testing.assert_allclose(outputs(), expected, rtol=1e-12)


@ENGINES
@each_case("masks", [None, DropoutMasks(np.ones((1, 4, 2)), np.ones((1, 4, 3)))])
@each_case("cell", [LSTMCell, GRUCell, partial(GRUCell, reset_after=False), SimpleRNNCell])
def test_the_vjp_belongs_to_the_weights_of_its_forward(cell, masks, scan):
    cell = cell(3, dtype="float64")
    cell.build((None, 2))
    inputs = problem(lstm())[0]
    outputs, _, vjp = scan(cell, inputs, None, Call(differentiable=True), dropout=masks)
    before = vjp(outputs, None, Gradients())[0]
    for weight in cell.weights:
        with weight.writing() as array:
            array[...] *= 2
    np.testing.assert_array_equal(vjp(outputs, None, Gradients())[0], before)
    for weight in cell.weights:
        weight.assign(weight.value * 2)
    np.testing.assert_array_equal(vjp(outputs, None, Gradients())[0], before)


@ENGINES
@each_case("zeroed", [False, True])
def test_no_step_behind_a_mask_gives_the_initial_state(scan, zeroed):
    cell = lstm()
    inputs, states = problem(cell, time=0)
    last, final, vjp = scan(
        cell,
        inputs,
        states,
        Call(differentiable=True),
        mask=np.ones((4, 0), bool),
        return_sequences=False,
        zero_output_for_mask=zeroed,
    )
    np.testing.assert_array_equal(last, states[0])
    np.testing.assert_array_equal(final, states)
    _, (d_h, d_c) = vjp(np.ones((4, 3)), None, Gradients())
    np.testing.assert_array_equal(d_h, np.ones((4, 3)))
    assert not d_c.any()


def test_other_activations_reach_the_engine():
    cell = lstm()
    inputs, states = problem(cell)

    def outputs(scan):
        return scan(cell, inputs, states, Call())[0]

    seen = [outputs(fused.scan)]
    for setting, name in [("activation", "relu"), ("recurrent_activation", "hard_sigmoid")]:
        setattr(cell, setting, activations.get(name))
        seen.append(outputs(fused.scan))
        assert not np.allclose(seen[-1], seen[-2])
        np.testing.assert_allclose(seen[-1], outputs(stepwise.scan), rtol=1e-12)
    cell.activation = "relu"
    assert not fused.supports(cell)
    with pytest.raises(TypeError, match="`activation` must be a callable, received 'relu'"):
        outputs(stepwise.scan)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_class_derived_from_a_built_in_cell_runs_step_by_step(kind):
    sizes = {"projection_units": 2} if "projection_units" in kind.settings else {}
    assert fused.supports(kind(3, **sizes))
    assert not fused.supports(type("Derived", (kind,), {})(3, **sizes))


@pytest.mark.parametrize("kind", BUILT_IN)
def test_whatever_is_written_to_a_cell_reaches_its_next_run(kind):
    sizes = {"projection_units": 2} if "projection_units" in kind.settings else {}
    cell = kind(3, dtype="float64", bias_initializer="random_normal", **sizes)
    cell.build((None, 2))
    inputs = np.random.default_rng(3).normal(size=(4, 5, 2))

    def outputs(scan):
        return scan(cell, inputs, None, Call())[0]

    writes = [partial(weight.assign, weight.value * 2 + 0.1) for weight in cell.weights]
    other = activations.get("softsign")
    for name, value in {"clip": 0.1, "activation": other, "recurrent_activation": other}.items():
        if hasattr(cell, name):
            writes.append(partial(setattr, cell, name, value))
    seen = outputs(fused.scan)
    for write in writes:
        write()
        before, seen = seen, outputs(fused.scan)
        assert not np.allclose(seen, before), write
        np.testing.assert_allclose(seen, outputs(stepwise.scan), rtol=1e-12)


@pytest.mark.parametrize("which", ["activation", "recurrent_activation"])
def test_a_layer_follows_its_cell_out_of_the_engine_and_back(which):
    inputs = np.random.default_rng(5).normal(size=(4, 5, 2)).astype("float32")
    both = Bidirectional(LSTM(3, return_sequences=True))
    cell = both.forward_layer.cell
    before = both(inputs)
    native, cube = getattr(cell, which), Activation("cube", lambda x: x**3, None)
    setattr(cell, which, cube)
    assert not fused.supports(cell)
    expected = stepwise.scan(cell, inputs, None, Call())[0]
    changed = both(inputs)
    np.testing.assert_allclose(changed[..., :3], expected, rtol=1e-5)
    assert not np.allclose(changed[..., :3], before[..., :3])
    np.testing.assert_array_equal(changed[..., 3:], before[..., 3:])
    setattr(cell, which, native)
    np.testing.assert_array_equal(both(inputs), before)


@ENGINES
def test_final_states_are_made_only_if_wanted(scan):
    cell = lstm()
    inputs, states = problem(cell)
    call = Call(differentiable=True)
    outputs, final, vjp = scan(cell, inputs, states, call, mask=MASK)
    same, nothing, same_vjp = scan(cell, inputs, states, call, mask=MASK, final_states=False)
    assert [state.shape for state in final] == [(4, 3), (4, 3)]
    assert nothing == ()
    np.testing.assert_array_equal(same, outputs)
    grads = [Gradients(), Gradients()]
    expected = vjp(np.ones_like(outputs), None, grads[0])
    found = same_vjp(np.ones_like(outputs), None, grads[1])
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(grads[1][cell.kernel], grads[0][cell.kernel])
