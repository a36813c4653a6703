"""Models of users' own code, written once: for Keras, which makes the golden file, and ferrnn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BATCH, TIME, FEATURES = 8, 6, 3


def minimal_cell(keras: Any) -> type:
    """The minimal cell of Keras' documentation."""
    ops = keras.ops

    class MinimalRNNCell(keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="uniform", name="kernel"
            )
            self.recurrent_kernel = self.add_weight(
                shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
            )
            self.built = True

        def call(self, inputs, states):
            prev_output = states[0]
            h = ops.matmul(inputs, self.kernel)
            output = h + ops.matmul(prev_output, self.recurrent_kernel)
            return output, [output]

    return MinimalRNNCell


def nested_cell(keras: Any) -> type:
    """A cell with nested states, one of them a matrix, and a GRU cell and a layer inside."""
    ops = keras.ops

    class MemoryCell(keras.layers.Layer):
        def __init__(self, units, slots, **kwargs):
            super().__init__(**kwargs)
            self.units, self.slots = units, slots
            self.state_size = [units, [units, (slots, units)]]
            self.output_size = units
            self.reader = keras.layers.GRUCell(units)
            self.gate = keras.layers.Dense(slots, activation="softmax")

        def build(self, input_shape):
            self.reader.build((input_shape[0], input_shape[-1] + self.units))
            self.gate.build((input_shape[0], self.units))
            self.decay = self.add_weight((self.units,), "ones", name="decay")
            self.built = True

        def get_initial_state(self, batch_size=None):
            return [
                ops.zeros((batch_size, self.units)),
                [
                    ops.ones((batch_size, self.units)),
                    ops.zeros((batch_size, self.slots, self.units)),
                ],
            ]

        def call(self, inputs, states, training=False):
            h, (average, memory) = states
            weights = self.gate(h)
            read = ops.einsum("bs,bsu->bu", weights, memory)
            h, _ = self.reader(ops.concatenate([inputs, read], axis=-1), [h])
            average = ops.sigmoid(self.decay) * average + h * (1.0 - ops.sigmoid(self.decay))
            memory = memory * 0.9 + ops.expand_dims(weights, -1) * ops.expand_dims(h, 1)
            return ops.tanh(h + average), [h, [average, memory]]

    return MemoryCell


def gated_layer(keras: Any) -> type:
    """A layer with weights, a built-in layer inside and arithmetic."""
    ops = keras.ops

    class Gated(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.gate = keras.layers.Dense(4, activation="sigmoid")

        def build(self, input_shape):
            self.gate.build(input_shape)
            self.scale = self.add_weight((4,), "ones", name="scale")
            self.built = True

        def call(self, inputs):
            mean = ops.mean(inputs, axis=1, keepdims=True)
            return (inputs - mean) * self.gate(inputs) * self.scale + ops.max(inputs, axis=-1)[
                :, :, None
            ]

    return Gated


def quantile_loss(keras: Any) -> Callable[..., Any]:
    """A loss as a function of operations."""
    ops = keras.ops

    def quantile(y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.logaddexp(0.7 * error, -0.3 * error), axis=-1)

    return quantile


def make(keras: Any, name: str) -> Any:
    """The model of that name, compiled."""
    ops = keras.ops
    inputs = keras.Input(batch_shape=(BATCH, TIME, FEATURES))
    loss: Any = "mse"
    if name == "minimal":
        layers = [keras.layers.RNN(minimal_cell(keras)(5)), keras.layers.Dense(1)]
    elif name == "nested":
        layers = [keras.layers.RNN(nested_cell(keras)(4, 3)), keras.layers.Dense(1)]
    elif name == "masked":
        layers = [
            keras.layers.Masking(),
            keras.layers.RNN(minimal_cell(keras)(4), return_sequences=True),
            keras.layers.GRU(3),
            keras.layers.Dense(1),
        ]
    elif name == "stack":
        cells = [minimal_cell(keras)(4), keras.layers.LSTMCell(3), nested_cell(keras)(4, 2)]
        layers = [keras.layers.RNN(cells, go_backwards=True), keras.layers.Dense(1)]
    else:
        loss = quantile_loss(keras)
        layers = [
            keras.layers.LSTM(
                4,
                return_sequences=True,
                activation=lambda x: ops.where(x > 0, x, 0.2 * x),
                kernel_regularizer=lambda w: 0.01 * ops.sum(ops.abs(w)),
            ),
            gated_layer(keras)(),
            keras.layers.SimpleRNN(4, activation=ops.sin),
            keras.layers.Dense(1, activation=lambda x: x + 0.1 * ops.square(x)),
        ]
    model = keras.Sequential([inputs, *layers])
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


NAMES = ("minimal", "nested", "masked", "stack", "layers_and_losses")
