"""Models with code that users write in `keras.ops`, the same source for ferrnn and for Keras.

A model is given `[batch, steps, features]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Cells over time, and layers that both have.
CELLS = ("minimal", "masked", "lstm", "nested", "normalized", "attention")
LAYERS = ("MultiHeadAttention", "Attention", "ConvLSTM1D", "recurrent dropout")
# Other code of users, and what is often used with it.
OTHERS = ("layer", "Lambda", "activation", "subclassed", "loss", "metric", "RMSE", "L2")
KINDS = (*CELLS, *LAYERS, *OTHERS)


def cells_of(keras: Any) -> dict[str, Callable[[int], Any]]:  # noqa: C901 - a list of classes
    """Makers of the cells, by name, in ferrnn or in Keras."""
    ops, base = keras.ops, keras.layers.Layer

    class Cell(base):  # type: ignore[misc, valid-type]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = units
            self.state_size: Any = units

        def kernels(self, features: int, width: int) -> None:
            self.kernel = self.add_weight(shape=(features, width), name="kernel")
            self.recurrent_kernel = self.add_weight(
                shape=(self.units, width), initializer="orthogonal", name="recurrent_kernel"
            )
            self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

        def sums(self, inputs: Any, h: Any) -> Any:
            return ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)

    class Minimal(Cell):
        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], self.units)

        def call(self, inputs: Any, states: Any) -> Any:
            h = ops.tanh(self.sums(inputs, states[0]) + self.bias)
            return h, [h]

    class Long(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, units]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], 4 * self.units)

        def call(self, inputs: Any, states: Any) -> Any:
            h, c = states
            i, f, g, o = ops.split(self.sums(inputs, h) + self.bias, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    class Normalized(Long):
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.scale = self.add_weight(shape=(4 * self.units,), initializer="ones", name="scale")

        def call(self, inputs: Any, states: Any) -> Any:
            h, c = states
            z = self.sums(inputs, h)
            mean = ops.mean(z, axis=-1, keepdims=True)
            spread = ops.var(z, axis=-1, keepdims=True)
            z = (z - mean) * ops.rsqrt(spread + 1e-3) * self.scale + self.bias
            i, f, g, o = ops.split(z, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    class Nested(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, units, units]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], self.units)
            self.rate = self.add_weight(shape=(self.units,), name="rate", initializer="zeros")

        def call(self, inputs: Any, states: Any) -> Any:
            h, fast, slow = states
            rate = ops.sigmoid(self.rate)
            x = ops.tanh(self.sums(inputs, h) + self.bias)
            fast = 0.5 * fast + 0.5 * x
            slow = rate * slow + (1.0 - rate) * fast
            h = ops.relu(fast) - ops.tanh(slow)
            return h, [h, fast, slow]

    class Attention(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, 10 * 8]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1] + 8, self.units)
            self.query = self.add_weight(shape=(self.units, 16), name="query")
            self.keys = self.add_weight(shape=(8, 16), name="keys")
            self.score = self.add_weight(shape=(16, 1), name="score")
            self.steps = self.add_weight(shape=(1, 10, 8), name="steps")

        def call(self, inputs: Any, states: Any) -> Any:
            h, flat = states
            memory = ops.reshape(flat, (-1, 10, 8)) + self.steps
            query = ops.expand_dims(ops.matmul(h, self.query), 1)
            scores = ops.matmul(ops.tanh(query + ops.matmul(memory, self.keys)), self.score)
            context = ops.sum(ops.softmax(scores, axis=1) * memory, axis=1)
            x = ops.concatenate([inputs, context], axis=-1)
            h = ops.tanh(self.sums(x, h) + self.bias)
            return h, [h, flat]

    return {
        "minimal": Minimal,
        "masked": Minimal,
        "lstm": Long,
        "nested": Nested,
        "normalized": Normalized,
        "attention": Attention,
        "built-in": keras.layers.LSTMCell,
    }


def layer(keras: Any, name: str, units: int, values: Any) -> Any:
    """One of `LAYERS`, with a vector for each sequence."""
    layers = keras.layers
    if name == "recurrent dropout":
        return layers.LSTM(units, recurrent_dropout=0.2)(values)
    if name == "ConvLSTM1D":
        steps, features = values.shape[1:]
        frames = layers.Reshape((steps, features // 2, 2))(values)
        return layers.Flatten()(layers.ConvLSTM1D(8, 3, padding="same")(frames))
    if name == "Attention":
        values = layers.Attention()([values, values])
    else:
        values = layers.MultiHeadAttention(4, units // 4)(values, values)
    return layers.GlobalAveragePooling1D()(values)


def code_of(keras: Any, units: int) -> dict[str, Callable[[Any], Any]]:
    """Layers with code of users, by name: each is applied to a sequence."""
    ops, layers = keras.ops, keras.layers

    class Twice(layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.first = self.add_weight(shape=(shape[-1], units), name="first")
            self.second = self.add_weight(shape=(units, units), name="second")

        def call(self, inputs: Any) -> Any:
            hidden = ops.tanh(ops.matmul(inputs, self.first))
            return ops.tanh(ops.matmul(hidden, self.second))

    def gated(values: Any) -> Any:
        return values * ops.sigmoid(values) + ops.mean(values, axis=-1, keepdims=True)

    def bent(values: Any) -> Any:
        return ops.where(values > 0, values, 0.2 * ops.tanh(values))

    return {
        "layer": Twice(),
        "Lambda": lambda values: layers.Lambda(gated)(layers.Dense(units)(values)),
        "activation": layers.Dense(units, activation=bent),
        "L2": layers.Dense(units, "tanh", kernel_regularizer=keras.regularizers.L2(1e-3)),
    }


def judges_of(keras: Any) -> dict[str, dict[str, Any]]:
    """What models are compiled with, by name."""
    ops = keras.ops

    def worst_of_both(true: Any, pred: Any) -> Any:
        error = pred - true
        return ops.mean(
            ops.maximum(0.9 * error, -0.1 * error) + 0.1 * ops.tanh(error) ** 2, axis=-1
        )

    return {
        "loss": {"loss": worst_of_both},
        "metric": {"loss": "mse", "metrics": [worst_of_both]},
        "RMSE": {"loss": "mse", "metrics": [keras.metrics.RootMeanSquaredError()]},
    }


def subclassed(keras: Any, units: int) -> Any:
    """A model whose `call` calls two layers."""
    ops, layers = keras.ops, keras.layers

    class Net(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.hidden = layers.Dense(units, activation="tanh")
            self.head = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.head(ops.mean(self.hidden(inputs), axis=1))

    return Net()


def model_of(keras: Any, kind: str, shape: tuple[int, int], units: int) -> Any:
    """The compiled model of a kind, with Dense(1) at its end, on each step where it is judged."""
    layers = keras.layers
    inputs = values = keras.Input(shape)
    judges = judges_of(keras)
    if kind == "masked":
        values = layers.Masking()(values)
    if kind in LAYERS:
        values = layer(keras, kind, units, values)
    elif kind in judges:
        values = layers.Dense(units, activation="tanh")(values)
    elif kind in OTHERS and kind != "subclassed":
        values = layers.GlobalAveragePooling1D()(code_of(keras, units)[kind](values))
    elif kind != "subclassed":
        values = layers.RNN(cells_of(keras)[kind](units))(values)
    if kind == "subclassed":
        model = subclassed(keras, units)
    else:
        model = keras.Model(inputs, layers.Dense(1)(values))
    model.compile(keras.optimizers.Adam(), **judges.get(kind, {"loss": "mse"}))
    return model
