import copy
import json
import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, Layer
from ferrnn._src.layer.masked import mask_of
from ferrnn._src.tree.results import Output
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    GRUCell,
    Input,
    LSTMCell,
    Masking,
    SimpleRNN,
)
from ferrnn.models import Model
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 5, 2))
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]], bool)
MODES = ["concat", "sum", "mul", "ave", None]
each_mode = each_case("mode", MODES)


def flat(values):
    if isinstance(values, list | tuple):
        return [leaf for part in values for leaf in flat(part)]
    return [np.asarray(values)]


@each_mode
@each_case("mask", [None, MASK], ids=["plain", "masked"])
@each_case("options", [{}, {"return_sequences": True}, {"return_state": True}])
def test_gradients_match_finite_differences(mode, mask, options):
    layer = Bidirectional(LSTM(3, dtype="float64", **options), merge_mode=mode)
    layer.build(X.shape)
    call = Call(differentiable=True, mask=mask)
    states = [RNG.normal(size=(3, 3)) for _ in range(4)]
    for inputs in (X, (X, *states)):
        check_vjp(lambda given: layer.forward(given, call), inputs, layer.weights)


@each_mode
def test_gradients_may_come_in_another_dtype(mode):
    layer = Bidirectional(LSTM(3, return_sequences=True), merge_mode=mode)
    inputs = X.astype("float32")
    outputs, vjp = layer.forward(inputs, Call(differentiable=True))
    each = outputs if mode is None else (outputs,)
    seeds = tuple(RNG.normal(size=part.shape).astype("float32") for part in each)
    found = []
    for dtype in ("float32", "float64"):
        grads = Gradients()
        given = tuple(seed.astype(dtype) for seed in seeds)
        d_inputs = vjp(given if mode is None else given[0], grads)
        found.append([d_inputs, *(grads[weight] for weight in layer.weights)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert other.dtype == "float32"


def test_gradients_of_one_direction_in_steps_and_one_in_the_engine():
    back = GRU(3, activation="mish", go_backwards=True, return_sequences=True, dtype="float64")
    layer = Bidirectional(SimpleRNN(4, return_sequences=True, dtype="float64"), backward_layer=back)
    layer.build(X.shape)
    assert layer(X).shape == layer.compute_output_shape(X.shape) == (3, 5, 7)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True, mask=MASK)), X, layer.weights)


@each_mode
@each_case("kind", [LSTM, GRU, SimpleRNN])
def test_outputs_are_those_of_two_layers(kind, mode):
    layer = Bidirectional(kind(4, return_sequences=True, return_state=True), merge_mode=mode)
    returned = layer(X, mask=MASK)
    ahead = layer.forward_layer(X, mask=MASK)
    back = layer.backward_layer(X, mask=MASK)
    one, two = np.asarray(ahead[0]), np.asarray(back[0])[:, ::-1]
    merged = {
        "concat": np.concatenate([one, two], axis=2),
        "sum": one + two,
        "mul": one * two,
        "ave": (one + two) / 2,
        None: (one, two),
    }[mode]
    expected = flat((merged, ahead[1:], back[1:]))
    for given, wanted in zip(flat(returned), expected, strict=True):
        np.testing.assert_array_equal(given, wanted)
    assert not np.asarray(one)[~MASK].any()
    assert not np.asarray(two)[~MASK].any()


def test_the_last_output_of_each_direction_has_seen_all():
    layer = Bidirectional(GRU(4))
    plain = layer(X)
    assert plain.shape == (3, 8)
    np.testing.assert_array_equal(plain[:, 4:], layer.backward_layer(X))
    shorter = layer(X[:, 1:])
    assert not np.allclose(plain[:, 4:], shorter[:, 4:])


def test_the_given_layer_is_copied_but_not_a_backward_layer():
    given, back = LSTM(4, name="mine"), LSTM(4, go_backwards=True, name="other")
    given(X)
    layer = Bidirectional(given, backward_layer=back)
    layer(X)
    assert layer.name == "bidirectional"
    assert [layer.forward_layer.name, layer.backward_layer.name] == ["forward_mine", "other"]
    assert layer.backward_layer is back
    assert layer.forward_layer is not given
    assert not np.array_equal(layer.weights[0].value, given.weights[0].value)
    paths = [weight.path for weight in layer.weights]
    assert paths[0] == "bidirectional/forward_mine/lstm_cell/kernel"
    assert paths[3] == "bidirectional/other/lstm_cell/kernel"


def test_weights_count_and_training_can_be_switched_off():
    layer = Bidirectional(GRU(4, dropout=0.5, seed=1))
    layer.build((None, None, 2))
    assert len(layer.weights) == len(layer.trainable_weights) == 6
    assert layer.count_params() == 2 * layer.forward_layer.count_params()
    layer.trainable = False
    assert layer.trainable_weights == []
    assert not layer.forward_layer.trainable
    assert not Bidirectional(GRU(4), trainable=False).backward_layer.trainable
    values = [RNG.normal(size=weight.shape) for weight in layer.weights]
    given = Bidirectional(GRU(4, dtype="float64"), weights=values)
    given.build((None, None, 2))
    for weight, value in zip(given.weights, values, strict=True):
        np.testing.assert_array_equal(weight.value, value)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_gives_the_same(copied):
    layer = Bidirectional(LSTM(4))
    np.testing.assert_array_equal(copied(layer)(X), layer(X))


