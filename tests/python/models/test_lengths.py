"""Models given another length than they were made for, and lists of one output, as in Keras."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers


def series(*shape):
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def functional():
    inputs = keras.Input((6, 3))
    return keras.Model(inputs, layers.LSTM(2)(inputs))


def sequential():
    return keras.Sequential([keras.Input((6, 3)), layers.LSTM(2)])


@pytest.mark.parametrize("make", [functional, sequential])
def test_a_model_of_recurrent_layers_takes_other_lengths(make):
    model, x = make(), series(4, 9, 3)
    expected = model.layers[-1](x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.compile("sgd", "mse")
    model.fit(x, series(4, 2), verbose=0)
    with pytest.raises(ValueError, match=r"expected shape=\(None, 6, 3\), .*\(4, 6, 2\)"):
        model.predict(series(4, 6, 2), verbose=0)


@pytest.mark.parametrize("first", [[], [keras.Input((6,), dtype="int32")]])
def test_ids_may_be_fewer_than_the_model_was_made_for(first):
    model = keras.Sequential([*first, layers.Embedding(9, 3), layers.GRU(2)])
    assert model.predict(np.ones((4, 6), int), verbose=0).shape == (4, 2)
    assert model.predict(np.ones((1, 2), int), verbose=0).shape == (1, 2)


def test_layers_that_need_their_length_say_so():
    model = keras.Sequential([keras.Input((6, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="expected 18 features on the last axis, found 9"):
        model.predict(series(1, 3, 3), verbose=0)
    stateful = keras.Sequential([keras.Input(batch_shape=(4, 6, 3)), layers.GRU(2, stateful=True)])
    with pytest.raises(ValueError, match="batch size of the input sequences must be the same"):
        stateful.predict(series(1, 6, 3), verbose=0)
    assert stateful.predict(series(4, 1, 3), verbose=0).shape == (4, 2)


def test_a_list_of_one_output_is_one_output():
    inputs = keras.Input((6, 3))
    model = keras.Model([inputs], [layers.Dense(2, name="last")(layers.LSTM(2)(inputs))])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = series(4, 6, 3), series(4, 2)
    assert isinstance(model(x), np.ndarray)
    assert model.predict([x], verbose=0).shape == (4, 2)
    assert model.compute_output_shape((None, 6, 3)) == model.output_shape == (None, 2)
    assert list(model.fit(x, [y], verbose=0).history) == ["loss", "mae"]
    assert layers.Dense(1)(model(keras.Input((6, 3)))).shape == (None, 1)


def test_logs_come_in_the_order_of_their_names_everywhere(capsys):
    model, x, y = sequential(), series(4, 6, 3), series(4, 2)
    model.compile("sgd", "mse", metrics=["mae", "acc"])
    told = []

    class Names(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            told.append(list(logs))

        on_train_batch_end = on_test_batch_end

        def on_test_end(self, logs=None):
            told.append(list(logs))

    model.fit(x, y, verbose=0, callbacks=[Names()])
    results = model.evaluate(x, y, verbose=2, callbacks=[Names()], return_dict=True)
    assert [*told, list(results)] == 4 * [["acc", "loss", "mae"]]
    assert list(model.train_on_batch(x, y, return_dict=True)) == ["acc", "loss", "mae"]
    line = capsys.readouterr().out
    assert line.index(" acc: ") < line.index(" loss: ") < line.index(" mae: ")
    values = model.evaluate(x, y, verbose=0)
    assert values[0] == model.evaluate(x, y, verbose=0, return_dict=True)["loss"]


def test_a_forgotten_return_sequences_is_named():
    with pytest.raises(
        ValueError, match=r"expected ndim=3 .*, found ndim=2.*`return_sequences=True`"
    ):
        keras.Sequential([keras.Input((6, 3)), layers.LSTM(2), layers.LSTM(2)])
    with pytest.raises(ValueError, match="has no layers"):
        keras.Sequential().predict(series(1, 6, 3), verbose=0)


@pytest.mark.parametrize(
    ("given", "name"), [("int", "int32"), (int, "int32"), (np.int64, "int64"), ("uint8", "uint8")]
)
def test_inputs_of_any_name_of_a_dtype(given, name):
    inputs = keras.Input((6,), dtype=given)
    assert inputs.dtype == name
    model = keras.Model(inputs, layers.GRU(2)(layers.Embedding(5, 3)(inputs)))
    assert model.predict(np.ones((2, 6), name), verbose=0).shape == (2, 2)


def test_a_dataset_may_have_an_attribute_of_any_name():
    class Windows(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.batches = [(series(2, 6, 3), series(2, 2))] * 3

        def __len__(self):
            return len(self.batches)

        def __getitem__(self, index):
            return self.batches[index]

    model = sequential()
    model.compile("sgd", "mse")
    assert len(model.fit(Windows(), epochs=2, verbose=0).history["loss"]) == 2
