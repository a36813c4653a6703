"""Masks while a functional model is made: layers of the user's see one, `_keras_mask` names it."""

import numpy as np

import ferrnn as keras
from ferrnn import layers, ops

IDS = np.array([[3, 1, 4, 0, 0], [2, 2, 0, 0, 0], [1, 2, 3, 4, 1]])


class Mean(layers.Layer):
    """The mean of the real steps; needs a mask."""

    def call(self, inputs, mask=None):
        assert mask is not None
        weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
        return ops.sum(inputs * weights, axis=1) / ops.sum(weights, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


class Twice(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return 2 * inputs


def embedded(ids):
    return layers.Embedding(5, 3, mask_zero=True)(ids)


def test_a_layer_that_needs_a_mask_gets_one_while_the_model_is_made():
    ids = keras.Input((None,), dtype="int32")
    vectors = embedded(ids)
    model = keras.Model(ids, Mean()(layers.LSTM(2, return_sequences=True)(Twice()(vectors))))
    assert model.output_shape == (None, 2)
    sequences = keras.Model(ids, model.layers[-2].output).predict(IDS, verbose=0)
    means = [row[: (line > 0).sum()].mean(0) for row, line in zip(sequences, IDS, strict=True)]
    np.testing.assert_allclose(model.predict(IDS, verbose=0), means, rtol=1e-5)


def test_keras_mask_of_a_symbolic_tensor_is_a_tensor_of_the_model():
    ids = keras.Input((None,), dtype="int32")
    vectors = Twice()(embedded(ids))
    assert ids._keras_mask is None
    assert layers.Flatten()(keras.Input((2, 3)))._keras_mask is None
    assert (vectors._keras_mask.shape, vectors._keras_mask.dtype) == ((None, None), "bool")
    assert vectors._keras_mask is vectors._keras_mask
    model = keras.Model(ids, ops.cast(vectors._keras_mask, "int32"))
    np.testing.assert_array_equal(model.predict(IDS, verbose=0), IDS > 0)


def test_a_mask_taken_from_one_layer_may_be_given_to_another():
    ids = keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(5, 3, mask_zero=True)
    vectors = embedding(ids)
    lstm = layers.LSTM(2)
    plain = layers.Activation("linear")(vectors * 1)  # an operator drops the mask
    given = lstm(plain, mask=embedding.compute_mask(ids))
    taken = lstm(plain, mask=vectors._keras_mask)
    carried = lstm(vectors)
    outputs = keras.Model(ids, [given, taken, carried]).predict(IDS, verbose=0)
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_array_equal(outputs[1], outputs[2])


def test_a_mask_counts_where_the_initial_state_is_a_tensor_of_the_model():
    ids = keras.Input((5,), dtype="int32")
    state = keras.Input((2,))
    vectors = embedded(ids)
    reader = layers.LSTM(2, return_sequences=True)
    read = reader(vectors, initial_state=[state, state])
    model = keras.Model([ids, state], [vectors, read, layers.GRU(4)(read)])
    h = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    given, found, last = model.predict([IDS, h], verbose=0)
    expected = reader(given, initial_state=[h, h], mask=IDS > 0)
    np.testing.assert_array_equal(found, np.asarray(expected))
    np.testing.assert_array_equal(last, model.layers[-1](expected))


def test_lists_of_masks_reach_layers_of_the_users():
    class Both(layers.Layer):
        def call(self, inputs, mask=None):
            first, second = mask
            assert first is not None
            assert second is None
            return ops.sum(inputs[0], axis=1) + ops.sum(inputs[1], axis=1)

        def compute_mask(self, inputs, mask=None):
            return None

    ids, others = keras.Input((5,), dtype="int32"), keras.Input((4, 3))
    model = keras.Model([ids, others], Both()([embedded(ids), others]))
    assert model.predict([IDS, np.ones((3, 4, 3))], verbose=0).shape == (3, 3)


def test_masks_are_asked_for_without_one_before():
    ids = IDS.astype("int32")
    np.testing.assert_array_equal(layers.Embedding(5, 3, mask_zero=True).compute_mask(ids), IDS > 0)
    assert layers.Embedding(5, 3).compute_mask(ids) is None
    assert layers.Masking().compute_mask(np.ones((2, 3, 1))).all()
    assert layers.LSTM(2).compute_mask(np.ones((2, 3, 1))) is None
