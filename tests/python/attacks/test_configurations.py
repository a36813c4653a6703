"""Configurations that want much memory or time."""

import json
import random
import sys

import numpy as np
import pytest

import ferrnn
from attacks import damage
from ferrnn.layers import Dense, Input
from ferrnn.saving import FileError, load_model

pytest.importorskip("h5py")


def changed(tmp_path, change, model=None):
    """A file of the model whose configuration is another."""
    path = tmp_path / "model.keras"
    (model or damage.chain()).save(path)
    content = path.read_bytes()
    config = damage.config_of(content)
    text = change(config)
    path.write_bytes(damage.with_config(content, text if isinstance(text, bytes) else config))
    return path


@pytest.mark.parametrize(
    "dtype", ["(1000000,)f4", "V1000000000", "U100000000", "f4,f4", [["a", "f4"]], "O", None, 5]
)
def test_arrays_of_dtypes_that_multiply(tmp_path, dtype):
    def change(config):
        array = {"class_name": "__numpy__", "config": {"value": 1, "dtype": dtype}}
        config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"]["training"] = array

    inputs = Input((3,))
    path = changed(tmp_path, change, ferrnn.Model(inputs, Dense(2)(inputs)))
    with pytest.raises(FileError, match="as `dtype`, the name of numbers"):
        load_model(path)
    array = {"class_name": "__numpy__", "config": {"value": 1, "dtype": dtype}}
    with pytest.raises(ValueError, match="as `dtype`, the name of numbers"):
        ferrnn.saving.deserialize_keras_object(array)


def test_texts_that_are_as_long_as_the_longest(tmp_path):
    texts = ["x"] * 6000 + ["x" * 6000]

    def change(config):
        array = {"class_name": "__numpy__", "config": {"value": texts, "dtype": "str"}}
        config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"]["training"] = array

    inputs = Input((3,))
    path = changed(tmp_path, change, ferrnn.Model(inputs, Dense(2)(inputs)))
    with pytest.raises(FileError, match="an array of texts would take 144024000 bytes"):
        load_model(path)


def test_plain_arrays_are_read(tmp_path):
    for dtype in ("bool", "int8", "uint64", "float16", "float64"):
        array = np.array([[0, 1], [1, 1]], dtype)
        again = ferrnn.saving.deserialize_keras_object(ferrnn.saving.serialize_keras_object(array))
        assert again.dtype == array.dtype
        assert np.array_equal(again, array)


@pytest.mark.parametrize("units", [10**5, 10**9, 10**15])
def test_weights_that_a_small_file_cannot_hold(tmp_path, units):
    def change(config):
        config["config"]["layers"][1]["config"]["units"] = units

    with pytest.raises(FileError, match="more than a file of this size may ask for") as caught:
        load_model(changed(tmp_path, change))
    assert "LSTM 'lstm'" in caught.value.place or "Sequential" in caught.value.place


def test_a_text_of_brackets(tmp_path):
    with pytest.raises(FileError, match="RecursionError"):
        load_model(changed(tmp_path, lambda _: b"[" * 10**6))


def test_models_in_models_in_models(tmp_path):
    def change(config):
        layers = config["config"]["layers"]
        for _ in range(200):
            inner = json.loads(json.dumps(config))
            inner["config"]["layers"] = layers
            layers = [inner]
        config["config"]["layers"] = layers

    with pytest.raises(FileError) as caught:
        load_model(changed(tmp_path, change))
    assert caught.value.place.startswith("config.json, Sequential 'chain', Sequential 'chain'")
    assert len(str(caught.value)) < 1000


def in_a_row(count):
    inputs = Input((2,))
    outputs = inputs
    for _ in range(count):
        outputs = Dense(2, kernel_initializer="ones")(outputs)
    return ferrnn.Model(inputs, outputs)


def calls_of(function):
    """What a function gives, and how many calls of Python functions it took."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        found = function()
    finally:
        sys.setprofile(before)
    return found, count


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_layers_in_another_order_take_no_longer(order):
    config = in_a_row(200).get_config()
    other = {**config, "layers": config["layers"][::-1]}
    if order == "shuffled":
        random.Random(5).shuffle(other["layers"])
    _, in_order = calls_of(lambda: ferrnn.Model.from_config(config))
    model, in_another = calls_of(lambda: ferrnn.Model.from_config(other))
    assert in_another < 3 * in_order
    x = np.array([[1.0, 2.0]])
    assert np.array_equal(model.predict(x, verbose=0), in_a_row(200).predict(x, verbose=0))


def test_calls_of_a_shared_layer_keep_their_numbers_in_any_order():
    inputs = Input((3,))
    shared = Dense(3, name="shared")
    first = shared(inputs)
    second = shared(Dense(3, name="between")(first))
    model = ferrnn.Model(inputs, [second, first])
    config = model.get_config()
    config["layers"] = config["layers"][::-1]
    again = ferrnn.Model.from_config(config)
    for layer in again.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    x = np.random.default_rng(1).normal(size=(2, 3))
    for one, other in zip(model.predict(x, verbose=0), again.predict(x, verbose=0), strict=True):
        assert np.array_equal(one, other)


def test_calls_in_a_circle(tmp_path):
    config = in_a_row(3).get_config()
    ends = config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]
    ends["keras_history"] = [config["layers"][3]["name"], 0, 0]
    with pytest.raises(ValueError, match="has a loop"):
        ferrnn.Model.from_config(config)
