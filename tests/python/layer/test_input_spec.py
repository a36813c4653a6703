"""What layers say of their inputs, where they stand, and what they are written down as."""

import json

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import InputSpec, layers


class Picky(keras.Layer):
    """Takes what its specification allows."""

    def __init__(self, spec, **options):
        super().__init__(**options)
        self.input_spec = spec

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("spec", "fits", "wrong", "told"),
    [
        ({"ndim": 2}, (3, 4), (3,), "expected ndim=2, found ndim=1"),
        ({"min_ndim": 2}, (3, 4, 5), (3,), "expected min_ndim=2, found ndim=1"),
        ({"max_ndim": 2}, (3,), (3, 4, 5), "expected max_ndim=2, found ndim=3"),
        ({"axes": {-1: 4}}, (3, 4), (3, 5), "expected axis -1 of input shape to have value 4"),
        ({"axes": {1: 4, 0: None}}, (3, 4), (3, 5), "expected axis 1 of input shape"),
        ({"axes": {2: 4}}, (3, 4, 4), (3, 4), "expected axis 2 of input shape"),
        ({"shape": (None, 4)}, (3, 4), (3, 5), r"expected shape=\(None, 4\), found shape=\(3, 5\)"),
        (
            {"shape": (None, 4), "allow_last_axis_squeeze": True},
            (3, 4, 1),
            (3, 5, 1),
            "expected shape=",
        ),
        ({"dtype": "float32"}, (3,), None, "expected dtype=float32, found dtype=int32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_the_layer_is_built(spec, fits, wrong, told):
    given = np.zeros(fits, "float32")
    bad = np.zeros((3,), "int32") if wrong is None else np.zeros(wrong, "float32")
    layer = Picky(InputSpec(**spec))
    with pytest.raises(ValueError, match=told):
        layer(bad)
    with pytest.raises(ValueError, match=told):
        layer(keras.Input(batch_shape=bad.shape, dtype=bad.dtype.name))
    assert not layer.built
    layer(given)
    layer(keras.Input(batch_shape=fits))
    again = InputSpec.from_config(InputSpec(**spec).get_config())
    assert repr(again) == repr(InputSpec(**spec))


def test_several_inputs_have_a_specification_each():
    layer = Picky([InputSpec(ndim=2), None])
    layer([np.zeros((1, 2)), np.zeros(1)])
    with pytest.raises(ValueError, match=r"expects 2 input\(s\), but it received 1"):
        layer([np.zeros((1, 2))])
    with pytest.raises(ValueError, match="Input 0 with name None"):
        layer([np.zeros(1), np.zeros(1)])
    named = Picky([InputSpec(ndim=2, name="a"), InputSpec(ndim=1, name="b")])
    named({"b": np.zeros(1), "a": np.zeros((1, 2))})
    with pytest.raises(ValueError, match='Missing data for input "b"'):
        named({"a": np.zeros((1, 2)), "c": np.zeros(1)})


def test_a_specification_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="Axis 2 is greater than the maximum allowed value: 1"):
        InputSpec(ndim=2, axes={2: 3})
    with pytest.raises(TypeError, match="`axes` must be a dict with integer keys"):
        InputSpec(axes={"last": 3})


def test_paths_and_dtypes_are_those_of_keras():
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.LSTM(2, return_sequences=True, name="lstm"),
            layers.TimeDistributed(layers.Dense(2, name="inner"), name="steps"),
            layers.Bidirectional(layers.GRU(2, name="gru"), name="both"),
        ],
        name="model",
    )
    found = [layer.path for layer in model.layers]
    assert found == ["model/lstm", "model/steps", "model/both"]
    assert model.layers[1].layer.path == "model/steps/inner"
    assert model.layers[2].forward_layer.path == "model/both/forward_gru"
    assert layers.Dense(2).path is None
    double = layers.Dense(2, dtype="float64")
    assert (double.compute_dtype, double.variable_dtype) == ("float64", "float64")
    assert layers.TextVectorization().compute_dtype == "string"
    assert layers.IntegerLookup(vocabulary=[1]).variable_dtype == "int64"


def test_layers_are_written_down_and_made_again():
    inner = layers.LSTM(3, return_sequences=True, name="inner")
    for layer in (
        layers.Bidirectional(inner, name="both"),
        layers.StackedRNNCells([layers.GRUCell(2)]),
    ):
        data = json.loads(json.dumps(layers.serialize(layer)))
        assert data["module"] == "keras.layers"
        made = layers.deserialize(data)
        assert type(made) is type(layer)
        assert made.get_config() == layer.get_config()
    own = json.loads(json.dumps(layers.serialize(Picky(None, name="own"))))
    with pytest.raises(ValueError, match="'Picky' is not known"):
        layers.deserialize(own)
    with pytest.raises(ValueError, match="`config` must be what"):
        layers.deserialize({"name": "x"})
    with pytest.raises(TypeError, match="`layer` must be a layer"):
        layers.serialize("x")
