"""Objects as plain data, as configurations of users' own layers hold them."""

import json

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn.saving import deserialize_keras_object, serialize_keras_object


class Twice(keras.layers.Layer):
    """A layer around another one, written as Keras' guide to saving has it."""

    def __init__(self, inner, regularizer, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.regularizer = inner, regularizer

    def call(self, inputs):
        return self.inner(inputs) + self.inner(inputs)

    def get_config(self):
        return {
            **super().get_config(),
            "inner": serialize_keras_object(self.inner),
            "regularizer": serialize_keras_object(self.regularizer),
        }

    @classmethod
    def from_config(cls, config):
        inner = deserialize_keras_object(config.pop("inner"))
        return cls(inner, deserialize_keras_object(config.pop("regularizer")), **config)


def doubled(x):
    return 2 * x


ROUND_TRIPS = [
    keras.layers.LSTM(3, name="reader", recurrent_regularizer="l2"),
    keras.layers.Bidirectional(keras.layers.GRU(2), merge_mode="sum"),
    keras.initializers.RandomNormal(0.1, 0.3, seed=2),
    keras.regularizers.L1L2(0.1, 0.2),
    keras.constraints.MaxNorm(2.5),
    keras.losses.Huber(0.7),
    keras.metrics.BinaryAccuracy(threshold=0.3),
    keras.optimizers.SGD(0.2, momentum=0.7),
    keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
]


@each_case("obj", ROUND_TRIPS, ids=lambda obj: type(obj).__name__)
def test_objects_come_back_from_json(obj):
    data = json.loads(json.dumps(serialize_keras_object(obj)))
    assert data["module"].startswith("keras.")
    again = deserialize_keras_object(data)
    assert type(again) is type(obj)
    assert again is not obj
    assert again.get_config() == obj.get_config()


def test_containers_arrays_and_functions():
    given = {
        "rates": [0.1, np.float32(0.5)],
        "table": np.arange(3.0),
        "activation": keras.activations.gelu,
        "mine": doubled,
        "none": None,
    }
    data = json.loads(json.dumps(serialize_keras_object(given)))
    found = deserialize_keras_object(data, custom_objects={"doubled": doubled})
    np.testing.assert_array_equal(found.pop("table"), given.pop("table"))
    assert found == given
    assert found["activation"] is keras.activations.gelu


def test_a_layer_inside_a_layer_of_ones_own_goes_through_a_file(tmp_path):
    pytest.importorskip("h5py")
    layer = Twice(keras.layers.Dense(2, name="inner"), keras.regularizers.L2(0.1))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Twice": Twice})
    x = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(again.predict_on_batch(x), model.predict_on_batch(x))
    assert again.layers[0].inner.name == "inner"
    assert again.layers[0].regularizer.l2 == pytest.approx(0.1)


def test_names_of_registered_classes_and_functions():
    registered = keras.saving.register_keras_serializable("tests")(Twice)
    assert keras.saving.get_registered_name(registered) == "tests>Twice"
    assert keras.saving.get_registered_object("tests>Twice") is Twice
    inner = serialize_keras_object(keras.layers.Dense(1))
    data = serialize_keras_object(Twice(deserialize_keras_object(inner), None))
    assert data["registered_name"] == "tests>Twice"
    assert type(deserialize_keras_object(data)) is Twice
    keras.saving.get_custom_objects().pop("tests>Twice")
    assert keras.saving.get_registered_object("tests>Twice") is None


def test_what_has_no_name_is_refused():
    with pytest.raises(ValueError, match=r"is a lambda.*arbitrary code execution"):
        serialize_keras_object(lambda x: x)
    layer = serialize_keras_object(keras.layers.Lambda(lambda x: x))
    with pytest.raises(ValueError, match=r"a lambda has no name.*arbitrary code execution"):
        deserialize_keras_object(json.loads(json.dumps(layer)))
    with pytest.raises(ValueError, match="no `get_config`"):
        serialize_keras_object(object())
    data = {"class_name": "Nobody", "module": "mine", "config": {}, "registered_name": "Nobody"}
    with pytest.raises(ValueError, match="'Nobody' is not known"):
        deserialize_keras_object(data)
