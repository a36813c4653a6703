import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, Layer
from ferrnn._src.layer.masked import mask_of
from ferrnn._src.layers.time_distributed import _rows_stand_alone
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Dense,
    Dropout,
    Flatten,
    LSTMCell,
    TimeDistributed,
    Wrapper,
)
from ferrnn.models import Sequential
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(6)
X = RNG.normal(size=(3, 5, 2))
DEEP = RNG.normal(size=(2, 3, 4, 2))
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]], bool)


class Shifted(Layer):
    """Depends on the whole batch, so that it must be called step by step."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def forward(self, inputs, call):
        def vjp(d_outputs, grads):
            grads.add(self.scale, (d_outputs * inputs).sum(axis=0))
            return d_outputs * self.scale.value + d_outputs.sum(axis=0) / len(inputs)

        return inputs * self.scale.value + inputs.mean(axis=0), vjp


def step_by_step(layer, x, **options):
    return np.stack([layer(x[:, t], **options) for t in range(x.shape[1])], axis=1)


@each_case(
    ("make", "x"),
    [
        (lambda: Dense(4, "tanh"), X),
        (lambda: Dense(4, "softmax"), DEEP),
        (lambda: LSTM(3), DEEP),
        (lambda: Bidirectional(GRU(3, return_sequences=True)), DEEP),
        (lambda: Sequential([Dense(4), LSTM(2), Dense(1)]), DEEP),
        (Flatten, DEEP),
        (Shifted, X),
        (lambda: Sequential([Shifted(), Dense(2)]), X),
    ],
)
def test_outputs_are_those_of_the_inner_layer_at_each_step(make, x):
    inner = make()
    layer = TimeDistributed(inner)
    outputs = layer(x)
    np.testing.assert_array_equal(outputs, step_by_step(inner, x))
    assert outputs.shape == layer.compute_output_shape(x.shape)
    assert layer.weights == inner.weights


def test_layers_that_treat_rows_alone_get_all_steps_in_one_call():
    alone = [Dense(2), LSTM(2), Bidirectional(GRU(2)), Sequential([Dense(2), Dropout(0.5)])]
    assert all(map(_rows_stand_alone, alone))

    class Mine(LSTMCell):
        pass

    together = [
        Shifted(),
        Sequential([Dense(2), Shifted()]),
        BatchNormalization(),
        LSTM(2, stateful=True),
        RNN(Mine(2)),
        Bidirectional(RNN([LSTMCell(2), Mine(2)])),
    ]
    assert not any(map(_rows_stand_alone, together))


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: Dense(4, "tanh", dtype="float64"), X),
        (lambda: LSTM(3, dtype="float64"), DEEP),
        (lambda: Shifted(dtype="float64"), X),
    ],
)
def test_gradients_match_finite_differences(make, x):
    layer = TimeDistributed(make())
    layer.build(x.shape)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), x, layer.weights)


def test_gradients_by_inputs_are_left_out_if_not_wanted():
    for inner in (Dense(4), Shifted()):
        layer = TimeDistributed(inner)
        layer.build(X.shape)
        call = Call(differentiable=True, inputs_need_gradient=False)
        outputs, vjp = layer.forward(X.astype("float32"), call)
        grads = Gradients()
        assert vjp(np.ones_like(outputs), grads) is None
        assert len(grads) == len(layer.weights)


def test_statistics_of_a_batch_are_those_of_each_step():
    inner = BatchNormalization(momentum=0.5)
    layer = TimeDistributed(inner)
    outputs = layer(X, training=True)
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=1e-5)
    moving = np.zeros(2)
    for t in range(5):
        moving = 0.5 * moving + 0.5 * X[:, t].mean(axis=0)
    np.testing.assert_allclose(inner.moving_mean.value, moving, rtol=1e-5)


def test_stored_states_go_from_step_to_step():
    inner = LSTM(3, stateful=True)
    outputs = TimeDistributed(inner)(DEEP)
    inner.reset_state()
    np.testing.assert_array_equal(outputs, step_by_step(inner, DEEP))
    assert not np.array_equal(outputs, step_by_step(LSTM(3), DEEP))


def test_dropout_is_on_in_training_only():
    layer = TimeDistributed(Dropout(0.5, seed=1))
    np.testing.assert_allclose(layer(X), X, rtol=1e-6)
    assert (layer(X, training=True) == 0).any()


def test_a_mask_goes_on_and_is_checked():
    layer = TimeDistributed(Dense(4))
    outputs = layer(X, mask=MASK)
    np.testing.assert_array_equal(mask_of(outputs), MASK)
    np.testing.assert_array_equal(np.asarray(outputs), layer(X))
    for wrong in (MASK[:, :4], MASK[:2], MASK[0]):
        with pytest.raises(ValueError, match=r"`mask` passed to the `TimeDistributed` layer"):
            layer(X, mask=wrong)


@pytest.mark.parametrize("stateful", [False, True])
def test_a_mask_of_inner_steps_reaches_the_inner_layer(stateful):
    mask = RNG.random((2, 3, 4)) < 0.6
    inner = LSTM(3, stateful=stateful)
    layer = TimeDistributed(inner)
    outputs = layer(DEEP, mask=mask)
    if stateful:
        inner.reset_state()
    expected = [inner(DEEP[:, t], mask=mask[:, t]) for t in range(3)]
    np.testing.assert_array_equal(np.asarray(outputs), np.stack(expected, axis=1))
    of_steps = layer(DEEP, mask=np.ones((2, 3), bool))
    assert of_steps.shape == outputs.shape


def test_the_layer_inside_is_the_given_one():
    inner = Dense(4, name="inner", kernel_regularizer="l2", activity_regularizer="l1")
    layer = TimeDistributed(inner, name="outer")
    layer.build((None, None, 2))
    assert layer.layer is inner
    assert [weight.path for weight in layer.weights] == ["outer/inner/kernel", "outer/inner/bias"]
    assert layer.compute_output_shape((None, None, 2)) == (None, None, 4)
    layer(X)
    assert len(layer.losses) == 1, "as in Keras the activity of the inner layer is not penalized"
    layer.trainable = False
    assert inner.trainable_weights == []
    assert TimeDistributed(LSTM(3, dtype="float64"))(DEEP).dtype == np.float64


def test_the_configuration_makes_an_equal_layer():
    layer = TimeDistributed(Bidirectional(GRU(3, dropout=0.5, seed=2), merge_mode="ave"))
    again = TimeDistributed.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    own = TimeDistributed(Shifted())
    again = TimeDistributed.from_config(own.get_config(), custom_objects={"Shifted": Shifted})
    assert type(again.layer) is Shifted


def test_wrong_layers_and_inputs_are_refused():
    with pytest.raises(ValueError, match="Please initialize `TimeDistributed` layer with a"):
        TimeDistributed(Dense)
    with pytest.raises(ValueError, match="supplied to Wrapper isn't a supported layer type"):
        Wrapper("dense")
    layer = TimeDistributed(Dense(4))
    with pytest.raises(ValueError, match="with at least 3 dimensions, received"):
        layer(X[0])
    layer(X)
    with pytest.raises(ValueError, match="with at least 3 dimensions, received"):
        layer(X[0])
    with pytest.raises(ValueError, match=r"inner layer 'lstm.*must return one array, received 3"):
        TimeDistributed(LSTM(3, return_state=True))(DEEP)
    with pytest.raises(ValueError, match="must be given at least one time step"):
        TimeDistributed(Shifted())(X[:, :0])
    assert layer(X[:, :0]).shape == (3, 0, 4)
