"""Dense, Dropout, Activation and what every layer can do."""

import copy
import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, Layer, ops
from ferrnn.layers import LSTM, Activation, Dense, Dropout, Input
from ferrnn.models import Sequential
from ferrnn.testing import check_vjp
from ferrnn.utils import set_random_seed

NATIVE = ["linear", "tanh", "sigmoid", "hard_sigmoid", "relu", "softsign", "softplus", "elu"]
NATIVE += ["selu", "silu", "gelu", "exponential"]
DIFFERENTIABLE = Call(differentiable=True)


@each_case("activation", [*NATIVE, "softmax", "leaky_relu", None])
@each_case("bias", [True, False])
@each_case("shape", [(1, 4), (7, 4), (2, 3, 4), (2, 3, 1, 4)])
def test_gradients_match_finite_differences(activation, bias, shape):
    layer = Dense(17, activation, use_bias=bias, dtype="float64", bias_initializer="random_normal")
    layer.build(shape)
    inputs = np.random.default_rng(1).normal(size=shape)
    outputs = layer(inputs)
    kernel, *rest = layer.get_weights()
    expected = layer.activation(inputs @ kernel + (rest[0] if bias else 0))
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-14)
    assert outputs.shape == layer.compute_output_shape(shape)
    check_vjp(lambda array: layer.forward(array, DIFFERENTIABLE), inputs, layer.weights)


def test_gradients_by_the_inputs_are_left_out_unless_wanted():
    layer = Dense(3)
    call = Call(differentiable=True, inputs_need_gradient=False)
    _, vjp = layer.forward(np.ones((2, 4), "float32"), call)
    assert vjp(np.ones((2, 3), "float32"), Gradients()) is None


def test_weights_have_keras_names_and_start_as_in_keras():
    layer = Dense(5)
    layer.build((None, 3))
    assert [weight.path for weight in layer.weights] == ["dense/kernel", "dense/bias"]
    assert [weight.shape for weight in layer.weights] == [(3, 5), (5,)]
    assert not layer.bias.value.any()
    assert np.abs(layer.kernel.value).max() <= np.sqrt(6 / 8)


