"""Cells as users write them, for tests: each runs as a program in the engine."""

import numpy as np

from ferrnn import layers, ops


class Written(layers.Layer):
    """What the cells share: their units, and weights by name."""

    def __init__(self, units=5, **options):
        super().__init__(**options)
        self.units = units
        self.state_size = units

    def weight(self, name, *shape):
        setattr(self, name, self.add_weight(shape, "glorot_uniform", name=name))


class MinimalCell(Written):
    def build(self, shape):
        self.weight("kernel", shape[-1], self.units)
        self.weight("recurrent_kernel", self.units, self.units)

    def call(self, inputs, states):
        h = ops.tanh(inputs @ self.kernel + ops.matmul(states[0], self.recurrent_kernel))
        return h, [h]


class LongCell(Written):
    """An LSTM."""

    def __init__(self, units=5, **options):
        super().__init__(units, **options)
        self.state_size = [units, units]

    def build(self, shape):
        self.weight("kernel", shape[-1], 4 * self.units)
        self.weight("recurrent_kernel", self.units, 4 * self.units)
        self.weight("bias", 4 * self.units)

    def call(self, inputs, states):
        h, c = states
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, [h, c]


class NormalizedLongCell(LongCell):
    """An LSTM with layer normalization of its sums and its state."""

    def build(self, shape):
        super().build(shape)
        self.weight("scale", 4 * self.units)
        self.weight("kept_scale", self.units)

    def normalized(self, x, scale):
        mean = ops.mean(x, axis=-1, keepdims=True)
        spread = ops.var(x, axis=-1, keepdims=True)
        return (x - mean) * ops.rsqrt(spread + 1e-3) * scale

    def call(self, inputs, states):
        h, c = states
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)
        z = self.normalized(z, self.scale) + self.bias
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        kept = ops.layer_normalization(c, self.kept_scale, epsilon=1e-3)
        return ops.sigmoid(o) * ops.tanh(kept), [h * 0.5 + kept * 0.5, c]


class NestedCell(Written):
    """A state in a nested list, and weights used element by element."""

    def __init__(self, units=5, **options):
        super().__init__(units, **options)
        self.state_size = [units, [3, units]]

    def build(self, shape):
        self.weight("kernel", shape[-1], self.units)
        self.weight("small", self.units, 3)
        self.weight("rate", 1, self.units)

    def call(self, inputs, states):
        h, (few, slow) = states
        x = ops.matmul(inputs, self.kernel)
        rate = ops.sigmoid(self.rate)
        slow = rate * slow + (1 - rate) * x
        few = ops.softmax(few + ops.matmul(h, self.small))
        h = ops.relu(h * 0.5 + slow) * ops.sum(few, axis=-1, keepdims=True) + few[:, :1]
        return h, [h, [few, slow]]


class AttentionCell(Written):
    """Bahdanau's attention over a memory that is a state and stays as it is."""

    def __init__(self, units=5, steps=4, size=3, **options):
        super().__init__(units, **options)
        self.steps, self.size = steps, size
        self.state_size = [units, steps * size]

    def get_initial_state(self, batch_size=None):
        memory = np.linspace(-1, 1, batch_size * self.steps * self.size)
        memory = memory.reshape(batch_size, self.steps, self.size)
        return [np.zeros((batch_size, self.units)), memory]

    def build(self, shape):
        self.weight("query", self.units, 6)
        self.weight("keys", self.size, 6)
        self.weight("score", 6, 1)
        self.weight("kernel", shape[-1] + self.size, self.units)
        self.weight("recurrent_kernel", self.units, self.units)

    def call(self, inputs, states):
        h, memory = states
        query = ops.expand_dims(ops.matmul(h, self.query), 1)
        scores = ops.matmul(ops.tanh(query + ops.matmul(memory, self.keys)), self.score)
        weights = ops.softmax(scores, axis=1)
        context = ops.sum(weights * memory, axis=1)
        x = ops.concatenate([inputs, context], axis=-1)
        h = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel))
        return h, [h, memory]


class CellOfLayers(Written):
    """Layers within the cell."""

    def build(self, shape):
        self.first = layers.Dense(7, activation="gelu", dtype=self.dtype)
        self.first.build((None, shape[-1] + self.units))
        self.norm = layers.LayerNormalization(dtype=self.dtype)
        self.norm.build((None, 7))
        self.last = layers.Dense(self.units, use_bias=False, dtype=self.dtype)
        self.last.build((None, 7))

    def call(self, inputs, states):
        x = self.first(ops.concatenate([inputs, states[0]], axis=1))
        h = ops.silu(self.last(self.norm(x))) + states[0]
        return ops.clip(h, -2.0, 2.0), [h]


class CellOfChoices(Written):
    """Comparisons, extremes, powers, and parts of weights."""

    def build(self, shape):
        self.weight("kernel", shape[-1], 2 * self.units)
        self.weight("bias", 2, self.units)

    def call(self, inputs, states):
        (h,) = states
        a = ops.matmul(inputs, self.kernel[:, : self.units]) + self.bias[0]
        b = ops.matmul(inputs, self.kernel[:, self.units :]) * self.bias[1]
        chosen = ops.where(ops.logical_and(a > b, h < 1.0), ops.maximum(a, h), ops.minimum(b, 0.1))
        h = chosen / (1.0 + ops.square(h)) + ops.abs(h) ** 2 - 0.1 * ops.exp(-ops.abs(b))
        top = ops.max(h, axis=-1, keepdims=True)
        return ops.sqrt(ops.abs(h) + 0.1) - top, [0.3 * h]


class CellOfWindows(Written):
    """A GRU with convolutions, whose states are rows of places."""

    def build(self, shape):
        self.gates = layers.Conv1D(2, 3, padding="same", activation="sigmoid", dtype=self.dtype)
        self.gates.build((None, self.units, 2))
        self.new = layers.Conv1D(1, 2, dilation_rate=2, padding="causal", dtype=self.dtype)
        self.new.build((None, self.units, 2))
        self.weight("kernel", shape[-1], self.units)

    def call(self, inputs, states):
        x = ops.expand_dims(ops.matmul(inputs, self.kernel), -1)
        h = ops.expand_dims(states[0], -1)
        update, reset = ops.split(self.gates(ops.concatenate([x, h], axis=-1)), 2, axis=-1)
        new = ops.tanh(self.new(ops.concatenate([x, reset * h], axis=-1)))
        h = (update * h + (1.0 - update) * new)[:, :, 0]
        return h, [h]


ALL = [
    MinimalCell,
    LongCell,
    NormalizedLongCell,
    NestedCell,
    AttentionCell,
    CellOfLayers,
    CellOfChoices,
    CellOfWindows,
]
