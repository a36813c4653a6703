"""Files of models: what is written is read, by Keras as well; nothing in a file is run."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense, Dropout
from file_models import MODELS, data, weights

h5py = pytest.importorskip("h5py")
GOLDEN = Path(__file__).parents[1] / "golden"
FOUND = json.loads((GOLDEN / "files.json").read_text(encoding="utf-8"))


def listed(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def trained(name):
    model = MODELS[name](keras)
    for layer in model.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    model.set_weights(weights([weight.shape for weight in model.weights]))
    model.train_on_batch(*data(name))
    return model


def same(one, other, x):
    pairs = zip(listed(one.predict(x, verbose=0)), listed(other.predict(x, verbose=0)), strict=True)
    for first, second in pairs:
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", MODELS)
class TestAgainstKeras:
    def test_what_keras_found_in_our_file_is_in_it(self, name, tmp_path):
        model, found = trained(name), FOUND[name]
        model.save(tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as archive:
            assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
            assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
            config = json.loads(archive.read("config.json"))
            stored = io.BytesIO(archive.read("model.weights.h5"))
        names = [layer["config"]["name"] for layer in config["config"]["layers"]]
        # Keras computes the mask of an Embedding by an operation of the graph.
        assert names == [each for each in found["config"] if each != "not_equal"]
        layout = []
        with h5py.File(stored) as file:
            file.visit(layout.append)
        assert sorted(layout) == found["layout"]

    def test_training_goes_on_as_in_keras(self, name, tmp_path):
        trained(name).save(tmp_path / "model.keras")
        model, found = keras.models.load_model(tmp_path / "model.keras"), FOUND[name]
        x, y = data(name)
        for stage in ("predicted", "second_predicted"):
            pairs = zip(listed(model.predict_on_batch(x)), found[stage], strict=True)
            for part, expected in pairs:
                np.testing.assert_allclose(part, expected, atol=1e-5)
            if stage == "predicted":
                model.reset_metrics()
                logs = model.train_on_batch(x, y, return_dict=True)
                assert logs["loss"] == pytest.approx(found["second_loss"], rel=1e-4)

    def test_files_that_keras_wrote_are_read(self, name):
        model = keras.models.load_model(GOLDEN / f"{name}.keras")
        x, _ = data(name)
        pairs = zip(listed(model.predict_on_batch(x)), FOUND[name]["predicted"], strict=True)
        for part, expected in pairs:
            np.testing.assert_allclose(part, expected, atol=1e-5)
        assert int(model.optimizer.iterations) == 1


def small():
    model = keras.Sequential([keras.Input((4, 3)), LSTM(2, name="read"), Dense(1)])
    model.compile("adam", loss="mse")
    return model


X = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")


class TestModels:
    def test_an_optimizer_goes_on_where_it_was(self, tmp_path):
        model = small()
        model.fit(X, X[:, 0, :1], epochs=3, verbose=0)
        model.save(tmp_path / "model.keras")
        other = keras.models.load_model(tmp_path / "model.keras")
        for each in (model, other):
            each.fit(X, X[:, 0, :1], epochs=3, shuffle=False, verbose=0)
        same(model, other, X)

    def test_a_learning_rate_is_not_rounded(self, tmp_path):
        model = small()
        model.fit(X, X[:, 0, :1], verbose=0)
        for rate in (0.001, 0.012345678912345678):
            model.optimizer.learning_rate = rate
            model.save(tmp_path / "model.keras")
            other = keras.models.load_model(tmp_path / "model.keras")
            assert float(other.optimizer.learning_rate) == rate
        model.optimizer.learning_rate = 0.5
        model.load_weights(tmp_path / "model.keras")
        assert float(model.optimizer.learning_rate) == np.float32(rate)

    def test_without_the_optimizer(self, tmp_path):
        model = small()
        model.save(tmp_path / "model.keras", include_optimizer=False)
        other = keras.models.load_model(tmp_path / "model.keras")
        assert not other.compiled
        same(model, other, X)

    def test_a_folder(self, tmp_path):
        model = small()
        model.save(tmp_path / "folder", zipped=False)
        assert (tmp_path / "folder" / "config.json").is_file()
        same(model, keras.models.load_model(tmp_path / "folder"), X)
        with pytest.raises(ValueError, match=r"should not end in `\.keras`"):
            model.save(tmp_path / "model.keras", zipped=False)

    def test_layers_of_ones_own(self, tmp_path):
        class Twice(keras.Layer):
            def __init__(self, factor=2.0, **options):
                super().__init__(**options)
                self.factor = factor

            def build(self, input_shape):
                self.scale = self.add_weight((input_shape[-1],), "uniform", name="scale")

            def call(self, inputs):
                return inputs * self.factor * self.scale

            def get_config(self):
                return {**super().get_config(), "factor": self.factor}

        model = keras.Sequential([keras.Input((3,)), Twice(3.0)])
        path = tmp_path / "model.keras"
        model.save(path)
        with pytest.raises(ValueError, match="'Twice' is not known: pass it in `custom_objects`"):
            keras.models.load_model(path)
        same(model, keras.models.load_model(path, custom_objects={"Twice": Twice}), X[:, 0])
        with keras.saving.custom_object_scope({"Twice": Twice}):
            same(model, keras.models.load_model(path), X[:, 0])

    def test_registered_classes(self, tmp_path):
        @keras.saving.register_keras_serializable("mine")
        class Half(keras.Layer):
            def call(self, inputs):
                return inputs / 2.0

        model = keras.Sequential([keras.Input((3,)), Half()])
        model.save(tmp_path / "model.keras")
        config = json.loads(zipfile.ZipFile(tmp_path / "model.keras").read("config.json"))
        assert config["config"]["layers"][1]["registered_name"] == "mine>Half"
        same(model, keras.models.load_model(tmp_path / "model.keras"), X[:, 0])

    def test_losses_and_metrics_as_objects(self, tmp_path):
        model = small()
        model.compile(
            keras.optimizers.SGD(0.5, momentum=0.25),
            loss=keras.losses.Huber(0.5),
            metrics=[keras.metrics.MeanAbsoluteError(name="own"), "mse"],
        )
        model.fit(X, X[:, 0, :1], verbose=0)
        model.save(tmp_path / "model.keras")
        other = keras.models.load_model(tmp_path / "model.keras")
        logs = [
            each.evaluate(X, X[:, 0, :1], verbose=0, return_dict=True) for each in (model, other)
        ]
        assert logs[0] == logs[1]
        assert set(logs[0]) == {"loss", "own", "mse"}

    def test_a_subclass(self, tmp_path):
        class Mine(keras.Model):
            def __init__(self, units, **options):
                super().__init__(**options)
                self.units = units
                self.heads = [Dense(units), Dense(1)]
                self._read = LSTM(units)

            def call(self, inputs):
                hidden = self._read(inputs)
                for head in self.heads:
                    hidden = head(hidden)
                return hidden

            def get_config(self):
                return {"name": self.name, "units": self.units}

        model = Mine(3)
        model(X)
        model.save_weights(tmp_path / "mine.weights.h5")
        layout = []
        with h5py.File(tmp_path / "mine.weights.h5") as file:
            file.visit(layout.append)
        assert {"heads/dense/vars/1", "heads/dense_1/vars/0", "_read/cell/vars/2"} < set(layout)
        other = Mine(3)
        with pytest.raises(ValueError, match="is not built"):
            other.load_weights(tmp_path / "mine.weights.h5")
        other(X)
        other.load_weights(tmp_path / "mine.weights.h5")
        same(model, other, X)


class TestWeights:
    def test_are_read_back(self, tmp_path):
        model, other = small(), small()
        model.save_weights(tmp_path / "a.weights.h5")
        other.load_weights(tmp_path / "a.weights.h5")
        same(model, other, X)
        model.save(tmp_path / "a.keras")
        third = small()
        third.load_weights(tmp_path / "a.keras")
        same(model, third, X)

    def test_that_do_not_fit_change_nothing(self, tmp_path):
        small().save_weights(tmp_path / "a.weights.h5")
        wider = keras.Sequential([keras.Input((4, 3)), LSTM(2), Dense(2)])
        before = wider.get_weights()
        with pytest.raises(ValueError, match=r"must have the shape \(2, 2\), received"):
            wider.load_weights(tmp_path / "a.weights.h5")
        for old, new in zip(before, wider.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        with pytest.warns(UserWarning, match="is skipped"):
            wider.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
        assert (before[0] != wider.get_weights()[0]).any()
        np.testing.assert_array_equal(before[3], wider.get_weights()[3])
        deeper = keras.Sequential([keras.Input((4, 3)), LSTM(2), Dense(1), Dense(1)])
        with pytest.raises(ValueError, match="expected 2 variables, but received 0"):
            deeper.load_weights(tmp_path / "a.weights.h5")

    def test_of_another_optimizer_are_left_out(self, tmp_path):
        model, other = small(), small()
        model.fit(X, X[:, 0, :1], verbose=0)
        model.save_weights(tmp_path / "a.weights.h5")
        other.compile("sgd", loss="mse")
        with pytest.warns(UserWarning, match="Skipping variable loading for optimizer 'sgd'"):
            other.load_weights(tmp_path / "a.weights.h5")
        same(model, other, X)


class TestHostileFiles:
    def rewritten(self, tmp_path, change):
        path = tmp_path / "model.keras"
        small().save(path)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return path

    def with_layer(self, tmp_path, layer):
        def change(parts):
            config = json.loads(parts["config.json"])
            config["config"]["layers"].append(layer)
            parts["config.json"] = json.dumps(config).encode()

        return self.rewritten(tmp_path, change)

    def test_code_is_refused(self, tmp_path):
        function = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
        path = self.with_layer(
            tmp_path,
            {"module": "keras.layers", "class_name": "Lambda", "config": {"function": function}},
        )
        for safe_mode in (True, False):
            with pytest.raises(ValueError, match="Python lambda, whose code is not loaded"):
                keras.models.load_model(path, safe_mode=safe_mode)

    @pytest.mark.parametrize("module", ["os", "subprocess", "ferrnn._src.layer.layer", "builtins"])
    def test_no_module_is_imported(self, tmp_path, module):
        path = self.with_layer(
            tmp_path,
            {"module": module, "class_name": "system", "config": "ls", "registered_name": "system"},
        )
        with pytest.raises(ValueError, match="'system' is not known"):
            keras.models.load_model(path)

    def test_arrays_elsewhere_are_refused(self, tmp_path):
        small().save_weights(tmp_path / "secret.weights.h5")
        for link in (
            h5py.ExternalLink(str(tmp_path / "secret.weights.h5"), "/layers/dense/vars/0"),
            h5py.SoftLink("/layers/lstm/cell/vars/0"),
        ):
            path = tmp_path / "a.weights.h5"
            small().save_weights(path)
            with h5py.File(path, "a") as file:
                del file["layers/dense/vars/0"]
                file["layers/dense/vars/0"] = link
            with pytest.raises(ValueError, match="must hold an array"):
                small().load_weights(path)
            with h5py.File(path, "a") as file:
                del file["layers/dense/vars"]
                file["layers/dense/vars"] = link
            with pytest.raises(ValueError, match="received a link to another place"):
                small().load_weights(path)

    def test_shapes_are_looked_at_before_numbers_are_read(self, tmp_path):
        path = tmp_path / "a.weights.h5"
        small().save_weights(path)
        with h5py.File(path, "a") as file:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars"].create_dataset("0", (2**40,), "f4", chunks=(1024,))
        with pytest.raises(ValueError, match=r"shape \(1099511627776,\)"):
            small().load_weights(path)

    def test_an_archive_that_grows_too_much(self, tmp_path, monkeypatch):
        monkeypatch.setattr("ferrnn._src.files.limits.ALWAYS", 1000)
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", " " * 10**6)
        with pytest.raises(ValueError, match="would expand to 1000000 bytes"):
            keras.models.load_model(path)


class TestErrors:
    def test_names_of_files(self, tmp_path):
        model = small()
        with pytest.raises(ValueError, match=r"add a `\.keras` extension"):
            model.save(tmp_path / "model")
        with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
            model.save_weights(tmp_path / "model.h5")
        with pytest.raises(ValueError, match="File not found"):
            keras.models.load_model(tmp_path / "none.keras")
        (tmp_path / "model.txt").write_bytes(b"text")
        with pytest.raises(ValueError, match=r"format not supported.*`\.keras` archive .*HDF5"):
            keras.models.load_model(tmp_path / "model.txt")
        with pytest.raises(FileNotFoundError):
            model.load_weights(tmp_path / "none.weights.h5")
        (tmp_path / "bad.keras").write_bytes(b"no archive")
        with pytest.raises(ValueError, match=r"a `\.keras` file must be a zip archive"):
            keras.models.load_model(tmp_path / "bad.keras")
        (tmp_path / "bad.weights.h5").write_bytes(b"no hdf5")
        with pytest.raises(keras.saving.FileError, match="must be an HDF5 file"):
            model.load_weights(tmp_path / "bad.weights.h5")

    def test_files_that_are_there(self, tmp_path):
        model = small()
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.weights.h5")
        for write, name in ((model.save, "model.keras"), (model.save_weights, "model.weights.h5")):
            with pytest.raises(FileExistsError, match="`overwrite` is False"):
                write(tmp_path / name, overwrite=False)

    def test_h5py_is_missing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ImportError, match=r"pip install 'ferrnn\[files\]'"):
            small().save(tmp_path / "model.keras")


class TestConfigurations:
    @pytest.mark.parametrize("name", MODELS)
    def test_make_the_same_model_again(self, name):
        model = trained(name)
        x, _ = data(name)
        clones = (
            type(model).from_config(model.get_config()),
            keras.models.clone_model(model),
            keras.models.model_from_json(model.to_json()),
        )
        for clone in clones:
            assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
            assert clone.layers[-1] is not model.layers[-1]
            clone.set_weights(model.get_weights())
            same(model, clone, x)

    def test_a_clone_has_weights_of_its_own(self):
        model = small()
        clone = keras.models.clone_model(model)
        assert (clone.get_weights()[0] != model.get_weights()[0]).any()

    def test_a_clone_may_have_other_layers(self):
        model = keras.Sequential([keras.Input((4, 3)), LSTM(2), Dropout(0.5), Dense(1)])

        def quiet(layer):
            if isinstance(layer, Dropout):
                return Dropout(0.0, name=layer.name)
            return type(layer).from_config(layer.get_config())

        clone = keras.models.clone_model(model, clone_function=quiet)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        assert clone.layers[1].rate == 0

    def test_a_model_without_layers_to_see(self):
        class Mine(keras.Model):
            def call(self, inputs):
                return inputs

        assert type(keras.models.clone_model(Mine())) is Mine
        with pytest.raises(ValueError, match="`input_tensors`, `clone_function` and"):
            keras.models.clone_model(Mine(), clone_function=lambda layer: layer)