# Masks, states.


@each_mode
def test_masks_go_in_and_out(mode):
    layer = Bidirectional(LSTM(4, return_sequences=True), merge_mode=mode)
    outputs = layer(Masking()(X * MASK[..., None]))
    for output in outputs if mode is None else [outputs]:
        np.testing.assert_array_equal(mask_of(output), MASK)
    by_mask = layer(X, mask=MASK)
    for one, two in zip(flat(outputs), flat(by_mask), strict=True):
        np.testing.assert_array_equal(one, two)
    last = Bidirectional(LSTM(4), merge_mode=mode)(X, mask=MASK)
    assert all(type(output) is Output for output in (last if mode is None else [last]))


def test_lengths_are_taken_as_a_mask():
    layer = Bidirectional(GRU(4, return_sequences=True, return_state=True))
    outputs, ahead, back = layer(X, lengths=[3, 5, 1])
    for row, length in enumerate([3, 5, 1]):
        alone = layer(X[row : row + 1, :length])
        np.testing.assert_array_equal(outputs[row, :length], alone[0][0])
        np.testing.assert_array_equal(ahead[row], alone[1][0])
        np.testing.assert_array_equal(back[row], alone[2][0])
    np.testing.assert_array_equal(mask_of(outputs).sum(axis=1), [3, 5, 1])


def test_compute_mask_names_every_output():
    layer = Bidirectional(LSTM(4, return_sequences=True, return_state=True))
    found = layer.compute_mask(None, MASK)
    assert found[0] is MASK
    assert found[1:] == [None] * 4
    layer = Bidirectional(GRU(4, return_sequences=True), merge_mode=None)
    assert [part is MASK for part in layer.compute_mask(None, MASK)] == [True, True]
    assert Bidirectional(GRU(4)).compute_mask(None, MASK) is None


def test_initial_states_of_both_directions():
    layer = Bidirectional(LSTM(4, return_sequences=True, return_state=True))
    whole = layer(X)
    states = [RNG.normal(size=(3, 4)) for _ in range(4)]
    returned = layer(X, initial_state=states)
    assert not np.allclose(returned[0], whole[0])
    ahead = layer.forward_layer(X, initial_state=states[:2])
    np.testing.assert_array_equal(returned[1], ahead[1])
    for count in (1, 2, 3, 5):
        with pytest.raises(ValueError, match=f"must hold 4 states.* received {count}"):
            layer(X, initial_state=states[:1] * count)


def test_initial_states_of_a_stack_are_nested_as_they_are_returned():
    layer = Bidirectional(RNN([LSTMCell(4), GRUCell(3)], return_state=True))
    _, *states = layer(X)
    assert [np.shape(state[0]) for state in states] == [(3, 4), (3, 3)] * 2
    again = layer(X, initial_state=states)
    np.testing.assert_array_equal(again[0], layer(X, initial_state=flat(states))[0])


def test_a_stateful_layer_keeps_the_states_of_both_directions():
    layer = Bidirectional(GRU(4, stateful=True, return_state=True))
    assert layer.stateful
    assert layer.states is None
    _, ahead, back = layer(X)
    np.testing.assert_array_equal(layer.states[0], ahead)
    np.testing.assert_array_equal(layer.states[1], back)
    second = layer(X)
    layer.reset_state()
    assert not any(state.any() for state in layer.states)
    layer(X)
    np.testing.assert_array_equal(layer(X)[0], second[0])
    layer.reset_state([ahead, back])
    np.testing.assert_array_equal(layer.states[1], back)
    with pytest.raises(ValueError, match=r"`states` of layer .* must hold 2 states"):
        layer.reset_state([ahead])
    with pytest.raises(AttributeError, match="Layer must be stateful"):
        Bidirectional(GRU(4)).reset_state()


# Dropout, penalties, custom classes.


def test_dropout_is_drawn_for_each_direction_and_repeats_with_the_seed():
    first = Bidirectional(LSTM(4, dropout=0.5, recurrent_dropout=0.5, seed=3))
    again = Bidirectional(LSTM(4, dropout=0.5, recurrent_dropout=0.5, seed=3))
    for layer in (first, again):
        layer.build(X.shape)
    again.set_weights(first.get_weights())
    np.testing.assert_array_equal(first(X, training=True), again(X, training=True))
    assert not np.array_equal(first(X, training=True), first(X))


def test_penalties_of_both_directions_count():
    layer = Bidirectional(LSTM(4, kernel_regularizer="l2", activity_regularizer="l1"))
    layer(X)
    assert len(layer.losses) == 4
    losses = []
    layer.forward_with_losses(X.astype("float32"), Call(losses=losses))
    assert losses == layer.losses[:2]


