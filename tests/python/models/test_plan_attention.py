"""Attention in plans: the bits of training, judging and predicting without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same

ROWS = 29


def several(**options):
    """Attention of a sequence over itself, beside what it goes around."""

    def body(x):
        y = LSTM(6, return_sequences=True, dtype=x.dtype)(x)
        mixed = layers.MultiHeadAttention(2, 3, dtype=x.dtype, **options)(y, y)
        y = layers.LayerNormalization(dtype=x.dtype)(layers.Add(dtype=x.dtype)([y, mixed]))
        return GRU(3, dtype=x.dtype)(y)

    return body


def apart(heads, three):
    """Attention over another sequence."""

    def body(x):
        read = LSTM(4, return_sequences=True, dtype=x.dtype)(x)
        ahead = layers.AveragePooling1D(2, dtype=x.dtype)(read)
        query = Dense(5, "tanh", dtype=x.dtype)(ahead)
        keys = Dense(6, dtype=x.dtype)(read)
        layer = layers.MultiHeadAttention(heads, 3, value_dim=4, output_shape=7, dtype=x.dtype)
        mixed = layer(query, read, keys) if three else layer(query, read)
        return layers.GlobalMaxPooling1D(dtype=x.dtype)(mixed)

    return body


def causal(x):
    y = LSTM(6, return_sequences=True, dtype=x.dtype)(x)
    layer = layers.MultiHeadAttention(3, 2, use_bias=False, sliding_window=3, dtype=x.dtype)
    return GRU(3, dtype=x.dtype)(layer(y, y, use_causal_mask=True))


def single(of_three=False, causal=False, joined=True, **options):
    def body(x):
        query = GRU(4, return_sequences=True, dtype=x.dtype)(x)
        value = LSTM(4, return_sequences=True, dtype=x.dtype)(x)
        given = [query, value, Dense(4, dtype=x.dtype)(x)] if of_three else [query, value]
        mixed = layers.Attention(dtype=x.dtype, **options)(given, use_causal_mask=causal)
        mixed = layers.Concatenate(dtype=x.dtype)([query, mixed]) if joined else mixed
        return GRU(3, dtype=x.dtype)(mixed)

    return body


def additive(of_three=False, causal=False, joined=False, **options):
    """Additive attention of a decoder over an encoder of another length."""

    def body(x):
        read = layers.Bidirectional(LSTM(2, return_sequences=True, dtype=x.dtype))(x)
        query = GRU(4, return_sequences=True, dtype=x.dtype)(x)
        if not causal:
            query = layers.AveragePooling1D(2, dtype=x.dtype)(query)
        given = [query, read, Dense(4, dtype=x.dtype)(read)] if of_three else [query, read]
        layer = layers.AdditiveAttention(dtype=x.dtype, **options)
        mixed = layer(given, use_causal_mask=causal)
        mixed = layers.Concatenate(dtype=x.dtype)([query, mixed]) if joined else mixed
        return GRU(3, dtype=x.dtype)(mixed)

    return body


def own(x):
    y = GRU(4, return_sequences=True, dtype=x.dtype)(x)
    return GRU(3, dtype=x.dtype)(layers.Attention(dtype=x.dtype)([y, y]))


MASKED = {
    "residual": several(),
    "apart": apart(2, three=False),
    "three": apart(1, three=True),
    "causal": causal,
    "dot": single(joined=False),
    "dot of three": single(of_three=True, joined=False, use_scale=True),
    "dot, causal": single(causal=True, joined=False, use_scale=True),
    "dot of itself": own,
    "additive": additive(),
    "additive of three": additive(of_three=True),
    "additive, causal": additive(causal=True),
    "additive without a scale": additive(use_scale=False),
    "additive with dropout": additive(dropout=0.3, seed=4),
    "concat": single(score_mode="concat", joined=False),
    "concat of three": single(of_three=True, score_mode="concat", use_scale=True, joined=False),
    "dropout": several(dropout=0.3, seed=2),
    "dot with dropout": single(use_scale=True, joined=False, dropout=0.3, seed=3),
}
BODIES = {
    "additive beside": additive(joined=True),
    "wide": several(value_dim=5, kernel_constraint="max_norm"),
    "dot beside": single(use_scale=True),
    **MASKED,
}


def model_of(body, dtype="float32", masked=False, shape=(6, 5)):
    def build():
        inputs = keras.Input(shape, dtype=dtype)
        x = layers.Masking(0.5, dtype=dtype)(inputs) if masked else inputs
        made = body(x)
        rank = len(made.shape)
        made = layers.GlobalAveragePooling1D(dtype=dtype)(made) if rank == 3 else made
        return keras.Model(inputs, Dense(3, dtype=dtype)(made))

    return build


def hidden(x):
    """Data with steps that do not count: none of them in a row, and all in another."""
    for row, length in enumerate(np.random.default_rng(2).integers(1, 7, ROWS)):
        x[row, length:] = 0.5
    x[4] = 0.5
    return x


KINDS = [*((kind, False) for kind in BODIES), *((kind, True) for kind in MASKED)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "masked"), KINDS)
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_attention_trains_to_the_same_bits(kind, dtype, masked, monkeypatch):
    x, y = data((ROWS, 6, 5), dtype=dtype)
    x = hidden(x) if masked else x
    build = model_of(BODIES[kind], dtype, masked)
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    model = same(build, x, y, monkeypatch, **given)
    assert [node for node in model.explain_plan() if node.back] == []
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        twice = [model(x[:7]) for _ in range(4)]
        judged = model.evaluate(x, y, batch_size=6, verbose=0)
        results.append([*twice, model.predict(x, batch_size=5, verbose=0), judged])
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_padded_words_train_to_the_same_bits(monkeypatch):
    def build():
        inputs = keras.Input((7,), dtype="int32")
        x = layers.Embedding(9, 6, mask_zero=True)(inputs)
        mixed = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
        return keras.Model(inputs, Dense(3)(LSTM(4)(mixed)))

    random = np.random.default_rng(3)
    words = random.integers(1, 9, (ROWS, 7)) * (np.arange(7) < random.integers(1, 8, (ROWS, 1)))
    model = same(build, words, data((ROWS, 7))[1], monkeypatch)
    assert all(node.back is None for node in model.explain_plan())


def returned(x):
    outputs, weights = layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)
    return GRU(3)(layers.Concatenate()([outputs, layers.Reshape((6, 12))(weights)]))


BACK = {
    "it has a gate": several(use_gate=True),
    "it returns its attention scores": returned,
}


@pytest.mark.parametrize("why", BACK)
def test_what_of_attention_is_handed_back_is_said(why, monkeypatch):
    model = same(model_of(BACK[why]), *data((ROWS, 6, 5)), monkeypatch)
    assert [node.back for node in model.explain_plan() if node.back][:1] == [why]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("queries", [1, 33])
def test_additive_attention_of_many_samples(queries, threads, monkeypatch):
    """Also of one query: a decoder that takes one step."""

    def build():
        inputs = keras.Input((33, 17))
        read = LSTM(17, return_sequences=True)(inputs)
        query = read if queries > 1 else layers.Reshape((1, 17))(LSTM(17)(inputs))
        mixed = layers.AdditiveAttention()([query, read])
        return keras.Model(inputs, Dense(3)(GRU(3)(mixed)))

    before = keras.num_threads()
    keras.set_num_threads(threads)
    try:
        same(build, *data((97, 33, 17)), monkeypatch, batch_size=48, epochs=1)
    finally:
        keras.set_num_threads(before)


@pytest.mark.parametrize("kind", ["additive", "concat of three", "dot of three"])
def test_batches_of_other_lengths(kind, monkeypatch):
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = model_of(BODIES[kind], shape=(None, 5))()
        model.compile("adam", "mse")
        told = []
        for length in (6, 2, 9, 6, 4):
            x, y = data((5 + length, length, 5))
            told += [model.train_on_batch(x, y), *model.predict_on_batch(x).ravel()]
        results.append([*told, *(weight.tolist() for weight in model.get_weights())])
    assert results[0] == results[1]


def test_frozen_attention_passes_gradients(monkeypatch):
    def build():
        model = model_of(BODIES["residual"])()
        model.layers[2].trainable = False
        return model

    same(build, *data((ROWS, 6, 5)), monkeypatch)


def test_a_sample_gets_the_same_bits_alone():
    layer = layers.MultiHeadAttention(3, 5)
    x = np.random.default_rng(4).normal(size=(9, 11, 7)).astype("float32")
    np.testing.assert_array_equal(layer(x, x)[3:4], layer(x[3:4], x[3:4]))
