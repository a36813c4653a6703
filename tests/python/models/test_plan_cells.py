"""Users' cells in plans: their steps over time are programs of the engine."""

import numpy as np
import pytest

import ferrnn as keras
import users_cells
from ferrnn import layers, ops
from ferrnn.layers import LSTM, RNN, Dense
from ferrnn.testing import check_vjp
from models.own_code import close, floatx, functional  # noqa: F401 - a fixture
from models.planned import data, trained


class Zeros(users_cells.LongCell):
    """States of zeros that the cell makes itself."""

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units)), ops.zeros((batch_size, self.units))]


class Plain:
    """No layer: a class of its own, without weights."""

    state_size = 5

    def __init__(self):
        self.rate = 0.5

    def call(self, inputs, states):
        h = self.rate * states[0] + (1.0 - self.rate) * ops.sin(inputs)
        return h, [h]


class ByTraining(users_cells.MinimalCell):
    """Other code in training."""

    def call(self, inputs, states, training=False):
        h, _ = super().call(inputs, states)
        h = 2.0 * h if training else h
        return h, [h]


def over(x, kind=users_cells.LongCell, **flags):
    own = kind() if kind is Plain else kind(5, dtype=x.dtype)
    return RNN(own, dtype=x.dtype, **flags)(x)


def cell(kind=users_cells.LongCell, **flags):
    def body(x):
        values = over(x, kind, **flags)
        return LSTM(3)(values) if flags.get("return_sequences") else values

    return body


CELLS = {
    "minimal": cell(users_cells.MinimalCell),
    "long": cell(),
    "normalized": cell(users_cells.NormalizedLongCell),
    "zeros": cell(Zeros),
    "plain": cell(Plain),
    "by training": cell(ByTraining),
    "sequences": cell(return_sequences=True),
    "backwards": cell(go_backwards=True),
    "sequences backwards": cell(go_backwards=True, return_sequences=True),
    "two": lambda x: over(over(x, users_cells.MinimalCell, return_sequences=True)),
    "after a layer": lambda x: over(LSTM(4, return_sequences=True)(x)),
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_train_as_their_code_says(kind, monkeypatch):
    x, y = data(dtype="float64")
    options = {"validation_data": (x[:9], y[:9])}
    model = close(functional(CELLS[kind]), x, y, monkeypatch, **options)
    assert not any(node.back for node in model.explain_plan()), model.explain_plan()


@pytest.mark.parametrize("kind", ["minimal", "long"])
def test_cells_train_in_single_precision(kind, monkeypatch):
    x, y = data()
    close(functional(CELLS[kind], "float32"), x, y, monkeypatch, rtol=2e-4)


@pytest.mark.parametrize("flags", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", [users_cells.MinimalCell, Zeros])
def test_masked_steps_are_left_out(kind, flags, sequences, monkeypatch):
    x, y = data(dtype="float64")
    x[::2, 3:] = 0.0
    x[1::4, :2] = 0.0
    x[5] = 0.0
    flags = {"return_sequences": sequences, **flags}
    masked = functional(lambda inputs: cell(kind, **flags)(layers.Masking()(inputs)))
    model = close(masked, x, y, monkeypatch)
    assert not any(node.back for node in model.explain_plan()), model.explain_plan()


def test_sequences_of_any_length(monkeypatch):
    def build():
        inputs = keras.Input((None, 5))
        return keras.Model(inputs, Dense(3)(CELLS["sequences"](inputs)))

    x, y = data()
    model, _ = trained(build, x, y, monkeypatch, planned=True)
    for steps in (4, 1, 6):
        model.fit(x[:, :steps], y, batch_size=8, verbose=0)
        outputs = model.predict(x[:, :steps], verbose=0)
        np.testing.assert_allclose(outputs, model(x[:, :steps]), rtol=1e-5)


def test_attributes_of_a_cell_may_change(monkeypatch):
    x, y = data(dtype="float64")
    model, _ = trained(functional(CELLS["plain"]), x, y, monkeypatch, planned=True)
    before = model.predict(x, verbose=0)
    layer = next(layer for layer in model.layers if isinstance(layer, RNN))
    layer.cell.rate = 0.1
    after = model.predict(x, verbose=0)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, model(x), rtol=1e-12)
    layer.go_backwards = True
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-12)


