"""HDF5 files for Keras 2 and 3: read again they are the same, and laid out as Keras does."""

import json
import os

import numpy as np
import pytest

import ferrnn
from ferrnn import layers
from keras_models import MODELS

pytestmark = pytest.mark.filterwarnings("ignore:.*considered legacy")

h5py = pytest.importorskip("h5py")

# These have what Keras 2 does not know, and drop-outs, which draw other numbers.
FOR_KERAS3 = {"options", "activations"}


def randomized(model, rng):
    model.set_weights([rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    return model


def inputs_of(model, rng):
    def one(tensor):
        shape = [tensor.shape[0] or 4, *(size or 7 for size in tensor.shape[1:])]
        ids = tensor.shape[1:] == (None,)
        return rng.integers(1, 9, size=shape) if ids else rng.normal(size=shape)

    made = [one(tensor) for tensor in model.inputs]
    return made[0] if len(made) == 1 else made


def leaves(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("keras", [2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_with_the_same_bits(name, keras, tmp_path):
    rng = np.random.default_rng(1)
    model = randomized(MODELS[name](ferrnn), rng)
    path = tmp_path / "m.h5"
    if keras == 2 and name in FOR_KERAS3:
        with pytest.raises(ValueError, match="pass `keras=3`"):
            model.save(path, keras=2)
        assert not path.exists()
        return
    model.save(path, keras=keras)
    again = ferrnn.load_model(path)
    x = inputs_of(model, rng)
    for found, expected in zip(leaves(again(x)), leaves(model(x)), strict=True):
        np.testing.assert_array_equal(found, expected)


OPTIMIZERS = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True, "clipnorm": 0.5},
    "AdamW": {"weight_decay": 0.1},
    "Adamax": {},
    "Adadelta": {},
    "Adagrad": {},
    "Ftrl": {},
    "Lion": {"use_ema": True},
}


@pytest.mark.parametrize("keras", [2, 3] if "FERRNN_DEEP" in os.environ else [2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_the_same_loss(name, keras, tmp_path):
    rng = np.random.default_rng(2)
    model = randomized(MODELS["lstm"](ferrnn), rng)
    model.compile(getattr(ferrnn.optimizers, name)(**OPTIMIZERS[name]), "mae", metrics=["mse"])
    x, y = inputs_of(model, rng), rng.normal(size=(4, 2))
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.h5", keras=keras)
    again = ferrnn.load_model(tmp_path / "m.h5")
    for _ in range(2):
        assert again.train_on_batch(x, y) == model.train_on_batch(x, y)


def test_the_layout_is_that_of_keras(tmp_path):
    model = randomized(MODELS["nested"](ferrnn), np.random.default_rng(3))
    model.compile("adam", "mse", metrics=["accuracy", "mae"])
    model.save(tmp_path / "m.h5", keras=2)
    with h5py.File(tmp_path / "m.h5") as file:
        assert file.attrs["keras_version"] == "2.15.0"
        config = json.loads(file.attrs["model_config"])
        assert config["class_name"] == "Functional"
        middle = next(e for e in config["config"]["layers"] if e["name"] == "middle")
        assert middle["config"]["output_layers"] == [["inner", 2, 0], ["lstm", 0, 0]]
        group = file["model_weights"]
        assert [name.decode() for name in group.attrs["layer_names"]] == [
            layer.name for layer in model.layers
        ]
        names = [name.decode() for name in group["middle"].attrs["weight_names"]]
        assert names[-2:] == [
            "inner/batch_normalization/moving_mean",
            "inner/batch_normalization/moving_variance",
        ]
        assert list(group["top_level_model_weights"].attrs["weight_names"]) == []
        training = json.loads(file.attrs["training_config"])
        assert training["loss"]["class_name"] == "MeanSquaredError"
        assert training["metrics"][0] == "accuracy"
        assert set(training["optimizer_config"]["config"]) == {
            "name", "learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad",
        }  # fmt: skip


def test_newer_optimizers_are_named_as_keras_registers_them(tmp_path):
    model = randomized(MODELS["lstm"](ferrnn), np.random.default_rng(5))
    model.compile("lion", "mse")
    model.save(tmp_path / "m.h5", keras=2)
    with h5py.File(tmp_path / "m.h5") as file:
        written = json.loads(file.attrs["training_config"])["optimizer_config"]
    assert written["class_name"] == "Custom>Lion"
    assert written["config"]["is_legacy_optimizer"] is False
    assert type(ferrnn.load_model(tmp_path / "m.h5").optimizer) is ferrnn.optimizers.Lion


def test_many_layers_need_several_attributes(tmp_path):
    x = ferrnn.Input((2,))
    y = x
    for at in range(110):
        y = layers.Dense(2, name=f"{'a long name' * 60}_{at}")(y)
    model = ferrnn.Model(x, y)
    model.save(tmp_path / "m.h5", keras=2)
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    again = ferrnn.load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(again(np.ones((1, 2))), model(np.ones((1, 2))))


def test_old_hard_sigmoid_is_written_for_keras_2_by_its_old_name(tmp_path):
    model = ferrnn.Sequential(
        [ferrnn.Input((5, 3)), layers.LSTM(2, recurrent_activation="hard_sigmoid_keras2")]
    )
    model.save(tmp_path / "m.h5", keras=2)
    with h5py.File(tmp_path / "m.h5") as file:
        assert '"recurrent_activation": "hard_sigmoid"' in file.attrs["model_config"]
    again = ferrnn.load_model(tmp_path / "m.h5")
    x = np.random.default_rng(4).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(again(x), model(x))


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    x = ferrnn.Input((5, 3))
    with pytest.raises(ValueError, match=r"the operation Add between layers.*`keras=3`"):
        ferrnn.Model(x, x + layers.Dense(3)(x)).save(path, keras=2)
    with pytest.raises(ValueError, match="must be built"):
        ferrnn.Sequential([layers.Dense(3)]).save(path, keras=2)
    vocabulary = layers.StringLookup()
    vocabulary.adapt(["a", "b"])
    with pytest.raises(ValueError, match="cannot store what layer"):
        ferrnn.Sequential([ferrnn.Input((1,), dtype="string"), vocabulary]).save(path, keras=2)
    with pytest.raises(ValueError, match="`keras` must be 2 or 3, received 4"):
        ferrnn.Model(x, layers.Dense(3)(x)).save(path, keras=4)
    with pytest.raises(ValueError, match=r"`keras` is only for `\.h5` files"):
        ferrnn.Model(x, layers.Dense(3)(x)).save(tmp_path / "m.keras", keras=2)
    assert not list(tmp_path.iterdir())
