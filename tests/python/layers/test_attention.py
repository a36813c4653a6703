"""Attention: what masks hide, models of it, and what is refused."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call
from ferrnn._src.layer.masked import attach_mask, mask_of
from ferrnn.layers import (
    LSTM,
    AdditiveAttention,
    Attention,
    Concatenate,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    MultiHeadAttention,
)
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(9)
QUERY_MASK = np.array([[True, True, False], [True, False, False]])
VALUE_MASK = np.array([[True, True, False, False], [True, True, True, False]])
SINGLE = [Attention, AdditiveAttention]


def heads(**options):
    return MultiHeadAttention(num_heads=2, key_dim=3, **options)


def pair():
    return RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 4, 5))


def built(layer, *arrays):
    layer.build_for(arrays)
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


@each_case("kind", [*SINGLE, heads])
@each_case("causal", [False, True])
def test_gradients_with_masks_and_weights_match_finite_differences(kind, causal):
    arrays = pair()
    layer = built(kind(dtype="float64"), *arrays)
    call = Call(differentiable=True, mask=[QUERY_MASK, VALUE_MASK])

    def forward(parts):
        options = {"use_causal_mask": causal, "return_attention_scores": True}
        inputs = layer.gather(*parts, **options) if kind is heads else None
        outputs, vjp = layer.forward(inputs or layer.gather(list(parts), **options), call)
        return outputs, lambda d, grads: vjp(d, grads).arrays

    # The bias of the key adds the same to all scores of a query, which changes no weight.
    weights = [each for each in layer.weights if not each.path.endswith("key/bias")]
    check_vjp(forward, arrays, weights)


@pytest.mark.parametrize("kind", [*SINGLE, heads])
def test_what_a_mask_hides_changes_nothing(kind):
    query, value = pair()
    layer = built(kind(), query, value)
    other = np.where(VALUE_MASK[..., None], value, 100.0)

    def outputs(values):
        if kind is heads:
            return np.asarray(layer(query, values, value_mask=VALUE_MASK))
        return np.asarray(layer([query, values], mask=[None, VALUE_MASK]))

    np.testing.assert_allclose(outputs(other), outputs(value), rtol=1e-5, atol=1e-6)
    short = value[:1, :2]
    alone = layer(query[:1], short) if kind is heads else layer([query[:1], short])
    np.testing.assert_allclose(outputs(value)[:1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [*SINGLE, heads])
def test_a_causal_mask_hides_what_comes_later(kind):
    sequence = RNG.normal(size=(2, 6, 5)).astype("float32")
    layer = built(kind(), sequence, sequence)

    def outputs(array):
        if kind is heads:
            return layer(array, array, use_causal_mask=True)
        return layer([array, array], use_causal_mask=True)

    changed = sequence.copy()
    changed[:, 4:] = 9.0
    np.testing.assert_allclose(outputs(changed)[:, :4], outputs(sequence)[:, :4], rtol=1e-5)
    assert not np.allclose(outputs(changed)[:, 4:], outputs(sequence)[:, 4:])


def test_the_mask_of_the_query_goes_on():
    query, value = pair()
    carried = attach_mask(query, QUERY_MASK)
    for layer, given in ((Attention(), [[carried, value]]), (heads(), [carried, value])):
        np.testing.assert_array_equal(mask_of(layer(*given)), QUERY_MASK)
    outputs, weights = heads()(carried, value, return_attention_scores=True)
    np.testing.assert_array_equal(mask_of(outputs), QUERY_MASK)
    assert mask_of(weights) is None
    assert not np.asarray(weights)[~np.broadcast_to(QUERY_MASK[:, None], (2, 2, 3))].any()


def test_an_attention_mask_is_taken_for_all_heads_or_for_each():
    query, value = pair()
    layer = built(heads(), query, value)
    mask = RNG.random((2, 3, 4)) < 0.5
    mask[..., 0] = True
    expected, weights = layer(query, value, attention_mask=mask, return_attention_scores=True)
    assert not weights[~np.broadcast_to(mask[:, None], weights.shape)].any()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    wide = np.broadcast_to(mask[:, None], (2, 2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(layer(query, value, attention_mask=wide), expected)


def test_dropout_is_drawn_in_training_alone():
    query, value = pair()
    for layer, given in (
        (Attention(dropout=0.5, seed=1), [[query, value]]),
        (heads(dropout=0.5, seed=1), [query, value]),
    ):
        np.testing.assert_array_equal(layer(*given), layer(*given))
        assert not np.allclose(layer(*given, training=True), layer(*given))


def test_weights_have_keras_names_and_the_layer_is_copied():
    layer = heads(use_gate=True, name="mine")
    layer.build((None, 3, 5), (None, 4, 6))
    paths = [weight.path for weight in layer.weights]
    names = ("query", "key", "gate", "value", "attention_output")
    assert paths == [f"mine/{name}/{part}" for name in names for part in ("kernel", "bias")]
    assert layer.count_params() == 2 * (5 * 6 + 6) + 2 * (6 * 6 + 6) + 6 * 5 + 5
    again = MultiHeadAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    layer.trainable = False
    assert layer.trainable_weights == []


def test_a_reader_with_attention_trains_and_sees_no_padding():
    ferrnn.utils.set_random_seed(2)
    source = ferrnn.Input((None,))
    embedded = Embedding(9, 6, mask_zero=True)(source)
    encoded = LSTM(12, return_sequences=True)(embedded)
    decoded = LSTM(12, return_sequences=True, go_backwards=True)(embedded)
    context = Attention()([decoded, encoded])
    added = AdditiveAttention()([decoded, encoded])
    outputs = Dense(9, "softmax")(Concatenate()([decoded, context, added]))
    model = ferrnn.Model(source, outputs)
    model.compile(ferrnn.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    x = RNG.integers(1, 9, size=(48, 5))
    history = model.fit(x, x[:, ::-1], epochs=40, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    encoder = ferrnn.Model(source, AdditiveAttention()([encoded, encoded]))
    padded = np.concatenate([x, np.zeros((48, 3), int)], axis=1)
    np.testing.assert_allclose(
        encoder.predict(padded, verbose=0)[:, :5],
        encoder.predict(x, verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_transformer_block_trains_and_gives_its_weights():
    ferrnn.utils.set_random_seed(3)
    inputs = ferrnn.Input((7, 4))
    attended, weights = heads()(inputs, inputs, return_attention_scores=True, use_causal_mask=True)
    assert weights.shape == (None, 2, 7, 7)
    outputs = Dense(1)(GlobalAveragePooling1D()(inputs + attended))
    model = ferrnn.Model(inputs, outputs)
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    x = RNG.normal(size=(64, 7, 4))
    y = (x[:, :, 0] * x[:, :, 1]).mean(axis=1, keepdims=True)
    history = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    seen = ferrnn.Model(inputs, weights).predict(x, verbose=0)
    np.testing.assert_allclose(seen.sum(-1), 1, rtol=1e-5)
    assert not np.triu(seen, 1).any()


@each_case(
    ("make", "text"),
    [
        (lambda: Attention(score_mode="sum"), "argument score_mode. Expected one of"),
        (lambda: Attention(dropout=2), "argument `dropout`. Expected a float"),
        (lambda: Attention()(pair()[0]), "must be called on a list of inputs, namely"),
        (lambda: Attention()([pair()[0]]), "accepts inputs list of length 2 or 3"),
        (lambda: Attention()([np.ones((2, 3, 4)), np.ones((2, 3, 5))]), "must be given a query"),
        (lambda: Attention()(list(pair()), mask=[None]), "mask must be a list of length 2 or 3"),
        (lambda: Attention()(list(pair()), mask=[None, QUERY_MASK]), "mask of the value of lay"),
        (lambda: MultiHeadAttention(0, 3), "argument `num_heads`, expected a positive integer"),
        (lambda: MultiHeadAttention(2, 3.0), "argument `key_dim`, expected a positive integer"),
        (lambda: MultiHeadAttention(2, 3, sliding_window=0), "argument `sliding_window`"),
        (lambda: heads(attention_axes="1"), "`attention_axes` must be an int, list, or tuple"),
        (lambda: heads(output_shape="1"), "Invalid `output_shape`"),
        (lambda: heads()(np.ones((2, 3)), np.ones((2, 3))), "must be equal, 3 or more"),
        (lambda: heads()(*pair(), np.ones((2, 3, 5))), "All dimensions of `value` and `key`"),
        (
            lambda: heads()(*pair(), value_mask=QUERY_MASK),
            "the masks of layer .* must be broadcastable",
        ),
    ],
)
def test_what_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_the_mask_of_a_query_is_handed_on_whatever_its_shape():
    layer, arrays = Attention(), [np.ones((2, 3, 4)), np.ones((2, 5, 4))]
    mask = np.array([1.0, 0.0, 1.0])
    assert layer.compute_mask(arrays, [mask, None]) is mask
    assert layer.compute_mask(arrays, [None, mask]) is None
    with pytest.raises(ValueError, match="mask must be a list of length 2 or 3"):
        layer.compute_mask(arrays, mask)
    with pytest.raises(ValueError, match="flash attention"):
        MultiHeadAttention(2, 3, dropout=0.5, flash_attention=True)