class Dropping(users_cells.MinimalCell):
    """Layers inside are as in training, though `call` does not take `training`."""

    def __init__(self, units, **options):
        super().__init__(units, **options)
        self.drop = layers.Dropout(0.5, seed=3, dtype=self.dtype)

    def call(self, inputs, states):
        return super().call(self.drop(inputs), states)


class Learned(users_cells.MinimalCell):
    """States start from a weight, which is zero at first."""

    def build(self, shape):
        super().build(shape)
        self.first = self.add_weight((self.units,), "zeros", name="first")

    def get_initial_state(self, batch_size=None):
        return [ops.tile(ops.expand_dims(self.first, 0), (batch_size, 1))]


LEARNED = []


class LearnedElsewhere(users_cells.MinimalCell):
    """States start from a weight that is a global variable."""

    def build(self, shape):
        super().build(shape)
        self.first = self.add_weight((self.units,), "zeros", name="first")
        LEARNED[:] = [self.first]

    def get_initial_state(self, batch_size=None):
        return [ops.tile(ops.expand_dims(LEARNED[0], 0), (batch_size, 1))]


class Ones(users_cells.MinimalCell):
    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, self.units))]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (cell(Dropping), "dropout in training"),
        (cell(Learned), "a `get_initial_state` that may give more than zeros"),
        (cell(LearnedElsewhere), "a `get_initial_state` that may give more than zeros"),
        (cell(Ones), "a `get_initial_state` that may give more than zeros"),
        (
            lambda x: layers.concatenate(cell(return_state=True)(x)),
            "several outputs",
        ),
    ],
)
def test_other_cells_are_handed_back_to_python(body, why, monkeypatch):
    x, y = data(dtype="float64")
    model = close(functional(body), x, y, monkeypatch)
    (node,) = [node for node in model.explain_plan() if node.back]
    assert why in node.back
    assert "Cell" in node.back or "cell" in node.back


def test_layers_in_a_cell_are_as_in_training():
    x, _ = data()
    layer = RNN(Dropping(5))
    np.testing.assert_array_equal(layer(x), layer(x, training=False))
    first, second = layer(x, training=True), layer(x, training=True)
    assert not np.allclose(first, second)
    outputs, vjp = layer.forward(x, keras.Call(training=True, differentiable=True))
    assert not np.allclose(outputs, layer(x))
    assert vjp is not None


def test_states_that_a_cell_learns_have_gradients(monkeypatch):
    x, y = data(dtype="float64")
    model = close(functional(cell(Learned)), x, y, monkeypatch)
    learned = next(weight for weight in model.weights if weight.path.endswith("first"))
    assert np.all(np.abs(learned.numpy()) > 1e-4)


@pytest.mark.parametrize("kind", [Learned, users_cells.MinimalCell])
def test_gradients_of_learned_states(kind):
    x, _ = data((3, 4, 2), dtype="float64")
    layer = RNN([kind(3, dtype="float64"), Learned(2, dtype="float64")], dtype="float64")
    layer(x)
    for weight in layer.weights:
        weight.assign(np.random.default_rng(weight.size).normal(size=weight.shape))
    call = keras.Call(differentiable=True)
    check_vjp(lambda inputs: layer.forward(inputs, call), x, layer.weights)


class Unused(layers.Layer):
    """A weight that its code does not read; as a program, or with an operation of NumPy's."""

    def __init__(self, sorts, **options):
        super().__init__(**options)
        self.sorts = sorts

    def build(self, shape):
        self.scale = self.add_weight((shape[-1],), "ones", name="scale")
        self.unread = self.add_weight((shape[-1],), "ones", name="unread")

    def call(self, inputs):
        return (ops.sort(inputs) if self.sorts else inputs) * self.scale


@pytest.mark.parametrize("sorts", [False, True])
def test_weights_that_are_not_used_are_told(sorts, monkeypatch):
    x, y = data(dtype="float64")
    body = functional(lambda values: Unused(sorts, dtype="float64")(LSTM(4)(values)))
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['.*unread'\]"):
        close(body, x, y, monkeypatch)
