"""Masks of three axes and more: a step is masked when all its entries are."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call
from ferrnn._src.layer.masked import mask_of
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    ConvLSTM1D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    GRUCell,
    Input,
    Layer,
    LSTMCell,
    MaxPooling1D,
    SimpleRNN,
    TimeDistributed,
)
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 5, 3))
STEPS = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


class Leaky(Layer):
    """A cell of a user's, so that the layer runs step by step."""

    state_size = 3

    def build(self, input_shape):
        self.leak = self.add_weight((3,), "random_normal", name="leak")

    def step(self, inputs, states, call):
        (h,) = states
        output = self.leak.value * h + inputs

        def vjp(d_output, d_states, grads):
            d_h = d_output + d_states[0]
            grads.add(self.leak, (d_h * h).sum(axis=0))
            return d_h, (d_h * self.leak.value,)

        return (output, (output,)), vjp


RECURRENT = {
    "LSTM": lambda **options: LSTM(7, **options),
    "GRU": lambda **options: GRU(7, **options),
    "SimpleRNN": lambda **options: SimpleRNN(7, **options),
    "stack": lambda **options: RNN(
        [GRUCell(2, dtype="float64"), LSTMCell(9, dtype="float64")], **options
    ),
    "own cell": lambda **options: RNN(Leaky(dtype="float64"), **options),
    "Bidirectional": lambda **options: Bidirectional(GRU(2, **options), dtype="float64"),
}
each_layer = each_case("make", RECURRENT.values(), ids=RECURRENT)


def entries(*shape):
    """A mask of more axes: of a masked step none is real, of a real one some are."""
    some = RNG.random((*STEPS.shape, *shape)) < 0.5
    some[..., -1] |= ~some.any(axis=tuple(range(2, some.ndim)), keepdims=True)[..., -1]
    return some & STEPS.reshape(*STEPS.shape, *(1,) * len(shape))


def embedded(ids, size=2, **options):
    return Embedding(9, size, mask_zero=True, **options)(ids)


@each_layer
@each_case("shape", [(1,), (3,), (8,), (2, 6)])
def test_a_step_is_masked_when_all_its_entries_are(make, shape):
    layer = make(return_sequences=True, dtype="float64")
    mask = entries(*shape)
    outputs = layer(X, mask=mask)
    np.testing.assert_array_equal(np.asarray(outputs), np.asarray(layer(X, mask=STEPS)))
    np.testing.assert_array_equal(mask_of(outputs), STEPS)
    np.testing.assert_array_equal(layer(X, mask=mask.astype("int32")), outputs)
    assert not np.array_equal(np.asarray(outputs), layer(X))


@each_layer
def test_gradients_with_a_mask_of_entries_match_finite_differences(make):
    layer = make(dtype="float64")
    layer.build(X.shape)
    call = Call(differentiable=True, mask=entries(3))
    check_vjp(lambda x: layer.forward(x, call), X, layer.weights)


@each_layer
def test_a_mask_of_entries_reaches_the_layers_of_a_model(make):
    values, mask = Input((5, 3), dtype="float64"), Input((5, 3), dtype="bool")
    layer = make(return_sequences=True, dtype="float64")
    outputs = layer(values, mask=mask)
    given = entries(3)
    model = keras.Model([values, mask], [outputs, outputs._keras_mask])
    found, of_outputs = model.predict([X, given], verbose=0)
    np.testing.assert_array_equal(found, np.asarray(layer(X, mask=STEPS)))
    np.testing.assert_array_equal(of_outputs, STEPS)


def test_other_layers_over_time_take_masks_of_entries():
    places = RNG.normal(size=(4, 5, 6, 3))
    for layer, x in ((ConvLSTM1D(2, 3), places), (GlobalAveragePooling1D(), X)):
        np.testing.assert_array_equal(layer(x, mask=entries(6)), layer(x, mask=STEPS))


def test_of_the_masks_of_several_sequences_the_first_counts():
    class Sum(Layer):
        state_size = 3

        def build(self, input_shapes):
            self.built = True

        def call(self, inputs, states, training=False):
            total = inputs[0] + inputs[1] + states[0]
            return total, [total]

    one, two = Input((5,), dtype="int32"), Input((5, 3))
    layer = RNN(Sum(), return_sequences=True)
    outputs = layer([embedded(one, 3, embeddings_initializer="ones"), two])
    model = keras.Model([one, two], [outputs, outputs._keras_mask])
    found, mask = model.predict([STEPS.astype("int32"), X], verbose=0)
    np.testing.assert_array_equal(mask, STEPS)
    expected = layer([np.ones_like(X), X], mask=[STEPS, None])
    np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(layer([np.ones_like(X), X], mask=STEPS), expected)


# Documents of sentences of words.

DOCUMENTS = np.array(
    [
        [[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]],
        [[4, 5, 6, 7], [0, 0, 0, 0], [8, 8, 0, 0]],
    ]
)


def real_parts(layer, vectors, keeps):
    """The layer's outputs for each sequence alone, without what is masked."""
    return np.concatenate([layer(v[None, k]) for v, k in zip(vectors, keeps, strict=True)])


