"""Models written in the legacy HDF5 layout of Keras 3, and read again."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers

h5py = pytest.importorskip("h5py")
rng = np.random.default_rng(9)
X, Y = rng.normal(size=(8, 5, 3)), rng.normal(size=(8, 2))


@pytest.fixture
def model():
    inputs = keras.Input((5, 3))
    read = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(inputs)
    read = layers.BatchNormalization()(read)
    inner = keras.Sequential([layers.GRU(3), layers.Dense(2)], name="inner")
    made = keras.Model(inputs, inner(read))
    made.compile("adam", "mse", metrics=["mae"])
    made.fit(X, Y, epochs=2, verbose=0)
    return made


def written(model, path, **options):
    with pytest.warns(UserWarning, match="format that is considered legacy"):
        model.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_a_model_comes_back_and_trains_on_to_the_same_bits(model, tmp_path, suffix):
    again = keras.models.load_model(written(model, tmp_path / f"model{suffix}"))
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for each in (model, again):
        each.fit(X, Y, shuffle=False, verbose=0)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_names_are_those_that_keras_looks_for(model, tmp_path):
    with h5py.File(written(model, tmp_path / "model.h5")) as file:
        assert file.attrs["keras_version"].startswith("3.")
        group = file["model_weights"]
        names = [name.decode() for name in group.attrs["layer_names"]]
        assert names == [layer.name for layer in model.layers]
        inner = [name.decode() for name in group["inner"].attrs["weight_names"]]
        assert inner == [weight.path for weight in model.get_layer("inner").weights]
        assert all(name in group["inner"] for name in inner)


def test_weights_go_into_another_model_and_what_is_not_wanted_is_left_out(model, tmp_path):
    other = keras.Model.from_config(model.get_config())
    path = written(model, tmp_path / "model.h5", include_optimizer=False)
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert not keras.models.load_model(path).compiled
    with pytest.raises(ValueError, match=r"only supports loading '\.weights\.h5' files"):
        other.load_weights(path, objects_to_skip=[])


@pytest.mark.parametrize("soft", [True, False])
def test_a_link_in_the_place_of_the_weights_is_refused(model, tmp_path, soft):
    path = written(model, tmp_path / "target.h5")
    attack = tmp_path / "attack.h5"
    with h5py.File(attack, "w") as file:
        file.create_group("real")
        link = h5py.SoftLink("/real") if soft else h5py.ExternalLink(path, "/model_weights")
        file["model_weights"] = link
    with pytest.raises(ValueError, match="SoftLink" if soft else "ExternalLink"):
        model.load_weights(attack)


def test_what_the_layout_cannot_hold_is_refused(tmp_path):
    words = layers.TextVectorization()
    words.adapt(["a b"])
    texts = keras.Sequential([keras.Input((), dtype="string"), words])
    unbuilt = keras.Sequential([layers.Dense(1)])
    for model, message in ((texts, "cannot store what layer"), (unbuilt, "must be built")):
        with pytest.raises(ValueError, match=message):
            model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())
