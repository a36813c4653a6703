"""Random cells: whatever operations follow each other, a program gives what steps give."""

import os

import numpy as np

from each_case import each_case
from ferrnn import ops
from program_comparison import agree, drawn, made
from users_cells import Written

UNARY = [
    ops.tanh,
    ops.sigmoid,
    ops.relu,
    ops.softplus,
    ops.silu,
    ops.negative,
    ops.abs,
    lambda a: ops.exp(-ops.abs(a)),
    lambda a: ops.sqrt(ops.square(a) + 0.3),
    lambda a: ops.rsqrt(a * a + 1.0),
    lambda a: ops.log(ops.abs(a) + 0.5),
    lambda a: ops.sin(a) + ops.cos(a),
    lambda a: ops.softmax(a, axis=-1),
    lambda a: ops.layer_normalization(a, epsilon=0.1),
    lambda a: ops.clip(a, -0.4, 0.6),
    lambda a: ops.concatenate([a[:, 2:], a[:, :2]], axis=-1),
    lambda a: ops.concatenate([a[:, ::2], a[:, 1::2]], axis=1),
    lambda a: ops.reshape(ops.transpose(ops.reshape(a, (-1, 2, 3)), (0, 2, 1)), (-1, 6)),
    lambda a: ops.sum(ops.reshape(a, (-1, 2, 3)), axis=1, keepdims=True)[:, 0, :1] + a,
    lambda a: ops.leaky_relu(a, 0.3),
    ops.elu,
    lambda a: (a - ops.mean(a, -1, True)) * ops.rsqrt(ops.var(a, -1, True) + 0.1),
    lambda a: ops.square(ops.sum(a, -1, True) - a) - ops.mean(a, -1, True),
]
BINARY = [
    ops.add,
    ops.subtract,
    ops.multiply,
    ops.maximum,
    ops.minimum,
    lambda a, b: a / (1.0 + ops.abs(b)),
    lambda a, b: ops.where(a < b, a, 0.5 * b),
    lambda a, b: a - ops.mean(b, axis=-1, keepdims=True),
    lambda a, b: a * ops.max(b, axis=1, keepdims=True),
    lambda a, b: ops.split(ops.concatenate([a, b], axis=-1), [3, 9], axis=-1)[1],
    lambda a, b: ops.einsum("bi,bj->bij", a, b)[:, 1],
    lambda a, b: a + ops.matmul(ops.reshape(a, (-1, 3, 2)), ops.reshape(b, (-1, 2, 3)))[:, 0, 1:2],
]


class RandomCell(Written):
    """So many operations on inputs, three states and weights, drawn from a seed.

    Some hand the third state on as it is.
    """

    def __init__(self, seed, **options):
        super().__init__(6, **options)
        self.seed = seed
        self.state_size = [6, 6, 6]

    def build(self, shape):
        self.weight("kernel", shape[-1], 6)
        self.weight("square", 6, 6)
        self.weight("wide", 1, 6)
        self.weight("bias", 6)

    def call(self, inputs, states):
        rng = np.random.default_rng(self.seed)
        values = [ops.matmul(inputs, self.kernel), *states, self.wide, self.bias]
        for _ in range(rng.integers(4, 14)):
            kind = rng.integers(4)
            a, b = (values[n] for n in rng.integers(len(values), size=2))
            if len(a.shape) < 2 or a.shape[0] == 1:
                a = a + values[rng.integers(3)]
            if len(b.shape) < 2 or b.shape[0] == 1:
                b = b * values[rng.integers(3)]
            if kind == 0:
                value = ops.matmul(a, self.square)
            elif kind == 1:
                value = BINARY[rng.integers(len(BINARY))](a, b)
            else:
                value = UNARY[rng.integers(len(UNARY))](a)
            values.append(value)
        last = [ops.tanh(values[n]) for n in (-1, -2, -3)]
        third = states[2] if self.seed % 3 else last[0] - states[1]
        return last[0], [last[1], 0.7 * last[2], third]


@each_case("seed", range(60 if "FERRNN_DEEP" in os.environ else 24))
def test_a_random_cell_gives_what_its_steps_give(seed):
    cell = made(RandomCell, seed=seed)
    rng = np.random.default_rng(seed)
    batch, time = (int(n) for n in rng.integers([2, 1], 5, size=2))
    inputs, states = drawn(cell, batch, time)
    mask = rng.random((batch, time)) < 0.8 if seed % 3 == 0 else None
    agree(cell, inputs, states, mask=mask, return_sequences=bool(seed % 2))
