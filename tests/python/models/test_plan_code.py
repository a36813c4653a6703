"""Models and layers whose code calls layers: plans run these, with the bits of that code."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same, trained


class Plain(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.out = Dense(3)  # in another order than that of the calls
        self.read = LSTM(5)

    def call(self, inputs):
        return self.out(self.read(inputs))


class Block(layers.Layer):
    """A layer of layers, with dropout in training."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.first = Dense(2 * units, activation="relu")
        self.drop = layers.Dropout(0.3, seed=5)
        self.second = Dense(units)

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.first.units))

    def call(self, inputs, training=None):
        return inputs + self.second(self.drop(self.first(inputs), training=training))


class Deep(keras.Model):
    """Layers of a user inside, a normalization, a branch, arithmetic."""

    def __init__(self):
        super().__init__()
        self.read = layers.Bidirectional(GRU(4, return_sequences=True))
        self.block = Block(8)
        self.normal = layers.BatchNormalization(momentum=0.5)
        self.last = LSTM(4, dropout=0.2, seed=3)
        self.out = Dense(3)

    def call(self, inputs, training=False):
        h = self.block(self.read(inputs))
        h = self.normal(h * 0.5, training=training)
        return self.out(ops.concatenate([self.last(h), h[:, -1]], axis=-1))


class Frozen(Plain):
    """A layer that never trains, another that always does."""

    def __init__(self):
        super().__init__()
        self.fixed = layers.BatchNormalization()
        self.noisy = layers.Dropout(0.2, seed=9)

    def call(self, inputs):
        h = self.noisy(self.fixed(inputs, training=False), training=True)
        return self.out(self.read(h))


