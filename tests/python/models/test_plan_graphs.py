"""Plans of graphs with forks, and with layers that the engine hands back to Python."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import LSTM, Dense
from models.planned import data, same, steps_of_calls, trained


class Sorted(layers.Layer):
    """A layer of a user's, with a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        return ops.sort(inputs) * self.scale


def functional(body, shape=(6, 5), out=3):
    def build():
        inputs = keras.Input(shape)
        return keras.Model(inputs, Dense(out)(body(inputs)))

    return build


def recurrent_before(*between):
    def body(x):
        x = LSTM(5, return_sequences=True)(x)
        for layer in between:
            x = keras.layers.deserialize(keras.layers.serialize(layer))(x)
        return layers.GRU(4)(x)

    return body


def residual(x):
    y = LSTM(5, return_sequences=True)(x)
    y = layers.Add()([x, y, layers.Dropout(0.3)(y)])
    return layers.GRU(4)(layers.LayerNormalization()(y))


def joined(kind):
    def body(x):
        a, b = LSTM(4, return_sequences=True)(x), layers.GRU(4, return_sequences=True)(x)
        c = Dense(4, "tanh")(b)
        parts = [a, b] if kind is layers.Subtract else [a, b, c, b]
        return layers.SimpleRNN(3)(kind()(parts))

    return body


def attention(x):
    y = layers.Bidirectional(LSTM(3, return_sequences=True))(x)
    y = y + layers.MultiHeadAttention(2, 3)(y, y)
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))


def masked(x):
    x = layers.Masking(0.5)(x)
    x = Dense(4)(layers.Activation("tanh")(LSTM(4, return_sequences=True)(x)))
    return layers.GlobalAveragePooling1D()(x)


def masked_sums(x):
    x = layers.Masking(0.5)(x)
    a, b = LSTM(4, return_sequences=True)(x), layers.GRU(4, return_sequences=True)(x)
    c = layers.Subtract()([layers.Add()([a, b, layers.Dropout(0.2)(a)]), Dense(4)(b)])
    return layers.GRU(3)(layers.Average()([c, b]))


def nested(x):
    inner_input = keras.Input((6, 5))
    y = LSTM(5, return_sequences=True)(inner_input)
    inner = keras.Model(inner_input, layers.Concatenate()([inner_input, y, inner_input]))
    first = layers.GRU(5, return_sequences=True)(x)
    return layers.Average()([LSTM(3)(inner(first)), layers.GRU(3)(first)])


def of_steps(x):
    x = layers.TimeDistributed(Dense(4, "relu"))(LSTM(5, return_sequences=True)(x))
    return layers.Flatten()(layers.Reshape((3, 2, 4))(x))


def repeated(x):
    again = layers.RepeatVector(4)(layers.GRU(5)(x))
    single = layers.RepeatVector(9)(Dense(1)(layers.GRU(2)(x)))  # whose gradient is summed in pairs
    return layers.Concatenate()([LSTM(3)(again), LSTM(2)(single)])


def stacked(x):
    cells = [layers.LSTMCell(5, dropout=0.2, seed=1), layers.GRUCell(4), layers.SimpleRNNCell(3)]
    x = layers.RNN(cells, return_sequences=True, zero_output_for_mask=True)(layers.Masking(0.5)(x))
    return layers.RNN([layers.GRUCell(4), layers.LSTMCell(3, recurrent_dropout=0.3, seed=2)])(x)


def of_cells(*kinds, **options):
    """A layer of several cells, or its outputs."""

    def made(*inputs, **given):
        layer = layers.RNN([kind(4, name=f"cell_{at}") for at, kind in enumerate(kinds)], **options)
        return layer(*inputs, **given) if inputs else layer

    return made


def both_ways(x):
    return layers.Bidirectional(of_cells(layers.LSTMCell, layers.GRUCell)())(x)


NATIVE = {
    "stacked": stacked,
    "repeated": repeated,
    "residual": residual,
    "concat": joined(layers.Concatenate),
    "add": joined(layers.Add),
    "subtract": joined(layers.Subtract),
    "multiply": joined(layers.Multiply),
    "average": joined(layers.Average),
    "maximum": joined(layers.Maximum),
    "nested": nested,
    "attention": attention,
    "masked": masked,
    "masked sums": masked_sums,
}
HANDED_BACK = {
    "stack of unlike cells": of_cells(layers.LSTMCell, layers.IndRNNCell),
    "stack backwards": of_cells(layers.LSTMCell, layers.GRUCell, go_backwards=True),
    "stack with states": lambda x: of_cells(layers.GRUCell, layers.GRUCell)(
        x, initial_state=[x[:, 0, :4], layers.GRU(4)(x)]
    ),
    "stack both ways": both_ways,
    "convolution": recurrent_before(layers.DepthwiseConv1D(3, padding="same"), layers.ReLU()),
    "pooling": recurrent_before(layers.MaxPooling1D(2), layers.Activation("gelu")),
    "steps": of_steps,
    "own": lambda x: LSTM(3)(Sorted()(layers.GRU(4, return_sequences=True)(x))),
    "lambda": lambda x: layers.GRU(3)(layers.Lambda(ops.sort)(LSTM(4, return_sequences=True)(x))),
}