def test_every_way_of_writing_a_weight_reaches_the_engine():
    layer = Dense(2)
    inputs = np.ones((1, 3))
    before = layer(inputs)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    np.testing.assert_allclose(layer(inputs), 2 * before, rtol=1e-6)
    with layer.kernel.writing() as kernel:
        kernel[...] *= 2
    np.testing.assert_allclose(layer(inputs), 4 * before, rtol=1e-6)
    layer.bias.assign([1, 1])
    np.testing.assert_allclose(layer(inputs), 4 * before + 1, rtol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_gives_the_same(copied):
    layer = Dense(2, "softmax")
    expected = layer(np.ones((1, 3)))
    np.testing.assert_array_equal(copied(layer)(np.ones((1, 3))), expected)


@pytest.mark.parametrize(
    "layer",
    [Dense(4, "gelu", use_bias=False), Dropout(0.2, (None, 1), seed=1), Activation("softmax")],
)
def test_the_configuration_makes_an_equal_layer(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


# Dropout and Activation.


def test_dropout_changes_nothing_outside_training():
    inputs = np.ones((2, 3), "float32")
    assert Dropout(0.5)(inputs).base is inputs
    layer = Dropout(0.0)
    np.testing.assert_array_equal(layer(inputs, training=True), inputs)


def test_dropout_scales_what_it_keeps_and_goes_on_from_call_to_call():
    inputs = np.ones((50, 40))
    layer = Dropout(0.25, seed=3)
    one, two = layer(inputs, training=True), layer(inputs, training=True)
    assert set(np.unique(one)) == {np.float32(0), np.float32(4 / 3)}
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(Dropout(0.25, seed=3)(inputs, training=True), one)
    assert not Dropout(1.0)(inputs, training=True).any()


def test_noise_shape_says_where_masks_are_shared():
    outputs = Dropout(0.5, noise_shape=(None, 1, 3), seed=1)(np.ones((9, 4, 3)), training=True)
    np.testing.assert_array_equal(outputs, outputs[:, :1].repeat(4, axis=1))
    assert not np.array_equal(outputs[0], outputs[1])
    for noise_shape in [(1,), (2, 4, 3), (None, 2, 3)]:
        with pytest.raises(ValueError, match="`noise_shape` of layer"):
            Dropout(0.5, noise_shape)(np.ones((9, 4, 3)), training=True)


def test_gradients_of_dropout_and_activation_match_finite_differences():
    inputs = np.random.default_rng(1).normal(size=(4, 5))
    layer = Dropout(0.5, seed=1, dtype="float64")
    call = Call(training=True, differentiable=True)

    def same_mask(array):
        layer.seed_generator.counter = 0
        return layer.forward(array, call)

    check_vjp(same_mask, inputs)
    softmax = Activation("softmax", dtype="float64")
    check_vjp(lambda array: softmax.forward(array, DIFFERENTIABLE), inputs)


def test_masks_go_through():
    mask = np.array([[True, False]])
    for layer in (Dense(3), Dropout(0.5), Activation("relu")):
        outputs = layer(np.ones((1, 2, 3)), mask=mask)
        np.testing.assert_array_equal(outputs._keras_mask, mask)


def test_input_is_symbolic():
    assert Input((3, None), batch_size=2).shape == (2, 3, None)
    assert Input(batch_shape=(None, 4), dtype="float64").dtype == "float64"
    assert Input(()).name == "input_layer_2"


# What every layer can do.


class Twice(Layer):
    """A layer that holds layers, and one weight of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.parts = [Dense(3), Dense(2, use_bias=False)]
        self.last = Dense(1)

    def build(self, input_shape):
        self.offset = self.add_weight((1,), "zeros", name="offset", trainable=False)
        for layer, features in zip((*self.parts, self.last), (4, 3, 2), strict=True):
            layer.build((None, features))

    def call(self, inputs):
        for layer in (*self.parts, self.last):
            inputs = layer(inputs)
        return inputs + self.offset.value


def test_weights_of_layers_inside_are_found():
    layer = Twice(name="twice")
    assert layer(np.ones((2, 4))).shape == (2, 1)
    paths = ["twice/offset", "twice/dense/kernel", "twice/dense/bias", "twice/dense_1/kernel"]
    paths += ["twice/dense_2/kernel", "twice/dense_2/bias"]
    assert [weight.path for weight in layer.weights] == paths
    assert len(layer.trainable_weights) == 5
    assert [weight.name for weight in layer.non_trainable_weights] == ["offset"]
    layer.trainable = False
    assert layer.trainable_weights == []
    assert not layer.last.trainable
    assert len(layer.non_trainable_weights) == 6
    assert layer.count_params() == 1 + 15 + 6 + 3


def test_trainable_weights_come_before_the_others():
    layer = Layer(name="mixed")
    layer.add_weight((1,), "zeros", name="mean", trainable=False)
    layer.add_weight((1,), "zeros", name="scale")
    assert [weight.name for weight in layer.weights] == ["scale", "mean"]


def test_a_layer_without_forward_and_call_says_so():
    with pytest.raises(NotImplementedError, match="must define `forward"):
        Layer()(np.ones(2))


def test_set_weights_changes_all_or_nothing():
    layer = Dense(2, name="mine")
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"weight list of length 1, .* was expecting 2 weights"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"'mine' weight shape .* not compatible"):
        layer.set_weights([before[0] + 1, np.zeros(3)])
    for weight, value in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_counting_needs_weights():
    with pytest.raises(ValueError, match="isn't built"):
        Dense(2).count_params()


def test_an_initializer_must_keep_to_the_shape():
    with pytest.raises(ValueError, match=r"must return the shape \(3, 2\), received \(1,\)"):
        Dense(2, kernel_initializer=lambda shape, dtype: np.zeros(1))(np.ones((1, 3)))


def test_an_activation_of_your_own_sees_all_axes(monkeypatch):
    def over_time(x):
        return ops.softmax(x, axis=1)

    inputs = np.random.default_rng(6).normal(size=(6, 5, 3)).astype("float32")
    layer = Dense(4, over_time, dtype="float64")
    layer.build(inputs.shape)
    np.testing.assert_allclose(layer(inputs).sum(axis=1), 1, rtol=1e-12)
    given = inputs.astype("float64")
    check_vjp(lambda array: layer.forward(array, DIFFERENTIABLE), given, layer.weights)
    found = []
    for plan in "01":
        monkeypatch.setenv("FERRNN_PLAN", plan)
        set_random_seed(2)
        model = Sequential([Input((5, 3)), LSTM(4, return_sequences=True), Dense(2, over_time)])
        model.compile("sgd", "mse")
        history = model.fit(inputs, np.ones((6, 5, 2)), batch_size=2, epochs=2, verbose=0)
        found.append([history.history["loss"], model.predict(inputs, verbose=0)])
        np.testing.assert_allclose(found[-1][1].sum(axis=1), 1, rtol=1e-6)
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