class Nested(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = Plain()
        self.graph = keras.Sequential([keras.Input((3,)), Dense(4, "tanh"), Dense(3)])

    def call(self, inputs):
        return self.graph(self.inner(inputs))


class Lengths(Plain):
    """Looks at the length of its inputs."""

    def call(self, inputs):
        steps, features = inputs.shape[1:]
        wide = ops.reshape(inputs, (-1, steps // 2, 2 * features))
        return self.out(self.read(wide))


class Masked(keras.Model):
    def __init__(self):
        super().__init__()
        self.hide = layers.Masking(0.5)
        self.read = LSTM(4, return_sequences=True)
        self.last = GRU(3)
        self.out = Dense(3)

    def call(self, inputs):
        return self.out(self.last(self.read(self.hide(inputs))))


def functional_with(kind):
    def build():
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, Dense(3)(LSTM(3)(kind()(inputs))))

    return build


MODELS = {
    "plain": Plain,
    "deep": Deep,
    "frozen": Frozen,
    "nested": Nested,
    "lengths": Lengths,
    "masked": Masked,
    "block": functional_with(lambda: Block(5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_code_trains_to_the_same_bits(name, monkeypatch):
    def build():
        model = MODELS[name]()
        model(np.zeros((2, 6, 5), "float32"))
        return model

    x, y = data()
    x[:, 4:] = 0.5
    model = same(build, x, y, monkeypatch, validation_data=(x[:9], y[:9]))
    monkeypatch.setenv("FERRNN_PLAN", "1")
    assert all(node.back is None for node in model.explain_plan())
    if name == "frozen":  # random without training too
        return
    together = model.predict(x, batch_size=4, verbose=0)
    np.testing.assert_array_equal(together, model.predict_on_batch(x))
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        results.append(model.evaluate(x, y, batch_size=4, verbose=0))
    assert results[0] == results[1]


def test_a_model_that_is_not_built_yet_is_trained_by_its_code(monkeypatch):
    x, y = data()
    weights = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = Deep()
        model.compile(keras.optimizers.Adam(clipnorm=0.5), "mse", metrics=["mae"])
        history = model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        weights.append([*model.get_weights(), *history.history.values()])
    assert model.explain_plan() is not None
    for own, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(own, other)


def test_names_and_calls_leave_no_trace(monkeypatch):
    x, y = data()
    model, _ = trained(lambda: built(Deep()), x, y, monkeypatch, planned=True)
    before = layers.Add().name
    model.fit(x, y, verbose=0)
    after = layers.Add().name
    assert int(after.split("_")[1]) == int((before + "_0").split("_")[1]) + 1
    assert all(not layer._inbound_nodes for layer in model.layers)


def built(model):
    model(np.zeros((2, 6, 5), "float32"))
    return model


def test_sequences_of_other_lengths(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    for kind in (Plain, Lengths):
        model = built(kind())
        model.compile("adam", "mse")
        model.fit(x, y, verbose=0)
        short = x[:, :4]
        model.fit(short, y, verbose=0)
        found = model.predict(short, batch_size=4, verbose=0)
        np.testing.assert_allclose(found, model(short), rtol=1e-5, atol=1e-6)


def test_inputs_of_a_dict_and_of_ids(monkeypatch):
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = layers.Embedding(9, 4)
            self.read = GRU(5)
            self.out = Dense(3)

        def call(self, inputs):
            h = self.read(ops.concatenate([self.words(inputs["ids"]), inputs["series"]], axis=-1))
            return self.out(h)

    x, y = data()
    given = {"series": x, "ids": np.random.default_rng(4).integers(0, 9, (29, 6))}

    def build():
        model = Two()
        model(given)
        return model

    model = same(build, given, y, monkeypatch)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    found = model.predict(given, batch_size=4, verbose=0)
    np.testing.assert_allclose(found, model(given), rtol=1e-5, atol=1e-6)


class Assigning(Plain):
    def call(self, inputs):
        self.last = self.read(inputs)
        return self.out(self.last)


class Adding(Plain):
    def call(self, inputs):
        self.add_loss(0.5)
        return self.out(self.read(inputs))


class Scaling(Plain):
    def build(self, input_shape):
        self.scale = self.add_weight((5,), "ones", name="scale")
        super().build(input_shape)

    def call(self, inputs):
        return self.out(self.read(inputs) * ops.exp(self.scale))


class Choosing(Plain):
    def call(self, inputs, training=False):
        h = self.read(inputs)
        return self.out(h if training else 2 * h)


class Judging(Plain):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training) * 2


class Drawing(Plain):
    def call(self, inputs):
        noise = keras.random.normal((1, 5))
        return self.out(self.read(inputs) + noise)


class Several(Plain):
    def call(self, inputs):
        return [self.out(self.read(inputs))]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Assigning, "an assignment to an attribute"),
        (Adding, "`add_loss`"),
        (Scaling, "the numbers of a weight"),
        (Choosing, "operations that differ in training"),
        (Judging, "defines `compute_loss`"),
        (Drawing, "random numbers"),
        (Several, "several outputs"),
    ],
)
def test_other_code_runs_layer_by_layer(kind, why, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = built(kind())
        model.compile("adam", "mse")
        if planned == "1":
            assert why in str(model.explain_plan())
        model.fit(x, y, epochs=2, verbose=0)
        results.append(model.get_weights())
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


class Writer(keras.Model):
    """A model whose states are given or begin by default, as models of text are often written."""

    def __init__(self):
        super().__init__()
        self.read = GRU(4, return_sequences=True, return_state=True)
        self.last = LSTM(3)
        self.out = Dense(3)

    def call(self, inputs, states=None, return_state=False, training=False):
        if states is None:
            states = self.read.get_initial_state(ops.shape(inputs)[0])
        x, states = self.read(inputs, initial_state=states, training=training)
        x = self.out(self.last(x, training=training))
        return (x, states) if return_state else x


class OfWords(Writer):
    def __init__(self):
        super().__init__()
        self.words = layers.Embedding(9, 5)

    def call(self, inputs, states=None, return_state=False, training=False):
        return super().call(self.words(inputs), states, return_state, training)


@pytest.mark.parametrize("first", ["nothing", "a call", "build"])
def test_models_of_words_are_planned(first, monkeypatch):
    """They are built with zeros, which are no ids."""
    x, y = np.random.default_rng(1).integers(0, 9, (29, 6)).astype("int32"), data()[1]
    calls, alone = [], OfWords.loss_and_gradients

    def counted(*given):
        calls.append(given)
        return alone(*given)

    monkeypatch.setattr(OfWords, "loss_and_gradients", counted)
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = OfWords()
        if first == "a call":
            model(x[:2])
        elif first == "build":
            model.build((None, 6))
        model.compile("adam", "mse")
        losses = model.fit(x, y, batch_size=8, verbose=0, epochs=3).history["loss"]
        results.append([*losses, *model.get_weights()])
        assert len(calls) == (12 if planned == "0" else 0)
        calls.clear()
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


def test_states_that_begin_by_default_are_planned(monkeypatch):
    def build():
        model = Writer()
        model(np.zeros((2, 6, 5), "float32"))
        return model

    x, y = data()
    model = same(build, x, y, monkeypatch, validation_data=(x[:9], y[:9]))
    assert all(node.back is None for node in model.explain_plan())
    outputs, states = model(x, return_state=True)
    again, _ = model(x, states=states, return_state=True)
    assert not np.array_equal(outputs, again)


def test_states_by_default_that_code_computes_with_are_not_planned():
    class Doubling(Writer):
        def call(self, inputs):
            states = self.last.get_initial_state(ops.shape(inputs)[0])
            return self.out(self.last(inputs, initial_state=[2 * state for state in states]))

    model = Doubling()
    x, y = data()
    model(x)
    model.compile("sgd", "mse")
    assert not model.explain_plan().covered
    model.fit(x, y, verbose=0)
