"""Masks in plans: where values meet, and where users' layers take or drop them."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same, trained

ROWS = 29
DROPPED = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")


def hidden(x, value=0.5, seed=2):
    """Data with steps that do not count: none of them in a row, and all in another."""
    x = x.copy()
    for row, length in enumerate(np.random.default_rng(seed).integers(1, 7, ROWS)):
        x[row, length:] = value
    x[4] = value
    return x


def meeting(kind, *, bare=False, same_mask=False):
    """Values of two masks, or of one and none, become one."""

    def body(x):
        first = layers.Masking(0.5)(x)
        second = first if same_mask else layers.Masking(-0.25)(x)
        if bare:
            second = layers.Conv1D(5, 1)(x)
        a, b = LSTM(4, return_sequences=True)(first), GRU(4, return_sequences=True)(second)
        joined = kind()([b, a] if bare else [a, b])
        return layers.GlobalAveragePooling1D()(LSTM(3, return_sequences=True)(joined))

    return body


def attention_beside(x):
    x = layers.Masking(0.5)(x)
    read = LSTM(4, return_sequences=True)(x)
    query = GRU(4, return_sequences=True)(x)
    return LSTM(3)(layers.Concatenate()([query, layers.Attention()([query, read])]))


def normalized(x):
    """A layer with statistics over what counts, where values of different masks meet."""
    a, b = (layers.Masking(value)(x) for value in (0.5, -0.25))
    return GRU(3)(layers.BatchNormalization()(layers.Concatenate()([a, b])))


MEETING = {
    "concat": meeting(layers.Concatenate),
    "concat of one mask": meeting(layers.Concatenate, same_mask=True),
    "concat with a value without": meeting(layers.Concatenate, bare=True),
    "add": meeting(layers.Add),
    "subtract": meeting(layers.Subtract),
    "average": meeting(layers.Average),
    "add to a value without": meeting(layers.Add, bare=True),
    "attention": attention_beside,
    "normalized": normalized,
}


def model_of(body, shape=(6, 5)):
    def build():
        inputs = keras.Input(shape)
        return keras.Model(inputs, Dense(3)(body(inputs)))

    return build


@pytest.mark.parametrize("kind", MEETING)
@DROPPED
def test_values_of_several_masks_train_to_the_same_bits(kind, monkeypatch):
    x, y = data((ROWS, 6, 5))
    x = hidden(hidden(x), -0.25, seed=5)
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    model = same(model_of(MEETING[kind]), x, y, monkeypatch, **given)
    assert all(node.back is None for node in model.explain_plan())


@pytest.mark.parametrize("both", [True, False])
def test_words_and_tags_side_by_side_reach_the_loss_with_their_mask(both, monkeypatch):
    def build():
        words, tags = (keras.Input((7,), dtype="int32") for _ in range(2))
        of_words = layers.Embedding(9, 4, mask_zero=True)(words)
        of_tags = layers.Embedding(9, 4, mask_zero=both)(tags)
        joined = layers.Concatenate()([of_tags, of_words])
        return keras.Model([words, tags], Dense(3)(GRU(4, return_sequences=True)(joined)))

    random = np.random.default_rng(3)
    x = [random.integers(0, 9, (ROWS, 7)) * (np.arange(7) < 5 - at) for at in range(2)]
    y = random.normal(size=(ROWS, 7, 3)).astype("float32")
    model = same(build, x, y, monkeypatch, compiled={"weighted_metrics": ["mse"]})
    monkeypatch.setenv("FERRNN_PLAN", "1")
    assert all(node.back is None for node in model.explain_plan())
    assert model.lowered().masked_outputs


class Weighing(layers.Layer):
    """Attention over steps, as it is often written."""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 1), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((input_shape[1], 1), "zeros", name="bias")

    def call(self, inputs):
        weights = ops.softmax(ops.tanh(ops.matmul(inputs, self.kernel) + self.bias), axis=1)
        return ops.sum(inputs * weights, axis=1)


class WeighingWhatCounts(Weighing):
    supports_masking = True

    def call(self, inputs, mask=None):
        scores = ops.tanh(ops.matmul(inputs, self.kernel) + self.bias)
        if mask is not None:
            scores = ops.where(mask[..., None], scores, -1e9)
        return ops.sum(inputs * ops.softmax(scores, axis=1), axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


class Kept(layers.Layer):
    """Multiplies what counts, and passes the mask on."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs, mask=None):
        scaled = inputs * self.scale
        return scaled if mask is None else scaled * ops.cast(mask, inputs.dtype)[..., None]

    def compute_mask(self, inputs, mask=None):
        return mask


