"""`x -= y` in code of the user's names a new value, as in Keras, and writes to nobody's array."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import ops
from ferrnn.testing import check_vjp


class Centred(keras.layers.Layer):
    def call(self, inputs):
        inputs -= ops.mean(inputs, axis=-1, keepdims=True)
        inputs *= 2
        inputs /= 1 + ops.square(inputs)
        inputs += inputs
        return inputs


def data(*shape, dtype="float32"):
    return np.random.default_rng(5).normal(size=shape).astype(dtype)


def test_gradients():
    layer, call = Centred(dtype="float64"), keras.Call(differentiable=True)
    check_vjp(lambda x: layer.forward(x, call), data(3, 4, dtype="float64"))


def test_arrays_given_stay_as_they_are():
    x = data(3, 4)
    kept = x.copy()
    a = keras.Input((4,))
    inner = keras.layers.Dense(4)(a)
    model = keras.Model(a, Centred()(inner) + inner)
    model.compile("sgd", "mse")
    expected = model.layers[1](x)
    expected = expected + Centred()(expected)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    Centred()(x)
    keras.Sequential([Centred()]).predict(x, verbose=0)
    model.fit(x, data(3, 4), verbose=0)
    np.testing.assert_array_equal(x, kept)


def test_numpys_own_out_is_refused():
    class Written(keras.layers.Layer):
        def call(self, inputs):
            return np.add(inputs, 1, out=np.empty((3, 4), "float32"))

    with pytest.raises(TypeError, match="does not take the options"):
        Written().forward(data(3, 4), keras.Call(differentiable=True))


def test_zero_by_zero_is_no_warning_in_code_of_the_users():
    class Ratio(keras.layers.Layer):
        def call(self, inputs):
            return inputs / ops.sum(inputs, axis=-1, keepdims=True)

    assert np.isnan(Ratio()(np.zeros((2, 3), "float32"))).all()  # warnings are errors here