@pytest.mark.parametrize("kind", [LSTM, GRU, SimpleRNN])
def test_words_of_sentences_of_documents(kind):
    ids = Input((3, 4), dtype="int32")
    words, sentences = kind(5), kind(2)
    vectors = embedded(ids)
    read = TimeDistributed(words)(vectors)
    model = keras.Model(ids, sentences(read))
    assert read._keras_mask.shape == (None, 3)
    table = model.layers[1]
    per_document = []
    for document in DOCUMENTS:
        real = document[(document > 0).any(-1)]
        inner = real_parts(words, table(real), real > 0)
        per_document.append(sentences(inner[None])[0])
    found = model.predict(DOCUMENTS, verbose=0)
    np.testing.assert_allclose(found, per_document, rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    model.fit(DOCUMENTS, np.ones((2, 2)), epochs=2, verbose=0)


def test_gradients_of_words_and_sentences_match_finite_differences():
    vectors = RNG.normal(size=(2, 3, 4, 2))
    inner = Bidirectional(LSTM(2, dtype="float64"))
    model = keras.Sequential([TimeDistributed(inner), LSTM(3, dtype="float64")])
    model.build((None, *vectors.shape[1:]))
    call = Call(differentiable=True, mask=DOCUMENTS > 0)
    check_vjp(lambda x: model.forward(x, call), vectors, model.weights)


@each_case(
    ("make", "keeps"),
    [
        (lambda: LSTM(3, return_sequences=True), True),
        (lambda: Bidirectional(GRU(3, return_sequences=True)), True),
        (lambda: Dense(3), True),
        (lambda: keras.Sequential([Dense(3), Dense(2)]), True),
        (lambda: LSTM(3), False),
        (lambda: keras.Sequential([Dense(3), LSTM(2)]), False),
        (Flatten, False),
        (GlobalMaxPooling1D, False),
        (GlobalAveragePooling1D, False),
        (MaxPooling1D, False),
        (lambda: GRU(3, stateful=True), False),
    ],
)
def test_what_a_mask_says_of_a_steps_inside_goes_on_with_that_inside(make, keeps):
    layer = TimeDistributed(make())
    vectors = RNG.normal(size=(2, 3, 4, 2)).astype("float32")
    mask = DOCUMENTS > 0
    outputs = layer(vectors, mask=mask)
    expected = mask if keeps else mask.any(axis=-1)
    np.testing.assert_array_equal(mask_of(outputs), expected)
    if outputs.ndim == 3:
        upper = LSTM(2)
        given = upper(outputs)
        np.testing.assert_array_equal(given, upper(np.asarray(outputs), mask=mask.any(-1)))


def test_a_mask_of_one_entry_for_each_step_is_a_mask_of_steps():
    layer = TimeDistributed(LSTM(3))
    vectors = RNG.normal(size=(4, 5, 6, 2))
    outputs = layer(vectors, mask=STEPS[..., None])
    np.testing.assert_array_equal(mask_of(outputs), STEPS)
    np.testing.assert_array_equal(np.asarray(outputs), layer(vectors))


def test_a_mask_of_steps_stays_outside_of_a_model_for_each_step():
    class Doubled(Layer):
        def call(self, inputs):
            return 2 * inputs

    layer = TimeDistributed(keras.Sequential([Doubled(), LSTM(3)]))
    vectors = RNG.normal(size=(4, 5, 6, 2))
    outputs = layer(vectors, mask=STEPS)
    np.testing.assert_array_equal(mask_of(outputs), STEPS)
    np.testing.assert_array_equal(np.asarray(outputs), layer(vectors))


def test_documents_train_as_a_whole_with_a_loss_at_each_sentence():
    ids = Input((3, 4), dtype="int32")
    read = TimeDistributed(Bidirectional(GRU(3)))(embedded(ids))
    model = keras.Model(ids, Dense(1)(LSTM(4, return_sequences=True)(read)))
    model.compile("adam", "mse", metrics=["mae"])
    labels = np.ones((2, 3, 1))
    first = model.evaluate(DOCUMENTS, labels, verbose=0)
    masked = labels.copy()
    masked[~(DOCUMENTS > 0).any(-1)] = 50
    np.testing.assert_allclose(model.evaluate(DOCUMENTS, masked, verbose=0), first)


def attention(kind, mask):
    layer = kind()
    return layer([X, X[:, ::-1]], mask=[mask, mask[:, ::-1]])


def heads(mask):
    keras.utils.set_random_seed(2)
    return keras.layers.MultiHeadAttention(2, 3)(X, X[:, ::-1], query_mask=mask, value_mask=mask)


def normalized(mask):
    layer = keras.layers.BatchNormalization()
    return layer(X, training=True, mask=mask), *layer.get_weights()


GIVEN = {
    "Attention": lambda mask: attention(keras.layers.Attention, mask),
    "AdditiveAttention": lambda mask: attention(
        lambda: keras.layers.AdditiveAttention(use_scale=False), mask
    ),
    "MultiHeadAttention": heads,
    "BatchNormalization": normalized,
    **{
        name: lambda mask, name=name: getattr(keras.layers, name)()(
            [X, X * X], mask=[mask, mask[::-1]]
        )
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    },
}


@each_case("shape", [(1,), (3,), (8,), (2, 6)])
@each_case("use", GIVEN.values(), ids=GIVEN)
def test_masks_given_to_layers_that_merge_attend_and_normalize(use, shape):
    outputs, expected = use(entries(*shape)), use(STEPS)
    for one, other in zip(
        outputs if isinstance(outputs, tuple) else [outputs],
        expected if isinstance(expected, tuple) else [expected],
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    if mask_of(expected) is not None:
        known = mask_of(outputs)
        steps = known.reshape(*known.shape[:2], -1).any(-1)
        np.testing.assert_array_equal(steps, mask_of(expected))