class Mixing(layers.Layer):
    """Takes two sequences, and the masks of both."""

    supports_masking = True

    def call(self, inputs, mask=None):
        first, second = inputs
        return ops.where(mask[1][..., None], first * second, first)

    def compute_mask(self, inputs, mask=None):
        return mask[0]


class Around(layers.Layer):
    """A user's layer of layers alone, which do not see the mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attends, self.norm = layers.MultiHeadAttention(2, 2), layers.LayerNormalization()

    def call(self, inputs):
        return self.norm(inputs + self.attends(inputs, inputs))


def of_two(x):
    a, b = (LSTM(4, return_sequences=True)(layers.Masking(value)(x)) for value in (0.5, -0.25))
    return GRU(3)(Mixing()([a, b]))


WRITTEN = {
    "drops it": lambda x: Weighing()(LSTM(4, return_sequences=True)(x)),
    "takes it": lambda x: WeighingWhatCounts()(LSTM(4, return_sequences=True)(x)),
    "passes it on": lambda x: GRU(3)(Kept()(LSTM(4, return_sequences=True)(x))),
    "of layers": lambda x: GRU(3)(Around()(LSTM(4, return_sequences=True)(x))),
    "operators": lambda x: GRU(3)(x * 2.0 + LSTM(5, return_sequences=True)(x)),
}


@pytest.mark.parametrize("kind", [*WRITTEN, "of two"])
@DROPPED
def test_users_layers_on_masked_values_run_in_the_engine(kind, monkeypatch):
    x, y = data((ROWS, 6, 5))
    x = hidden(hidden(x), -0.25, seed=5)
    body = of_two if kind == "of two" else lambda x: WRITTEN[kind](layers.Masking(0.5)(x))
    (ours, history), (theirs, wanted) = (
        trained(model_of(body), x, y, monkeypatch, planned=planned, epochs=2)
        for planned in (True, False)
    )
    assert all(node.back is None for node in ours.explain_plan()), ours.explain_plan()
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=2e-6)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=2e-6)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4, atol=2e-6
    )


class Sorted(Kept):
    """What no program does, on values with a mask."""

    def call(self, inputs, mask=None):
        return ops.sort(super().call(inputs, mask), axis=-1)


@DROPPED
def test_layers_handed_back_get_all_masks(monkeypatch):
    class Both(Mixing):
        def call(self, inputs, mask=None):
            return ops.sort(super().call(inputs, mask), axis=-1)

    def body(x):
        a, b = (LSTM(4, return_sequences=True)(layers.Masking(each)(x)) for each in (0.5, -0.25))
        return GRU(3)(Both()([Sorted()(a), b]))

    x, y = data((ROWS, 6, 5))
    model = same(model_of(body), hidden(hidden(x), -0.25, seed=5), y, monkeypatch)
    assert sum(node.back is not None for node in model.explain_plan()) == 2


def test_a_mask_that_a_layer_computes_is_not_planned():
    class Shifted(Kept):
        def compute_mask(self, inputs, mask=None):
            return mask[:, ::-1]

    inputs = keras.Input((6, 5))
    masked = LSTM(4, return_sequences=True)(layers.Masking(0.5)(inputs))
    model = keras.Model(inputs, Dense(1)(GRU(3)(Shifted()(masked))))
    model.compile("sgd", "mse")
    assert not model.explain_plan().covered
    assert "it computes a new mask from that of its inputs" in str(model.explain_plan())
