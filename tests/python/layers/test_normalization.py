"""Normalization: moving statistics, masks, training and not, and what is refused."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn.layers import LSTM, BatchNormalization, Dense, LayerNormalization
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(6)
MASK = np.arange(5) < np.array([[5], [2], [1], [0]])


def test_a_masked_batch_gives_the_statistics_of_its_real_steps():
    inputs = RNG.normal(size=(4, 5, 3))
    layer = BatchNormalization(momentum=0.0, epsilon=0.0, dtype="float64")
    outputs = layer(inputs, training=True, mask=MASK)
    np.testing.assert_allclose(layer.moving_mean.value, inputs[MASK].mean(0), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.value, inputs[MASK].var(0), rtol=1e-6)
    np.testing.assert_array_equal(outputs._keras_mask, MASK)
    np.testing.assert_allclose(np.asarray(outputs)[MASK].std(0), 1.0, rtol=1e-6)


def test_gradients_with_a_mask_match_finite_differences():
    layer = BatchNormalization(dtype="float64", gamma_initializer="random_normal")
    layer.build((4, 5, 3))
    call = Call(training=True, differentiable=True, mask=MASK)
    check_vjp(lambda x: layer.forward(x, call), RNG.normal(size=(4, 5, 3)), layer.trainable_weights)


def test_moving_statistics_change_in_training_alone():
    inputs = RNG.normal(2.0, 3.0, size=(50, 4))
    layer = BatchNormalization()
    layer(inputs)
    assert not layer.moving_mean.value.any()
    layer.trainable = False
    layer(inputs, training=True)
    assert not layer.moving_mean.value.any()
    layer.trainable = True
    for _ in range(2):
        layer(inputs, training=True)
    expected = inputs.mean(0) * (1 - 0.99**2)
    np.testing.assert_allclose(layer.moving_mean.value, expected, rtol=1e-4)
    names = [weight.name for weight in layer.weights]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [weight.name for weight in layer.trainable_weights] == ["gamma", "beta"]


def test_a_vjp_outlives_later_calls_and_updates():
    layer = BatchNormalization(dtype="float64")
    inputs = RNG.normal(size=(6, 3))
    outputs, vjp = layer.forward(inputs, Call(training=True, differentiable=True))
    before = vjp(outputs**2, Gradients())
    layer.forward(RNG.normal(size=(6, 3)), Call(training=True))
    layer.gamma.assign(layer.gamma.numpy() * 3)
    np.testing.assert_array_equal(vjp(outputs**2, Gradients()), before)


@pytest.mark.parametrize("kind", [BatchNormalization, LayerNormalization])
def test_a_model_with_it_trains_and_predicts_alike(kind):
    x = RNG.normal(3.0, 2.0, size=(64, 5, 4)).astype("float32")
    y = x[:, -1, :1] - x[:, 0, 1:2]
    model = ferrnn.Sequential([kind(), LSTM(8), kind(), Dense(1)])
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    history = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    single = np.concatenate([model.predict_on_batch(row[None]) for row in x[:3]])
    np.testing.assert_allclose(model.predict_on_batch(x)[:3], single, rtol=1e-5, atol=1e-6)


@each_case(
    ("make", "error", "text"),
    [
        (lambda: LayerNormalization("last"), TypeError, "Expected an int or a list/tuple of ints"),
        (lambda: LayerNormalization(3)(np.ones((2, 3))), ValueError, "Axis 3 is out of bounds"),
        (lambda: BatchNormalization(-3)(np.ones((2, 3))), ValueError, "Axis -3 is out of bounds"),
        (lambda: BatchNormalization(synchronized=True), ValueError, "synchronized=True is only"),
        (
            lambda: BatchNormalization(renorm=True, renorm_clipping={"max": 1.0}),
            ValueError,
            "invalid keys for `renorm_clipping`",
        ),
        (
            lambda: BatchNormalization(renorm=True, renorm_clipping={"rmin": 2.0, "rmax": 1.0}),
            ValueError,
            "rmax should be greater than rmin",
        ),
        (
            lambda: BatchNormalization(renorm=True, renorm_clipping={"dmax": -1.0}),
            ValueError,
            "dmax should be non-negative",
        ),
        (
            lambda: BatchNormalization()(np.ones((2, 3)), mask=np.ones((2, 3), bool)),
            ValueError,
            "should be one dimension less than the inputs",
        ),
        (
            lambda: BatchNormalization()(np.ones((2, 3, 4)), mask=np.ones((2, 4), bool)),
            ValueError,
            r"must have the shape \(2, 3\)",
        ),
        (lambda: LayerNormalization().build((2, None)), ValueError, "known lengths along axis"),
        (lambda: BatchNormalization().build((2, None)), ValueError, "a known length along axis"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_another_number_of_features_is_named():
    for layer in (LayerNormalization(name="mine"), BatchNormalization(name="mine")):
        layer(np.ones((2, 3)))
        with pytest.raises(ValueError, match=r"'mine' .*expected 3 features on axis .*found 4"):
            layer(np.ones((2, 4)))


def test_a_model_as_code_does_not_move_statistics_when_its_shapes_are_found():
    class Written(ferrnn.Model):
        def __init__(self):
            super().__init__()
            self.normalization = BatchNormalization()

        def call(self, inputs):
            return self.normalization(inputs, training=True)

    model = Written()
    model(RNG.normal(size=(6, 3)))
    before = model.normalization.moving_mean.numpy()
    ferrnn.Model(inputs := ferrnn.Input((3,)), model(inputs))
    np.testing.assert_array_equal(model.normalization.moving_mean.numpy(), before)


@each_case("shape", [(5, 3), (2, 4, 3), (2, 3, 4, 3)])
@each_case("options", [{}, {"center": False}, {"scale": False, "epsilon": 0.1}])
def test_the_last_axis_gives_what_other_axes_give(shape, options):
    inputs = RNG.normal(size=shape)
    native = LayerNormalization(dtype="float64", gamma_initializer="random_normal", **options)
    outputs, vjp = native.forward(inputs, Call(differentiable=True))
    other = LayerNormalization(axis=[-1], dtype="float64", **options)
    other.build(shape)
    other.set_weights(native.get_weights())
    expected, expected_vjp = other._along_axes(inputs, Call(differentiable=True))
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)
    ours, theirs, d_outputs = Gradients(), Gradients(), RNG.normal(size=shape)
    np.testing.assert_allclose(
        vjp(d_outputs, ours), expected_vjp(d_outputs, theirs), rtol=1e-10, atol=1e-12
    )
    for weight, twin in zip(native.weights, other.weights, strict=True):
        np.testing.assert_allclose(ours[weight], theirs[twin], rtol=1e-12, atol=1e-12)
    check_vjp(lambda x: native.forward(x, Call(differentiable=True)), inputs, native.weights)


def test_an_axis_counted_from_the_front_is_the_last_for_its_rank_alone():
    layer = LayerNormalization(axis=1, epsilon=0.0)
    two, three = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3, 5))
    np.testing.assert_allclose(np.asarray(layer(two)).std(axis=1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(layer(three)).std(axis=1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(layer(three)).mean(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1, [0, 2]])
def test_gradients_with_rms_scaling_match_finite_differences(axis):
    inputs = RNG.normal(1.0, 2.0, size=(3, 4, 5))
    options = {"gamma_initializer": "random_normal", "scale": False, "dtype": "float64"}
    layer = LayerNormalization(axis, rms_scaling=True, **options)
    layer.build(inputs.shape)
    call = Call(differentiable=True)
    check_vjp(lambda x: layer.forward(x, call), inputs, layer.trainable_weights)
    assert len(layer.weights) == 1
    assert LayerNormalization.from_config(layer.get_config()).rms_scaling
    with pytest.raises(TypeError, match="cannot run in a stream with rms_scaling"):
        layer.stream_weights()