@pytest.mark.parametrize("kind", NATIVE)
def test_forks_train_to_the_same_bits(kind, monkeypatch):
    x, y = data()
    x[:, 4:] = 0.5
    model = same(functional(NATIVE[kind]), x, y, monkeypatch)
    assert all(node.back is None for node in model.explain_plan())


@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize("kind", HANDED_BACK)
def test_layers_that_are_handed_back_train_to_the_same_bits(kind, loss, monkeypatch):
    x, y = data()
    x[:, 4:] = 0.5
    given = {"compiled": {"loss": loss, "metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    model = same(functional(HANDED_BACK[kind]), x, y, monkeypatch, **given)
    back = [node for node in model.explain_plan() if node.back]
    assert back
    assert "Python, from the engine" in str(model.explain_plan())


def test_an_activation_of_numpys_is_said():
    model = functional(lambda x: Dense(4, "mish")(LSTM(3)(x)))()
    model.compile("sgd", "mse")
    backs = [node.back for node in model.explain_plan() if node.back]
    assert backs == ["its activation is computed in NumPy"]


def test_frozen_branches_get_no_gradients(monkeypatch):
    def build():
        model = functional(residual)()
        model.layers[1].trainable = False
        return model

    same(build, *data(), monkeypatch)


def test_frames_are_handed_back_before_the_recurrent_layer(monkeypatch):
    def build():
        inputs = keras.Input((4, 6, 5, 2))
        frames = layers.TimeDistributed(layers.Conv2D(3, 2, activation="relu"))(inputs)
        flat = layers.TimeDistributed(layers.Flatten())(frames)
        return keras.Model(inputs, Dense(1)(LSTM(3)(flat)))

    x, y = data((13, 4, 6, 5, 2), (1,))
    same(build, x, y, monkeypatch)
    lowest = trained(build, x[::2], y[::2], monkeypatch, planned=True)[0]
    assert np.all(np.isfinite(lowest.get_weights()[0]))


class Masks(layers.Layer):
    """Makes a mask of its own, whatever comes."""

    supports_masking = True

    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, mask=None):
        return np.arange(inputs.shape[1])[None] < [[4]] * len(inputs)


def test_a_mask_that_nobody_announced_is_heeded_as_without_a_plan(monkeypatch):
    def build():
        return functional(lambda x: LSTM(3)(Masks()(layers.GRU(4, return_sequences=True)(x))))()

    same(build, *data(), monkeypatch, heeded=False)


def test_what_a_layer_raises_reaches_the_caller_and_nothing_has_changed():
    class Broken(layers.Layer):
        fails = False

        def call(self, inputs):
            if self.fails:
                raise KeyError("of the user")
            return inputs * 1.0

    broken = Broken()
    model = functional(lambda x: LSTM(3)(broken(layers.GRU(4, return_sequences=True)(x))))()
    model.compile("sgd", "mse")
    x, y = data()
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    broken.fails = True
    with pytest.raises(KeyError, match="of the user"):
        model.fit(x, y, verbose=0)
    for own, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, other)
    broken.fails = False
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_a_layer_that_says_another_shape_than_it_gives_is_refused_as_without_a_plan():
    class Wrong(layers.Layer):
        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 7)

        def call(self, inputs):
            return inputs

    model = functional(lambda x: LSTM(3)(Wrong()(layers.GRU(4, return_sequences=True)(x))))()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"features|shape"):
        model.fit(*data(), verbose=0)


def test_what_is_not_planned_is_said():
    def body(x):
        return LSTM(3)(layers.Concatenate(axis=1)([layers.Masking()(x), x]))

    model = functional(body)()
    model.compile("sgd", "mse")
    assert not model.explain_plan().covered
    why = "it has axis=1, and it computes a new mask from that of its inputs"
    assert why in str(model.explain_plan())


def test_models_without_a_layer_of_the_engine_have_no_plan(monkeypatch):
    model, _ = trained(
        lambda: keras.Sequential(
            [keras.Input((6, 5)), layers.DepthwiseConv1D(3), layers.Flatten(), Dense(3)]
        ),
        *data(),
        monkeypatch,
        planned=True,
    )
    assert sum(node.back is not None for node in model.explain_plan()) == 1
    alone = [layers.DepthwiseConv1D(6), layers.UnitNormalization()]
    lone = keras.Sequential([keras.Input((6, 5)), *alone])
    lone.compile("sgd", "mse")
    assert not lone.explain_plan().covered


@pytest.mark.parametrize("alone", [False, True])
def test_layers_of_ferrnn_that_are_handed_back_leave_many_steps_to_one_call(alone, monkeypatch):
    calls = steps_of_calls(monkeypatch)
    body = recurrent_before(layers.DepthwiseConv1D(2))
    if alone:
        body = HANDED_BACK["own"]
    same(functional(body), *data(), monkeypatch)
    assert sum(calls) == 12
    assert (len(calls) == 12) is alone
