"""`clone_model` with chosen layers, nested models included; `by_name`."""

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


def test_what_is_not_supported_says_so(tmp_path):
    with pytest.raises(
        ValueError, match="`call_function` argument is not supported with Sequential"
    ):
        keras.models.clone_model(keras.Sequential([Dense(1)]), call_function=lambda layer, x: x)
    pytest.importorskip("h5py")
    path = tmp_path / "model.weights.h5"
    nested().save_weights(path)
    with pytest.raises(ValueError, match=r"`by_name`.*legacy.*skip_mismatch.*by_name=True"):
        nested().load_weights(path, by_name=True)


def test_a_clone_begins_at_the_tensors_that_it_is_given():
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    shared = keras.layers.Dense(4, name="shared")
    outputs = keras.layers.Concatenate(name="both")([shared(first), shared(second)])
    model = keras.Model([first, second], outputs, name="two")
    source = keras.Input((5,), name="source")
    ahead = keras.layers.Dense(3, name="ahead")(source)
    other = keras.Input((3,), name="other")
    clone = keras.models.clone_model(model, input_tensors=[other, ahead])
    assert [layer.name for layer in clone.layers][-2:] == ["shared", "both"]
    assert clone.inputs[0] is other
    assert len([layer for layer in clone.layers if layer.name == "shared"]) == 1
    clone.set_weights(model.get_weights())
    given = [np.ones((2, 3)), np.full((2, 3), 2.0)]
    np.testing.assert_array_equal(clone.predict(given, verbose=0), model.predict(given, verbose=0))
    again = keras.Model.from_config(clone.get_config())
    assert again.count_params() == model.count_params()


@pytest.mark.parametrize("known", [True, False])
def test_a_clone_of_a_sequential_model_begins_at_a_tensor(known):
    layers = [keras.layers.LSTM(2, name="lstm"), keras.layers.Dense(1, name="dense")]
    model = keras.Sequential([*([keras.Input((5, 3))] if known else []), *layers])
    place = keras.Input((7, 3), name="place")
    clone = keras.models.clone_model(model, input_tensors=place)
    assert clone.input_shape == (None, 7, 3)
    assert clone.inputs[0] is place
    inside = keras.models.clone_model(model, input_tensors=[keras.layers.ReLU()(place)])
    assert inside.input_shape == (None, 7, 3)
    assert inside.get_layer("lstm") is not layers[0]
    keras.Sequential.from_config(inside.get_config())


def test_wrong_tensors_for_a_clone_are_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must be symbolic tensors"):
        keras.models.clone_model(model, input_tensors=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="must contain a single tensor"):
        keras.models.clone_model(model, input_tensors=[keras.Input((3,)), keras.Input((3,))])
    functional = keras.Model(model.inputs, model.outputs)
    with pytest.raises(ValueError, match=r"must have the same structure as model\.input"):
        keras.models.clone_model(functional, input_tensors=[keras.Input((3,)), keras.Input((3,))])


@pytest.mark.parametrize("reuse", [True, False])
def test_a_function_calls_the_layers_and_puts_others_behind_them(reuse):
    inner_inputs = keras.Input((4,), name="inner_inputs")
    inner = keras.Model(inner_inputs, Dense(4, name="inside")(inner_inputs), name="inner")
    inputs = keras.Input((3,), name="inputs")
    first = Dense(4, name="first")(inputs)
    model = keras.Model(inputs, Dense(2, name="last")(inner(first) + first), name="outer")

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return keras.layers.ReLU()(outputs) if isinstance(layer, Dense) else outputs

    function = (lambda layer: layer) if reuse else None
    clone = keras.models.clone_model(
        model, clone_function=function, call_function=call, recursive=not reuse
    )
    kinds = [type(layer).__name__ for layer in clone.layers]
    assert kinds.count("ReLU") == 2
    inside = [type(layer).__name__ for layer in clone.get_layer("inner").layers]
    assert inside.count("ReLU") == (0 if reuse else 1)
    assert (clone.get_layer("first") is model.get_layer("first")) == reuse
    clone.set_weights(model.get_weights())
    x = np.random.default_rng(3).normal(size=(5, 3)).astype("float32")
    outputs = clone.predict(x, verbose=0)
    assert (outputs >= 0).all()
    hidden = np.maximum(x @ model.get_layer("first").kernel.numpy(), 0)
    kernel = inner.get_layer("inside").kernel.numpy()
    within = hidden @ kernel if reuse else np.maximum(hidden @ kernel, 0)
    expected = np.maximum((within + hidden) @ model.get_layer("last").kernel.numpy(), 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
