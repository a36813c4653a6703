"""Operations on symbolic tensors, and classes that override `call` of a built-in layer."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import Call, ops
from ferrnn.testing import check_vjp

DIFFERENTIABLE = Call(differentiable=True)


def test_operations_are_nodes_of_functional_models():
    x, y = keras.Input((5, 3), dtype="float64"), keras.Input((5, 3), dtype="float64")
    read = keras.layers.LSTM(4, return_sequences=True, dtype="float64")(
        ops.concatenate([ops.tanh(x), y], axis=-1)
    )
    first, second = ops.split(read, 2, axis=-1)
    pooled = ops.mean(first * second, axis=1)
    model = keras.Model([x, y], ops.softmax(ops.einsum("bf,bg->bfg", pooled, pooled)))
    assert model.output_shape == (None, 2, 2)
    assert [layer.name for layer in model.layers][2:] == ["lstm"]
    rng = np.random.default_rng(1)
    inputs = tuple(rng.normal(size=(2, 5, 3)) for _ in range(2))
    outputs = model(list(inputs))
    np.testing.assert_allclose(outputs.sum(axis=-1), 1)
    check_vjp(lambda arrays: model.forward(arrays, DIFFERENTIABLE), inputs, model.weights)


def test_shapes_that_are_not_known_stay_unknown():
    x = keras.Input((None, 3))
    assert ops.shape(x) == (None, None, 3)
    assert ops.transpose(x, (0, 2, 1)).shape == (None, 3, None)
    assert ops.reshape(x, (-1, 3)).shape == (None, 3)
    assert ops.argmax(x, axis=-1).dtype == "int32"
    assert keras.random.dropout(x, 0.5).shape == (None, None, 3)


def test_a_subclassed_model_trains():
    class Reader(keras.Model):
        def __init__(self):
            super().__init__()
            self.read = keras.layers.GRU(8)
            self.head = keras.layers.Dense(1)
            self.dropout = keras.layers.Dropout(0.1, seed=1)

        def call(self, x, training=False):
            last = self.dropout(self.read(x), training=training)
            return self.head(last * ops.sigmoid(last)) + ops.mean(x, axis=(1, 2))[:, None]

    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).normal(size=(64, 6, 2)).astype("float32")
    model = Reader()
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, x[:, -1, :1], epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize("kind", ["dense", "lstm", "layer_of_own"])
def test_a_subclass_of_a_built_in_layer_may_override_call(kind):
    class TwiceDense(keras.layers.Dense):
        def call(self, inputs):
            return super().call(inputs * 2) * 2

    class TwiceLSTM(keras.layers.LSTM):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            return super().call(sequences * 2, initial_state=initial_state, mask=mask) * 2

    class WithOwnForward(keras.layers.Layer):
        def forward(self, inputs, call):
            return inputs, lambda d_outputs, grads: d_outputs

    class TwiceOwn(WithOwnForward):
        def call(self, inputs):
            return super().call(inputs * 2) * 2

    layer, plain, shape = {
        "dense": lambda: (TwiceDense(3, dtype="float64"), keras.layers.Dense(3), (2, 4)),
        "lstm": lambda: (TwiceLSTM(3, dtype="float64"), keras.layers.LSTM(3), (2, 5, 4)),
        "layer_of_own": lambda: (TwiceOwn(dtype="float64"), WithOwnForward(), (2, 4)),
    }[kind]()
    layer.build(shape)
    plain.build(shape)
    plain.set_weights(layer.get_weights())
    inputs = np.random.default_rng(1).normal(size=shape)
    np.testing.assert_allclose(layer(inputs), 2 * plain(2 * inputs), rtol=1e-5)
    if kind == "lstm":
        states = [np.full((2, 3), 0.5)] * 2
        expected = 2 * plain(2 * inputs, initial_state=states)
        np.testing.assert_allclose(layer(inputs, initial_state=states), expected, rtol=1e-5)
    check_vjp(lambda x: layer.forward(x, DIFFERENTIABLE), inputs, layer.weights)
