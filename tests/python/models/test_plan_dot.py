"""Products of two values over an axis of each, in plans."""

import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same
from models.test_plan_layers import DTYPES, agrees


def joined(body, dtype="float32", shape=(12, 5)):
    """A model around `body`, a function of two sequences `[batch, 12 and 6 steps, 4 features]`."""

    def build():
        inputs = keras.Input(shape, dtype=dtype)
        read = LSTM(4, return_sequences=True, dtype=dtype)(inputs)
        query = layers.AveragePooling1D(2, dtype=dtype)(
            GRU(4, return_sequences=True, dtype=dtype)(inputs)
        )
        made = body(query, read, dtype)
        made = made if len(made.shape) == 2 else GRU(3, dtype=dtype)(made)
        return keras.Model(inputs, Dense(3, dtype=dtype)(made))

    return build


def dot(axes, dtype):
    return layers.Dot(axes=axes, dtype=dtype)


def luong(query, read, dtype):
    """Attention by hand: scores, their softmax, means of what was read."""
    weights = layers.Softmax(dtype=dtype)(dot((2, 2), dtype)([query, read]))
    mixed = dot((2, 1), dtype)([weights, read])
    return layers.Concatenate(dtype=dtype)([mixed, query])


def last(sequence, dtype):
    return LSTM(4, dtype=dtype)(sequence)


DOTS = {
    "attention": luong,
    "over features": lambda q, r, dtype: dot(-1, dtype)([q, r]),
    "over steps": lambda q, r, dtype: dot(1, dtype)([r, r]),
    "over steps and features": lambda q, r, dtype: dot((1, 2), dtype)(
        [Dense(7, dtype=dtype)(q), Dense(6, dtype=dtype)(r)]
    ),
    "of rows": lambda q, r, dtype: dot(1, dtype)([last(q, dtype), last(r, dtype)]),
    "of rows and steps": lambda q, r, dtype: dot((1, 2), dtype)([last(q, dtype), r]),
    "of steps and rows": lambda q, r, dtype: dot((2, 1), dtype)([r, last(q, dtype)]),
    "of rows over steps": lambda q, r, dtype: dot((1, 1), dtype)(
        [Dense(6, dtype=dtype)(last(r, dtype)), q]
    ),
    "of inputs that need no gradient": lambda q, r, dtype: dot(2, dtype)(
        [r, layers.Dense(4, trainable=False, dtype=dtype)(q)]
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DOTS)
def test_dot(kind, dtype, monkeypatch):
    x, y = data((29, 12, 5), dtype=dtype)
    agrees(joined(DOTS[kind], dtype), x, y, monkeypatch)


@pytest.mark.parametrize("threads", [1, 3])
def test_attention_by_hand_on_several_threads(threads, monkeypatch):
    before = keras.num_threads()
    keras.set_num_threads(threads)
    try:
        x, y = data((97, 40, 16))
        agrees(joined(luong, shape=(40, 16)), x, y, monkeypatch, batch_size=48, epochs=1)
    finally:
        keras.set_num_threads(before)


def test_the_mask_of_a_sequence_ends_at_a_product(monkeypatch):
    def build(normalize=False):
        inputs = keras.Input((12, 5))
        read = LSTM(4, return_sequences=True)(layers.Masking(0.5)(inputs))
        mixed = luong(read, read, "float32")
        if normalize:
            mixed = layers.Dot(1, normalize=True)([read, read])
        return keras.Model(inputs, Dense(3)(GRU(3)(mixed)))

    x, y = data((29, 12, 5))
    x[:, 7:] = 0.5
    agrees(build, x, y, monkeypatch)
    same(lambda: build(normalize=True), x, y, monkeypatch)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda q, r, dtype: layers.Dot(2, normalize=True)([q, r]), "it has normalize=True"),
        (
            lambda q, r, dtype: layers.Add()([r, layers.Dense(1)(r)]),
            "its inputs have the shapes",
        ),
    ],
)
def test_what_is_still_handed_back_is_said(body, why, monkeypatch):
    model = joined(body)()
    model.compile("sgd", "mse")
    (back,) = [node.back for node in model.explain_plan() if node.back]
    assert why in back