def test_a_layer_of_your_own_runs_as_it_is_written():
    class Doubled(LSTM):
        def forward(self, inputs, call):
            outputs, vjp = super().forward(inputs, call)
            return 2 * outputs, vjp and (lambda d, grads: vjp(2 * d, grads))

    given = {"return_sequences": True, "dtype": "float64", "seed": 1}
    for one, two in ((Doubled, LSTM), (LSTM, Doubled), (Doubled, Doubled)):
        layer = Bidirectional(one(3, **given), backward_layer=two(3, go_backwards=True, **given))
        plain = Bidirectional(LSTM(3, **given))
        layer.build(X.shape), plain.build(X.shape)
        layer.set_weights(plain.get_weights())
        factors = np.repeat([1 + (kind is Doubled) for kind in (one, two)], 3)
        np.testing.assert_array_equal(layer(X), plain(X) * factors)
        check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), X, layer.weights)  # noqa: B023


def test_a_cell_of_your_own_is_made_anew_for_each_direction():
    class Halved(LSTMCell):
        def step(self, inputs, states, call, dropout=None):
            return super().step(inputs / 2, states, call, dropout)

    class Plain:
        state_size = 2

        def call(self, inputs, states):
            return inputs + states[0], [inputs + states[0]]

    layer = Bidirectional(RNN(Halved(4)))
    assert type(layer.backward_layer.cell) is Halved
    assert layer.backward_layer.cell is not layer.forward_layer.cell
    again = Bidirectional.from_config(layer.get_config(), custom_objects={"Halved": Halved})
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="'Halved' is not known: pass it in `custom_objects`"):
        Bidirectional.from_config(json.loads(json.dumps(layer.get_config())))
    plain = Bidirectional(RNN(Plain()), merge_mode="ave")
    np.testing.assert_allclose(plain(X), X.sum(axis=1), rtol=1e-5)


# Errors.


def test_what_is_no_recurrent_layer_is_refused():
    for wrong in (LSTMCell, "lstm", None):
        with pytest.raises(ValueError, match=r"Please initialize `Bidirectional` layer with a"):
            Bidirectional(wrong)
    with pytest.raises(ValueError, match=r"`backward_layer` need to be a `keras.layers.Layer`"):
        Bidirectional(LSTM(4), backward_layer="lstm")
    with pytest.raises(ValueError, match=r"'dense' cannot be made bidirectional.*'go_backwards'"):
        Bidirectional(Dense(4, name="dense"))
    assert issubclass(Bidirectional, Layer)


def test_layers_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"Invalid merge mode. Received: 'max'"):
        Bidirectional(LSTM(4), merge_mode="max")
    with pytest.raises(ValueError, match="should have different `go_backwards` value"):
        Bidirectional(LSTM(4), backward_layer=LSTM(4))
    back = {"go_backwards": True, "return_sequences": True}
    with pytest.raises(ValueError, match='same value for attribute "return_sequences"'):
        Bidirectional(LSTM(4), backward_layer=LSTM(4, **back))
    with pytest.raises(ValueError, match=r"`dtype` of layer 'bidirectional.*' must be that of its"):
        Bidirectional(LSTM(4, dtype="float64"), dtype="float32")
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to Bidirectional"):
        Bidirectional(LSTM(4), units=4)


def test_wrong_inputs_are_refused_by_the_layers_inside():
    layer = Bidirectional(LSTM(4, name="mine"))
    with pytest.raises(ValueError, match=r"layer 'bidirectional'.*expected ndim=3.*found ndim=2"):
        layer(X[0])
    layer(X)
    with pytest.raises(ValueError, match=r"layer 'forward_mine'.*expected 2 features.*found 1"):
        layer(X[..., :1])
    with pytest.raises(ValueError, match="`mask` of layer 'forward_mine'"):
        layer(X, mask=MASK[:, :4])


def test_states_of_both_directions_start_another_layer_in_a_functional_model():
    inputs = Input((None, 2))
    encoder = Bidirectional(LSTM(3, return_state=True), name="encoder")
    outputs, *states = encoder(inputs)
    assert [tuple(part.shape) for part in (outputs, *states)] == [(None, 6), *[(None, 3)] * 4]
    decoder = Bidirectional(LSTM(3, return_sequences=True), merge_mode="sum")
    model = Model(inputs, decoder(inputs, initial_state=states))
    expected = decoder(X, initial_state=list(encoder(X)[1:]))
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    model.compile("sgd", "mse")
    before = encoder.get_weights()
    model.train_on_batch(X, np.ones((3, 5, 3)))
    for old, new in zip(before, encoder.get_weights(), strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_the_copies_have_the_setting_of_cudnn(kind):
    layer = Bidirectional(kind(2, use_cudnn=False))
    assert [layer.forward_layer.use_cudnn, layer.backward_layer.use_cudnn] == [False, False]
    assert "use_cudnn" not in layer.forward_layer.get_config()
