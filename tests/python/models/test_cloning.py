"""`clone_model` with layers of one's own choice, nested models included; `by_name`."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import Dense


def nested():
    inner = keras.Sequential([keras.Input((3,)), Dense(4, name="inside")], name="inner")
    inputs = keras.Input((3,))
    return keras.Model(inputs, Dense(2, name="outside")(inner(inputs)))


def widened(layer):
    config = layer.get_config()
    if isinstance(layer, Dense):
        config["activation"] = "tanh"
    return type(layer).from_config(config)


@pytest.mark.parametrize("recursive", [False, True])
def test_the_function_is_asked_within_nested_models_if_it_is_to_be(recursive):
    asked = []

    def function(layer):
        asked.append(layer.name)
        return widened(layer)

    clone = keras.models.clone_model(nested(), clone_function=function, recursive=recursive)
    assert sorted(asked) == ["inside" if recursive else "inner", "outside"]
    inside = clone.get_layer("inner").get_layer("inside")
    assert (inside.activation.__name__ == "tanh") == recursive
    assert clone.get_layer("outside").activation.__name__ == "tanh"
    assert clone(np.ones((5, 3))).shape == (5, 2)


def test_without_a_function_the_clone_has_layers_of_its_own():
    model = nested()
    clone = keras.models.clone_model(model, recursive=True)
    clone.set_weights(model.get_weights())
    x = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(clone(x), model(x))
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))


def test_what_is_not_supported_says_so():
    with pytest.raises(NotImplementedError, match="`call_function` of clone_model"):
        keras.models.clone_model(nested(), call_function=lambda layer, x: layer(x))
    with pytest.raises(ValueError, match=r"`by_name`.*legacy.*skip_mismatch.*by_name=True"):
        nested().load_weights("model.weights.h5", by_name=True)
