"""Programs of users' code give the same bits on any number of threads."""

import math

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import layers, ops
from ferrnn._src.sequence import programmed
from program_comparison import drawn, made, run
from users_cells import ALL, LongCell, MinimalCell, NestedCell, NormalizedLongCell, Written

UNITS = 32
# Rows and steps that three threads are used for.
WORK = 1600
each_batch = each_case("batch", [1, 5, 33, 70])
each_dtype = each_case("dtype", ["float32", "float64"])


class GatedCell(Written):
    """A GRU."""

    def build(self, shape):
        self.weight("gates", shape[-1] + self.units, 2 * self.units)
        self.weight("kernel", shape[-1], self.units)
        self.weight("recurrent_kernel", self.units, self.units)
        self.weight("bias", self.units)

    def call(self, inputs, states):
        (h,) = states
        gates = ops.sigmoid(ops.matmul(ops.concatenate([inputs, h], axis=-1), self.gates))
        update, reset = ops.split(gates, 2, axis=-1)
        new = ops.matmul(reset * h, self.recurrent_kernel) + self.bias
        h = update * h + (1.0 - update) * ops.tanh(inputs @ self.kernel + new)
        return h, [h]


def on_each_number(compute):
    """What is computed on one, two and three threads."""
    before, found = keras.num_threads(), []
    try:
        for count in (1, 2, 3):
            keras.set_num_threads(count)
            found.append([np.array(each) for each in compute()])
    finally:
        keras.set_num_threads(before)
    return found


def equal_on_each_number(compute):
    one, *more = on_each_number(compute)
    assert any(np.any(each) for each in one)
    for found in more:
        for ours, theirs in zip(found, one, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@each_case("kind", [*ALL, GatedCell])
@each_dtype
@each_batch
def test_cells_over_time(kind, dtype, batch):
    cell = made(kind, dtype, units=UNITS)
    inputs, states = drawn(cell, batch, math.ceil(WORK / batch))
    equal_on_each_number(lambda: run(programmed.scan, cell, inputs, states))


@each_case("kind", [MinimalCell, NestedCell, NormalizedLongCell])
@each_batch
@each_case(
    ("zero", "sequences", "backwards"),  # any two of them
    [(False, False, False), (False, True, True), (True, False, True), (True, True, False)],
)
def test_masks_and_directions(kind, batch, zero, sequences, backwards):
    cell = made(kind, "float32", units=UNITS)
    time = math.ceil(WORK / batch)
    inputs, states = drawn(cell, batch, time)
    mask = np.random.default_rng(3).random((batch, time)) < 0.6
    options = {"mask": mask, "go_backwards": backwards, "return_sequences": sequences}
    options["zero_output_for_mask"] = zero
    equal_on_each_number(lambda: run(programmed.scan, cell, inputs, states, **options))


class Between(layers.Layer):
    """A layer whose weights are a matrix, and vectors for features and for steps."""

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 4 * UNITS), name="kernel")
        self.back = self.add_weight((4 * UNITS, shape[-1]), name="back")
        self.scale = self.add_weight((shape[-1],), "ones", name="scale")
        self.steps = self.add_weight((shape[-2], 1), name="steps")

    def call(self, inputs):
        hidden = ops.gelu(ops.matmul(inputs * self.scale + self.steps, self.kernel))
        return inputs + ops.matmul(hidden, self.back)


def tilted(y_true, y_pred):
    error = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * error, -0.1 * error) + ops.tanh(error) ** 2, axis=-1)


def masked_both_ways(x):
    cells = LongCell(UNITS), LongCell(UNITS)
    forward, backward = (layers.RNN(cell, return_sequences=True) for cell in cells)
    backward.go_backwards = True
    both = layers.Bidirectional(forward, backward_layer=backward)
    return both(layers.Masking()(x))


# Each makes what is applied to the inputs.
BODIES = {
    "both ways": lambda: masked_both_ways,
    "last": lambda: layers.RNN(NormalizedLongCell(UNITS)),
    "sequences": lambda: layers.RNN(GatedCell(UNITS), return_sequences=True),
    "layer": Between,
    "operations": lambda: lambda x: ops.concatenate([ops.sin(x) * x, ops.tanh(x) / 2.0], axis=-1),
    "attention": lambda: lambda x: layers.MultiHeadAttention(4, 16)(x, x),
}


@each_case("body", BODIES)
@each_dtype
@each_case(("batch", "time"), [(5, 400), (33, 60), (70, 30)])
def test_models(body, dtype, batch, time):
    if body == "attention":
        time = min(time, 60)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * batch, time, 12)).astype(dtype)
    x[1, time // 2 :] = 0.0

    def compute():
        keras.utils.set_random_seed(1)
        keras.config.set_floatx(dtype)
        inputs = keras.Input((time, 12))
        model = keras.Model(inputs, layers.Dense(16)(BODIES[body]()(inputs)))
        model.compile(keras.optimizers.Adam(0.01), tilted, metrics=[tilted])
        assert model.explain_plan().covered
        y = np.random.default_rng(1).normal(size=(2 * batch, *model.output_shape[1:]))
        history = model.fit(x, y.astype(dtype), batch_size=batch, epochs=1, verbose=0).history
        outputs = model.predict(x, batch_size=batch, verbose=0)
        return [*(history[name] for name in sorted(history)), outputs, *model.get_weights()]

    equal_on_each_number(compute)


@pytest.fixture(autouse=True)
def floatx():
    yield
    keras.config.set_floatx("float32")
