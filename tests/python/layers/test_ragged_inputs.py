"""Sequences of different lengths are refused by a sentence that says what to do about them."""

import re

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import layers

IDS = [[1, 2, 3], [4, 5], [6]]
VECTORS = [np.ones((3, 2), "float32"), np.ones((5, 2), "float32"), np.ones((1, 2), "float32")]
Y = np.ones((3, 1))
REMEDY = r"`keras.utils.pad_sequences\(.*`lengths=\["


def objects(parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


def nested(parts):
    return [np.asarray(part).tolist() for part in parts]


def reader():
    inputs = keras.Input((None,), dtype="int32", name="ids")
    vectors = layers.Embedding(9, 2, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(2)(vectors)))
    model.compile("sgd", "mse")
    return model


def series():
    model = keras.Sequential([keras.Input((None, 2)), layers.GRU(2), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


USES = {
    "call": lambda model, x: model(x),
    "fit": lambda model, x: model.fit(x, Y, verbose=0),
    "validation": lambda model, x: model.fit(
        keras.utils.pad_sequences(x), Y, validation_data=(x, Y), verbose=0
    ),
    "evaluate": lambda model, x: model.evaluate(x, Y, verbose=0),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, Y),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "generator": lambda model, x: model.fit(iter([(x, Y)]), steps_per_epoch=1, verbose=0),
}


@each_case("use", USES.values(), ids=USES)
@each_case("given", [IDS, tuple(IDS), objects(IDS)], ids=["list", "tuple", "objects"])
def test_ids_for_a_model(use, given):
    with pytest.raises(ValueError, match=REMEDY):
        use(reader(), given)


@each_case("use", ["call", "fit", "evaluate", "predict", "train_on_batch"])
@each_case("how", [list, tuple, objects, nested])
def test_vectors_for_a_model(use, how):
    with pytest.raises(ValueError, match=REMEDY):
        USES[use](series(), how(VECTORS))


@each_case("how", [list, objects, nested])
@each_case(
    "layer",
    [
        layers.LSTM(2, name="mine"),
        layers.Bidirectional(layers.GRU(2), name="mine"),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)], name="mine"),
    ],
)
def test_vectors_for_a_layer(layer, how):
    with pytest.raises(ValueError, match=rf"of layer 'mine' must.*{REMEDY}"):
        layer(how(VECTORS))


@pytest.mark.parametrize("layer", [layers.Dense, layers.Embedding, layers.Masking])
def test_lists_of_numbers_for_other_layers(layer):
    made = layer(*[9, 2][: {"Dense": 1, "Embedding": 2}.get(layer.__name__, 0)], name="mine")
    with pytest.raises(ValueError, match=rf"`inputs` of layer 'mine' must be one array.*{REMEDY}"):
        made(IDS)


def test_one_of_several_inputs_and_the_labels_are_named():
    one, two = keras.Input((None,), name="one"), keras.Input((2,), name="two")
    model = keras.Model([one, two], layers.Dense(1)(two))
    with pytest.raises(ValueError, match=rf"`x\['one'\]` must be one array.*{REMEDY}"):
        model.predict({"one": IDS, "two": np.ones((3, 2))}, verbose=0)
    with pytest.raises(ValueError, match=rf"the input 'one' of the model.*{REMEDY}"):
        model({"one": IDS, "two": np.ones((3, 2))})
    with pytest.raises(ValueError, match=rf"`y` must be one array.*{REMEDY}"):
        series().fit(np.ones((3, 4, 2)), IDS, verbose=0)


def test_what_the_sentence_says_works():
    padded = keras.utils.pad_sequences(VECTORS, padding="post", dtype="float32")
    layer = layers.LSTM(2)
    outputs = layer(padded, lengths=[len(each) for each in VECTORS])
    for row, each in zip(outputs, VECTORS, strict=True):
        np.testing.assert_array_equal(row, layer(each[None])[0])


def test_other_faults_keep_their_sentences():
    with pytest.raises(ValueError, match="Data cardinality is ambiguous") as caught:
        series().fit(np.ones((3, 4, 2)), np.ones((2, 1)), verbose=0)
    assert not re.search("pad_sequences", str(caught.value))
    with pytest.raises(TypeError, match="must hold real numbers"):
        layers.LSTM(2)(np.array([[["a"]]], object))


@each_case("how", [list, tuple, objects, nested])
@each_case(
    "make",
    [
        lambda name: layers.Dense(2, name=name),
        lambda name: layers.Masking(name=name),
        lambda name: layers.Conv1D(2, 2, name=name),
        lambda name: layers.Flatten(name=name),
        lambda name: layers.ReLU(name=name),
        lambda name: layers.LayerNormalization(name=name),
        lambda name: layers.GlobalMaxPooling1D(name=name),
        lambda name: layers.TimeDistributed(layers.Dense(2), name=name),
        lambda name: keras.Sequential([layers.Dense(2), layers.GRU(2)], name=name),
    ],
)
def test_vectors_for_layers_without_time(make, how):
    with pytest.raises(ValueError, match=rf"'(mine|dense.*)'.* must.*{REMEDY}"):
        make("mine")(how(VECTORS))


def test_layers_of_several_inputs_speak_of_these():
    with pytest.raises(ValueError, match="different batch sizes"):
        layers.Add()(VECTORS)


def test_ragged_tensors_are_refused_as_ragged_lists_are():
    class RaggedTensor:
        """As TensorFlow's, which is no array and nothing to go through."""

    model = keras.Sequential([layers.Embedding(9, 2), layers.GRU(2), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"received a RaggedTensor of sequences.*{REMEDY}"):
        model.fit(RaggedTensor(), Y, verbose=0)
