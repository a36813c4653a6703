"""`keras.backend`: what is left of it in Keras 3, and the functions that older code calls."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import backend as K  # noqa: N812 - what everybody calls it


def rows(*shape):
    return np.random.default_rng(3).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("x_shape", "y_shape", "axes", "equation"),
    [
        ((3, 4, 5), (3, 5, 2), None, "bij,bjk->bik"),
        ((3, 4, 5), (3, 6, 5), 2, "bij,bkj->bik"),
        ((3, 4, 5), (3, 4), (1, 1), "bij,bi->bj"),
        ((3, 4), (3, 4, 5), 1, "bi,bij->bj"),
        ((3, 4, 5), (3, 6, 5), (-1, -1), "bij,bkj->bik"),
    ],
)
def test_batch_dot_is_a_product_for_each_sample(x_shape, y_shape, axes, equation):
    x, y = rows(*x_shape), rows(*y_shape)[::1] * 2
    np.testing.assert_allclose(K.batch_dot(x, y, axes), np.einsum(equation, x, y), rtol=1e-5)


def test_batch_dot_of_vectors_keeps_an_axis():
    x, y = rows(3, 4), rows(3, 4) + 1
    np.testing.assert_allclose(K.batch_dot(x, y, axes=1), (x * y).sum(1, keepdims=True), rtol=1e-5)


def test_defaults_are_those_of_keras_2():
    x = rows(3, 4)
    np.testing.assert_array_equal(K.argmax(x), x.argmax(-1))
    np.testing.assert_allclose(K.cumsum(x), x.cumsum(0), rtol=1e-6)
    assert K.concatenate([x, x]).shape == (3, 8)
    assert K.expand_dims(x).shape == (3, 4, 1)
    assert K.repeat(x, 2).shape == (3, 2, 4)
    assert K.arange(3).dtype == "int32"
    assert (
        K.constant([1, 2]).dtype == K.cast_to_floatx([1]).dtype == K.zeros((2,)).dtype == "float32"
    )
    assert K.int_shape(keras.Input((4, 2))) == (None, 4, 2)
    below = np.where(x < 0.5, 0.1 * (x - 0.5), np.minimum(x, 1))
    np.testing.assert_allclose(K.relu(x, 0.1, max_value=1, threshold=0.5), below, rtol=1e-5)
    np.testing.assert_array_equal(K.switch(x[:, 0] > 0, x, lambda: -x)[:, 0], abs(x[:, 0]))
    assert K.clip(x, 0, None).max() == x.max()


def test_variables_are_read_and_written():
    steps = K.variable(2.0)
    K.update_add(steps, 3)
    K.update_sub(steps, 1)
    assert K.get_value(steps) == 4
    K.set_value(steps, 7)
    assert K.batch_get_value([steps]) == [7]


def test_a_loss_written_for_keras_2_trains():
    def rmse(y_true, y_pred):
        return K.sqrt(K.mean(K.square(y_pred - y_true), axis=-1) + K.epsilon())

    model = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3), keras.layers.Dense(2)])
    model.compile("sgd", rmse, metrics=[rmse])
    history = model.fit(rows(8, 5, 2), rows(8, 2), epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(history["loss"], history["rmse"], rtol=1e-5)


def test_attention_with_a_backend_of_old():
    class Attention(keras.layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 1), name="w")
            self.b = self.add_weight(shape=(input_shape[1], 1), initializer="zeros", name="b")
            super().build(input_shape)

        def call(self, x):
            weights = K.softmax(K.squeeze(K.tanh(K.dot(x, self.w) + self.b), axis=-1))
            return K.sum(x * K.expand_dims(weights, axis=-1), axis=1)

    model = keras.Sequential(
        [keras.Input((6, 2)), keras.layers.LSTM(3, return_sequences=True), Attention()]
    )
    model.compile("adam", "mse")
    before = model.layers[-1].get_weights()
    model.fit(rows(8, 6, 2), rows(8, 3), epochs=2, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, model.layers[-1].get_weights(), strict=True))


def test_what_keras_keeps():
    assert K.backend() == keras.config.backend() == "numpy"
    assert K.image_data_format() == "channels_last"
    K.set_image_data_format("channels_first")
    assert K.image_data_format() == "channels_first"
    K.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="channels_middle"):
        K.set_image_data_format("channels_middle")
    assert K.is_keras_tensor(keras.Input((2,)))
    with pytest.raises(AttributeError, match=r"'learning_phase' is not in ferrnn\.backend"):
        K.learning_phase  # noqa: B018


def test_settings_that_change_nothing_are_taken():
    keras.config.disable_traceback_filtering()
    assert not keras.config.is_traceback_filtering_enabled()
    keras.config.enable_traceback_filtering()
    keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="no lower or mixed precision"):
        keras.config.set_dtype_policy("mixed_float16")
    for wrong in (None, 32):
        with pytest.raises(ValueError, match="Invalid `policy` argument"):
            keras.config.set_dtype_policy(wrong)
    with pytest.raises(ValueError, match="Cannot interpret `dtype` argument"):
        keras.dtype_policies.get(123)
    assert keras.config.floatx() == "float32"


def test_policies_are_taken_for_float32_and_float64_alone():
    policy = keras.dtype_policies.get("float64")
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == ("float64",) * 3
    assert policy == keras.mixed_precision.Policy("float64") != keras.DTypePolicy("float32")
    assert keras.dtype_policies.deserialize(keras.dtype_policies.serialize(policy)) == policy
    layer = keras.layers.Dense(2, dtype=policy)
    assert layer.dtype == "float64"
    assert layer.dtype_policy == policy
    keras.mixed_precision.set_global_policy(policy)
    try:
        assert keras.mixed_precision.dtype_policy() == policy
        assert keras.layers.Dense(2).dtype == "float64"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for name in ("mixed_float16", "bfloat16", "int8_from_float32"):
        with pytest.raises(ValueError, match=f"Cannot convert '{name}' to a policy"):
            keras.mixed_precision.Policy(name)
