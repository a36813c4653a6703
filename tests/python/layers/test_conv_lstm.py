import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call
from ferrnn._src.layer.masked import mask_of
from ferrnn.layers import LSTM, RNN, Bidirectional, ConvLSTM1D
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(8)
X = RNG.normal(size=(2, 3, 7, 2))
MASK = np.array([[True, True, False], [False, True, True]])
OPTIONS = [
    {},
    {"padding": "same", "return_sequences": True},
    {"strides": 2, "return_state": True, "go_backwards": True},
    {"dilation_rate": 2, "return_sequences": True, "use_bias": False},
    {"strides": 3, "padding": "same", "unit_forget_bias": False, "activation": "mish"},
]


@each_case("options", OPTIONS)
@each_case("mask", [None, MASK], ids=["plain", "masked"])
def test_gradients_match_finite_differences(options, mask):
    layer = ConvLSTM1D(3, 3, dtype="float64", **options)
    layer.build(X.shape)
    states = [RNG.normal(size=shape) for shape in np.repeat([_state(layer)], 2, axis=0)]
    check_vjp(
        lambda given: layer.forward(given, Call(differentiable=True, mask=mask)),
        (X, *states),
        layer.weights,
    )


def _state(layer):
    return (2, *layer.cell.window.counts((7,)), 3)


def test_gradients_with_dropout_masks_for_each_gate_match_finite_differences():
    layer = ConvLSTM1D(3, 3, dropout=0.4, recurrent_dropout=0.3, seed=1, dtype="float64")
    layer.build(X.shape)

    def forward(x):
        layer.cell.seed_generator.counter = 0
        return layer.forward(x, Call(training=True, differentiable=True))

    check_vjp(forward, X, layer.weights)
    assert not np.allclose(layer(X, training=True), layer(X))
    assert layer.cell.draw_dropout(2, 2).inputs.shape == (4, 2, 7, 2)


def test_one_place_and_one_tap_is_an_lstm():
    layer = ConvLSTM1D(4, 1, return_sequences=True, return_state=True, dtype="float64")
    plain = LSTM(4, return_sequences=True, return_state=True, dtype="float64")
    x = RNG.normal(size=(3, 5, 1, 2))
    layer.build(x.shape)
    plain.build((3, 5, 2))
    kernel, recurrent, bias = layer.get_weights()
    plain.set_weights([kernel[0], recurrent[0], bias])
    for one, two in zip(layer(x), plain(x[:, :, 0]), strict=True):
        np.testing.assert_allclose(one.reshape(two.shape), two, rtol=1e-12)


@pytest.mark.parametrize("backwards", [False, True])
def test_padding_at_the_end_changes_nothing(backwards):
    layer = ConvLSTM1D(3, 2, return_state=True, go_backwards=backwards)
    longer = np.concatenate([X, np.full((2, 2, 7, 2), np.nan)], axis=1)
    for one, two in zip(layer(longer, lengths=[3, 3]), layer(X), strict=True):
        np.testing.assert_array_equal(one, two)
    outputs = ConvLSTM1D(3, 2, return_sequences=True)(longer, lengths=[3, 3])
    assert mask_of(outputs).sum() == 6


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_state": True}])
def test_features_may_come_first(options):
    last = ConvLSTM1D(3, 2, dtype="float64", **options)
    first = ConvLSTM1D(3, 2, dtype="float64", data_format="channels_first", **options)
    turned = np.swapaxes(X, 2, 3)
    last.build(X.shape)
    first.build(turned.shape)
    first.set_weights(last.get_weights())
    expected, found = last(X), first(turned)
    if not options.get("return_state"):
        expected, found = [expected], [found]
    shapes = first.compute_output_shape(turned.shape)
    assert [part.shape for part in found] == (
        list(shapes) if options.get("return_state") else [shapes]
    )
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_array_equal(np.swapaxes(one, -1, -2), two)
    check_vjp(lambda x: first.forward(x, Call(differentiable=True)), turned, first.weights)


def test_states_are_kept_given_and_reset():
    layer = ConvLSTM1D(3, 2, stateful=True, return_state=True)
    first = layer(X)
    np.testing.assert_array_equal(layer.states[1], first[2])
    second = layer(X)
    layer.reset_state()
    np.testing.assert_array_equal(layer(X)[0], first[0])
    given = ConvLSTM1D(3, 2, return_state=True)
    given.build(X.shape)
    given.set_weights(layer.get_weights())
    np.testing.assert_array_equal(given(X, initial_state=list(first[1:]))[0], second[0])
    with pytest.raises(ValueError, match=r"state 0 .* must have the shape .*\(2, 6, 3\)"):
        given(X, initial_state=[np.zeros((2, 5, 3))] * 2)


def test_both_directions_weights_and_configuration():
    layer = Bidirectional(ConvLSTM1D(3, 2, padding="same", return_sequences=True))
    assert layer(X).shape == layer.compute_output_shape(X.shape) == (2, 3, 7, 6)
    again = Bidirectional.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    options = {"kernel_regularizer": "l2", "recurrent_constraint": "unit_norm"}
    layer = ConvLSTM1D(3, 2, name="mine", **options)
    layer.build((None, None, 7, 2))
    assert [weight.shape for weight in layer.weights] == [(2, 2, 12), (2, 3, 12), (12,)]
    assert layer.weights[0].path == "mine/conv_lstm_cell/kernel"
    assert layer.bias_initializer is layer.cell.bias_initializer
    np.testing.assert_array_equal(layer.weights[2].value, [0] * 3 + [1] * 3 + [0] * 6)
    assert len(layer.losses) == 1


def test_wrong_settings_and_inputs_are_refused():
    with pytest.raises(ValueError, match="is not compatible with `dilation_rate > 1`"):
        ConvLSTM1D(3, 2, strides=2, dilation_rate=2)
    with pytest.raises(ValueError, match="`kernel_size` argument must be a tuple of 1 integers"):
        ConvLSTM1D(3, (2, 2))
    with pytest.raises(ValueError, match="The `padding` argument must be one of"):
        ConvLSTM1D(3, 2, padding="causal")
    with pytest.raises(ValueError, match="argument `units`, expected a positive integer"):
        ConvLSTM1D(0, 2)
    with pytest.raises(ValueError, match=r"must be built for .* of known length and features"):
        ConvLSTM1D(3, 2).build((None, None, None, 2))
    with pytest.raises(ValueError, match="at least 9 places"):
        ConvLSTM1D(3, 9)(X)
    layer = ConvLSTM1D(3, 2)
    layer(X)
    for wrong in (X[:, :, :6], X[:, :0]):
        with pytest.raises(ValueError, match=r"with at least one step and the length 7, received"):
            layer(wrong)
    with pytest.raises(ValueError, match=r"expected ndim=4|at least one step"):
        layer(X[0])
    with pytest.raises(ValueError, match=r"only run in a stream as a layer of a model: `Seq"):
        layer.stream()
    assert isinstance(layer, RNN)
