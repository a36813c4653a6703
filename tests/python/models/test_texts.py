"""Models of texts, of whole numbers and of dicts, however they are written."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers

TEXTS = np.array(["the movie was great fun", "terrible, awful film", "i liked it", "bad"] * 5)
LABELS = np.array([1.0, 0.0, 1.0, 0.0] * 5)


def encoder(**options):
    made = layers.TextVectorization(**options)
    made.adapt(TEXTS)
    return made


class Reader(keras.Model):
    """A model of texts whose layers are its attributes."""

    def __init__(self):
        super().__init__()
        self.encoder = encoder(output_sequence_length=4)
        self.vectors = layers.Embedding(20, 3)
        self.read = layers.GRU(2)
        self.out = layers.Dense(1)

    def call(self, texts):
        return self.out(self.read(self.vectors(self.encoder(texts))))


def batches():
    for start in range(0, 20, 8):
        yield TEXTS[start : start + 8], LABELS[start : start + 8]


def test_a_stack_that_begins_with_an_encoder_needs_no_input(tmp_path):
    pytest.importorskip("h5py")
    first = encoder()
    words = first.vocabulary_size()
    reading = [layers.Embedding(words, 4, mask_zero=True), layers.LSTM(3), layers.Dense(1)]
    model = keras.Sequential([first, *reading])
    assert [layer.supports_masking for layer in model.layers[:2]] == [False, True]
    model.compile("adam", "mse")
    model.fit(TEXTS, LABELS, validation_split=0.25, verbose=0)
    assert model.inputs[0].dtype == "string"
    outer = keras.Sequential([model, layers.Activation("sigmoid")])
    np.testing.assert_allclose(
        outer.predict(TEXTS, verbose=0), 1 / (1 + np.exp(-model.predict(TEXTS, verbose=0))), 1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0))


def test_a_model_of_ones_own_reads_texts(tmp_path):
    pytest.importorskip("h5py")
    model = Reader()
    model.compile("adam", "mse")
    before = [weight.numpy() for weight in model.weights]
    assert not before
    history = model.fit(TEXTS, LABELS, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.fit(batches(), validation_data=(TEXTS, LABELS), verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    expected = model.predict(TEXTS, verbose=0)
    model.set_weights([weight.numpy() * 0 for weight in model.weights])
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.predict(TEXTS, verbose=0), expected)


def test_strings_and_numbers_side_by_side_come_by_name():
    price, kind = keras.Input((1,), name="price"), keras.Input((1,), name="kind", dtype="string")
    lookup = layers.StringLookup(output_mode="one_hot")
    lookup.adapt(["a", "b", "a"])
    joined = layers.concatenate([layers.Normalization(mean=1.0, variance=2.0)(price), lookup(kind)])
    model = keras.Model({"price": price, "kind": kind}, layers.Dense(1)(joined))
    model.compile("adam", "mse")
    data = {"price": np.ones((3, 1)), "kind": np.array([["a"], ["b"], ["c"]])}
    model.fit(data, np.ones((3, 1)), verbose=0)
    kernel, bias = model.get_layer("dense").get_weights()
    expected = kernel[1 + np.array([1, 2, 0])] + bias
    np.testing.assert_allclose(model.predict(data, verbose=0), expected, rtol=1e-5)


def test_a_model_of_ones_own_gets_whole_numbers_and_dicts_as_they_are():
    class Seeing(keras.Model):
        def __init__(self):
            super().__init__()
            self.seen, self.out = [], layers.Dense(1)

        def call(self, inputs):
            self.seen.append((inputs["ids"].dtype.kind, inputs["x"].dtype.name))
            return self.out(inputs["x"])

    model = Seeing()
    data = {"ids": np.array([[2**24 + 1]]), "x": np.ones((1, 2))}
    model(data)
    assert model.seen[-1] == ("i", "float32")


@pytest.mark.parametrize("verbose", [1, 2])
def test_batches_of_a_generator_are_counted_where_no_bar_is_drawn(capsys, verbose):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(((np.ones((4, 2)), np.ones((4, 1))) for _ in range(3)), verbose=verbose)
    model.evaluate(((np.ones((4, 2)), np.ones((4, 1))) for _ in range(2)), verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["3/3", "2/2"]
