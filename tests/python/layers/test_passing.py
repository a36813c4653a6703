"""Layers that pass on, scale or normalize; products named by equations."""

import json

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, layers
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 5, 4))

EQUATIONS = [
    ("abc,cd->abd", (None, 6), "d"),
    ("abc,cd->adb", (6, 5), None),
    ("...c,cde->...de", (2, 3), "e"),
    ("...bc,cd->...bd", (5, 6), "bd"),
    ("ab...,bc->ac...", (7,), "c"),
    ("abc,bcd->abd", (None, 6), "d"),
    ("abc,bd->adc", (6, 4), "dc"),
    ("abc,bc->abc", (None, None), None),
    ("abc,bd->ad", (6,), "d"),
]


@each_case(("equation", "shape", "axes"), EQUATIONS)
def test_equations_are_those_of_einsum(equation, shape, axes):
    layer = layers.EinsumDense(equation, shape, "tanh", axes, dtype="float64")
    layer.build(X.shape)
    layer.set_weights([RNG.normal(size=weight.shape) for weight in layer.weights])
    product = np.einsum(equation, X, layer.kernel.value)
    bias = 0 if layer.bias is None else layer.bias.value
    np.testing.assert_allclose(layer(X), np.tanh(product + bias), rtol=1e-12)
    assert layer(X).shape == layer.compute_output_shape(X.shape)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), X, layer.weights)
    again = layers.EinsumDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@each_case(
    ("equation", "shape", "axes", "message"),
    [
        ("abc,cd,e->abd", (5, 6), None, "Invalid einsum equation"),
        ("abc,cd->abd", (9, 6), None, "do not match at shared dimension 'b'"),
        ("abc,cd->abe", (5, 6), None, "was specified in the output"),
        ("abc,cde->abd", (5, 6), None, "Weight dimension 'e' did not have a match"),
        ("abc,cd->abd", (5, 6), "x", "Bias dimension 'x' was requested"),
        ("abc,cd->abd", (6,), None, "`output_shape` must have the lengths"),
        ("ab,bd->ad", (6,), None, "names 2 axes of the inputs"),
    ],
)
def test_wrong_equations_are_refused(equation, shape, axes, message):
    with pytest.raises(ValueError, match=message):
        layers.EinsumDense(equation, shape, bias_axes=axes)(X)


def test_identity_hands_on_structures_and_masks():
    layer = layers.Identity()
    assert layer.built
    one, two = layer([X, X[:, :2]])
    assert (one.shape, two.shape) == ((3, 5, 4), (3, 2, 4))
    mask = np.ones((3, 5), bool)
    assert layer.compute_mask(X, mask) is mask


def test_activity_is_penalized():
    layer = layers.ActivityRegularization(l1=0.2, l2=0.3)
    layer(np.full((2, 3), -2.0))
    np.testing.assert_allclose(layer.losses, [3 * (0.2 * 2 + 0.3 * 4)], rtol=1e-6)
    assert layers.ActivityRegularization.from_config(layer.get_config()).l2 == 0.3
    model = ferrnn.Sequential([ferrnn.Input((3,)), layers.ActivityRegularization(l2=0.5)])
    model.compile("sgd", "mse")
    loss = model.evaluate(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
    np.testing.assert_allclose(loss, 1.5, rtol=1e-6)


def test_rescaling_takes_numbers_and_features():
    layer = layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-1.0, dtype="float64")
    np.testing.assert_allclose(layer(X), X * [1, 2, 3, 4] - 1)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), X)
    with pytest.raises(ValueError, match="must be broadcastable to the inputs' shape"):
        layers.Rescaling(np.ones((2, 1, 1, 1)))(X)


def test_alpha_dropout_keeps_mean_and_variance():
    layer = layers.AlphaDropout(0.3, seed=2)
    x = RNG.normal(size=(200, 100)).astype("float32")
    outputs = layer(x, training=True)
    assert abs(outputs.mean()) < 0.03
    np.testing.assert_allclose(outputs.std(), 1, rtol=0.03)
    assert layer(x).tolist() == x.tolist()
    shared = layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=3)(np.ones((8, 5)), training=True)
    assert (shared == shared[:, :1]).all()
    assert len(np.unique(shared)) == 2


def test_spectral_normalization_divides_by_the_largest_singular_value():
    inner = layers.Conv2D(3, 2, padding="same")
    layer = layers.SpectralNormalization(inner, power_iterations=200)
    frames = RNG.normal(size=(2, 4, 4, 3))
    layer.build(frames.shape)
    before = inner.kernel.value.copy()
    largest = np.linalg.norm(before.reshape(-1, 3), 2)
    layer(frames)
    np.testing.assert_array_equal(inner.kernel.value, before)
    layer(frames, training=True)
    np.testing.assert_allclose(inner.kernel.value, before / largest, rtol=1e-4)
    assert [len(layer.trainable_weights), len(layer.non_trainable_weights)] == [2, 1]
    with pytest.raises(ValueError, match="nor 'embeddings'"):
        layers.SpectralNormalization(layers.ReLU())(X)
    with pytest.raises(ValueError, match="greater than zero"):
        layers.SpectralNormalization(inner, power_iterations=0)


def test_rescaling_takes_arrays_and_features_that_come_first():
    frames = np.ones((2, 3, 4, 5), "float32")
    layer = layers.Rescaling(np.array([1.0, 2.0, 3.0]), offset=np.array(0.5))
    json.dumps(layer.get_config())
    again = layers.Rescaling.from_config(layer.get_config())
    np.testing.assert_array_equal(again(frames[..., :3])[0, 0, 0], [1.5, 2.5, 3.5])
    ferrnn.config.set_image_data_format("channels_first")
    try:
        first = layers.Rescaling([1.0, 2.0, 3.0], offset=[0.5, 0.0, 0.0])
    finally:
        ferrnn.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(first(frames)[0, :, 1, 2], [1.5, 2.0, 3.0])
    doubled = layers.Rescaling.from_config({**first.get_config(), "dtype": "float64"})
    doubled._features_first = True
    call = Call(differentiable=True)
    check_vjp(lambda x: doubled.forward(x, call), frames.astype("float64"))
