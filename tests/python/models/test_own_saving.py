"""What classes of users say of their saving: arguments, builds, compiling, arrays and files."""

import json
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, saving

pytest.importorskip("h5py")
rng = np.random.default_rng(3)
FORMATS = (".keras", ".safetensors")


def through_a_file(model, tmp_path, suffix, *kinds, **options):
    path = tmp_path / f"model{suffix}"
    model.save(path)
    return keras.models.load_model(path, {kind.__name__: kind for kind in kinds}, **options)


class Scaled(layers.Layer):
    """Writes no `get_config`."""

    def __init__(self, units, scale=1.0, sizes=(), **options):
        super().__init__(**options)
        self.dense, self.scale, self.sizes = layers.Dense(units), scale, sizes

    def call(self, x):
        return self.scale * self.dense(x)


class TestArguments:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_plain_ones_are_remembered(self, tmp_path, suffix):
        model = keras.Sequential([keras.Input((3,)), Scaled(2, scale=0.5, sizes=[1, (2,)])])
        x = rng.normal(size=(4, 3))
        again = through_a_file(model, tmp_path, suffix, Scaled)
        np.testing.assert_array_equal(again(x), model(x))
        assert again.layers[0].sizes == [1, [2]]
        assert Scaled(3, 2.0, name="own").get_config()["units"] == 3

    def test_others_ask_for_a_get_config(self):
        layer = Scaled(2, sizes=[object()])
        with pytest.raises(NotImplementedError, match="must override `get_config"):
            layer.get_config()

    def test_a_get_config_of_the_users_own_gets_the_base_alone(self):
        class Own(Scaled):
            def get_config(self):
                return {**super().get_config(), "units": 5}

        assert set(Own(2, sizes=[object()]).get_config()) == {"name", "trainable", "dtype", "units"}

    def test_a_graph_made_by_the_constructor_comes_from_its_arguments(self):
        class Stack(keras.Model):
            def __init__(self, units, **options):
                x = keras.Input((3,))
                super().__init__(inputs=x, outputs=layers.Dense(units)(x), **options)

            @classmethod
            def from_config(cls, config):
                return cls(config["units"], name=config["name"])

        config = Stack(4, name="mine").get_config()
        assert config["units"] == 4
        assert "layers" not in config
        assert Stack.from_config(config).output_shape == (None, 4)

    def test_parts_left_as_data_are_named_in_the_error(self):
        class Outer(layers.Layer):
            def __init__(self, inner, **options):
                super().__init__(**options)
                self.inner = inner

            def call(self, x):
                return self.inner(x)

            def get_config(self):
                return {**super().get_config(), "inner": self.inner}

        x = keras.Input((3,))
        model = keras.Model(x, Outer(layers.Dense(2))(x))
        data = saving.serialize_keras_object(model)
        with pytest.raises(TypeError, match="are explicitly deserialized in the model's"):
            saving.deserialize_keras_object(data, {"Outer": Outer})


class TestBuilding:
    def test_a_class_says_how_it_is_built_again(self, tmp_path):
        class Sized(layers.Layer):
            width = None

            def build(self, input_shape):
                self.kernel = self.add_weight((input_shape[-1], self.width or 2), name="kernel")

            def get_build_config(self):
                return {"width": self.width, "features": self.kernel.shape[0]}

            def build_from_config(self, config):
                self.width = config["width"]
                self.build((None, config["features"]))

            def call(self, x):
                return x @ self.kernel

        layer = Sized()
        layer.width = 5
        model = keras.Sequential([keras.Input((3,)), layer])
        again = through_a_file(model, tmp_path, ".keras", Sized)
        assert again.layers[0].kernel.shape == (3, 5)
        x = rng.normal(size=(4, 3))
        np.testing.assert_array_equal(again(x), model(x))

    def test_shapes_of_several_arguments_go_by_their_names(self):
        class Both(layers.Layer):
            def build(self, a_shape, b_shape):
                self.a = self.add_weight((a_shape[-1], b_shape[-1]))

            def call(self, a, b):
                return a @ self.a * b

        layer, again = Both(), Both()
        layer(np.ones((2, 3)), np.ones((2, 4)))
        config = layer.get_build_config()
        assert config == {"shapes_dict": {"a_shape": (2, 3), "b_shape": (2, 4)}}
        again.build_from_config(config)
        assert again.a.shape == (3, 4)


class TestCompiling:
    def test_a_model_with_its_own_compile_is_left_uncompiled_with_a_warning(self, tmp_path):
        class Mine(keras.Sequential):
            def compile(self, *args, **kwargs):
                super().compile(*args, **kwargs)

        model = Mine([keras.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match=r"`compile\(\)` was not called as part of model load"):
            again = through_a_file(model, tmp_path, ".keras", Mine)
        assert not again.compiled

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_a_class_says_how_it_is_compiled_again(self, tmp_path, suffix):
        class Mine(keras.Sequential):
            def compile(self, rate, optimizer="sgd"):
                super().compile(optimizer, "mse")
                self.rate = rate

            def get_compile_config(self):
                return {"rate": self.rate, "optimizer": self.optimizer}

            def compile_from_config(self, config):
                optimizer = saving.deserialize_keras_object(config["optimizer"])
                self.compile(config["rate"], optimizer)

        model = Mine([keras.Input((3,)), layers.Dense(1)])
        model.compile(0.25, "adam")
        again = through_a_file(model, tmp_path, suffix, Mine)
        assert (again.rate, again.optimizer.name) == (0.25, "adam")


class Remembering(layers.Layer):
    """Keeps arrays and a file in ways of its own."""

    seen = np.zeros(0)
    told = ""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1],))

    def call(self, x):
        return x * self.kernel

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["seen"] = self.seen

    def load_own_variables(self, store):
        self.seen = np.array(store["seen"])
        super().load_own_variables({name: store[name] for name in store if name != "seen"})

    def save_assets(self, inner_path):
        Path(inner_path, "told.txt").write_text(self.told)

    def load_assets(self, inner_path):
        self.told = Path(inner_path, "told.txt").read_text()


class TestStores:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_arrays_and_files_of_the_users_own_come_back(self, tmp_path, suffix):
        layer = Remembering()
        model = keras.Sequential([keras.Input((3,)), layer])
        layer.seen, layer.told = rng.normal(size=(5, 2)), "a b c"
        again = through_a_file(model, tmp_path, suffix, Remembering).layers[0]
        np.testing.assert_array_equal(again.seen, layer.seen)
        np.testing.assert_array_equal(again.kernel.numpy(), layer.kernel.numpy())
        assert again.told == "a b c"

    def test_arrays_of_the_users_own_are_in_files_of_weights(self, tmp_path):
        models = [keras.Sequential([keras.Input((3,)), Remembering()]) for _ in range(2)]
        models[0].layers[0].seen = rng.normal(size=7)
        models[0].save_weights(tmp_path / "a.weights.h5")
        models[1].load_weights(tmp_path / "a.weights.h5")
        np.testing.assert_array_equal(models[0].layers[0].seen, models[1].layers[0].seen)

    def test_a_store_of_places_goes_into_a_built_in_layer(self):
        layer = layers.Dense(2)
        layer.build((None, 3))
        kernel, bias = rng.normal(size=(3, 2)).astype("float32"), np.ones(2, "float32")
        layer.load_own_variables({"0": kernel, "1": bias})
        np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
        with pytest.raises(ValueError, match="expected 2 variables, but received 1"):
            layer.load_own_variables({"0": kernel})

    @pytest.mark.parametrize("wrong", [{"a/b": np.ones(2)}, {"a": np.array(["text"])}])
    def test_what_a_file_cannot_hold_is_refused(self, tmp_path, wrong):
        class Bad(layers.Layer):
            def save_own_variables(self, store):
                store.update(wrong)

        model = keras.Sequential([keras.Input((3,)), Bad()])
        for suffix in FORMATS:
            with pytest.raises(ValueError, match="`save_own_variables` of layer 'bad"):
                model.save(tmp_path / f"model{suffix}")
            assert not list(tmp_path.iterdir())


class Nested(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.blocks = [[layers.Dense(4), layers.Dense(4)], {"a": (layers.Dense(4),)}]
        self.blocks.append(self.blocks)
        self.last = layers.Dense(2)

    def call(self, x):
        (first, second), named = self.blocks[:2]
        return self.last(named["a"][0](second(first(x))))


class TestContainers:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_layers_in_lists_of_lists_come_back(self, tmp_path, suffix):
        model, x = Nested(), rng.normal(size=(4, 3))
        expected = model(x)
        assert len(model.weights) == 8
        again = through_a_file(model, tmp_path, suffix, Nested)
        np.testing.assert_array_equal(again(x), expected)

    def test_files_that_know_nothing_of_them_leave_them_as_they_are(self, tmp_path):
        import h5py  # noqa: PLC0415

        model, x, path = Nested(), rng.normal(size=(4, 3)), tmp_path / "a.weights.h5"
        model(x)
        model.save_weights(path)
        with h5py.File(path, "a") as file:
            del file["blocks/container"]
        before = model.blocks[0][0].kernel.numpy()
        model.last.kernel.assign(np.zeros((4, 2)))
        with pytest.warns(UserWarning, match="nested container 'blocks/container'"):
            model.load_weights(path)
        np.testing.assert_array_equal(model.blocks[0][0].kernel.numpy(), before)
        assert model.last.kernel.numpy().any()

    def test_layers_are_skipped_when_asked(self, tmp_path):
        models = [
            keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3)])
            for _ in range(2)
        ]
        path = tmp_path / "a.weights.h5"
        for write_all in (True, False):
            skipped = [] if write_all else models[0].layers[:1]
            models[0].save_weights(path, objects_to_skip=skipped)
            before = models[1].layers[0].kernel.numpy()
            models[1].load_weights(path, objects_to_skip=models[1].layers[:1])
            np.testing.assert_array_equal(models[1].layers[0].kernel.numpy(), before)
            expected = models[0].layers[1].kernel.numpy()
            np.testing.assert_array_equal(models[1].layers[1].kernel.numpy(), expected)
        models[0].save(tmp_path / "a.keras")
        with pytest.raises(ValueError, match=r"only supports loading '\.weights\.h5' files"):
            models[1].load_weights(tmp_path / "a.keras", objects_to_skip=[])


class TestShards:
    def models(self):
        made = []
        for _ in range(2):
            model = keras.Sequential([keras.Input((30,)), layers.Dense(40), layers.Dense(20)])
            model.compile("adam", "mse")
            model.optimizer.build(model.trainable_weights)
            made.append(model)
        return made

    def test_weights_are_cut_into_files_of_a_size_and_come_back(self, tmp_path):
        one, two = self.models()
        one.fit(rng.normal(size=(8, 30)), rng.normal(size=(8, 20)), verbose=0)
        path = tmp_path / "a.weights.json"
        one.save_weights(path, max_shard_size=6e-6)
        shards = sorted(tmp_path.glob("a_*.weights.h5"))
        assert [each.name for each in shards[:2]] == ["a_00000.weights.h5", "a_00001.weights.h5"]
        assert all(each.stat().st_size < 20000 for each in shards)
        index = json.loads(path.read_text())
        kinds = one.weights, one.optimizer.variables[2:]
        assert index["metadata"]["total_size"] == 8 + sum(4 * w.size for k in kinds for w in k)
        two.load_weights(path)
        for first, second in zip(one.weights, two.weights, strict=True):
            np.testing.assert_array_equal(first.numpy(), second.numpy())
        for first, second in zip(one.optimizer.variables, two.optimizer.variables, strict=True):
            np.testing.assert_array_equal(first.numpy(), second.numpy())

    def test_what_is_wrong_with_them_is_told(self, tmp_path):
        one, two = self.models()
        path = tmp_path / "a.weights.json"
        with pytest.raises(ValueError, match="size of each weight, received 1e-07 GB for 4800"):
            one.save_weights(path, max_shard_size=1e-7)
        assert not list(tmp_path.iterdir())
        with pytest.raises(ValueError, match=r"must end in `\.weights\.json`"):
            one.save_weights(tmp_path / "a.weights.h5", max_shard_size=1)
        one.save_weights(path, max_shard_size=1)
        for wrong in ("../a_00000.weights.h5", 3):
            path.write_text(json.dumps({"weight_map": {"/vars": wrong}}))
            with pytest.raises(saving.FileError, match="must name files beside"):
                two.load_weights(path)
        path.write_text(json.dumps({"weight_map": {"/other/vars": "a_00000.weights.h5"}}))
        with pytest.raises(saving.FileError, match="'other/vars' is missing"):
            two.load_weights(path)
        path.write_text("[]")
        with pytest.raises(saving.FileError, match="it must have a `weight_map`"):
            two.load_weights(path)


class TestNames:
    def test_a_property_may_name_what_the_file_has_under_another_name(self, tmp_path):
        class One(keras.Model):
            def __init__(self):
                super().__init__()
                self.block = Scaled(3)

            def call(self, x):
                return self.block(x)

        class Other(keras.Model):
            def __init__(self):
                super().__init__()
                self.a_block = Scaled(3)

            @property
            def block(self):
                return self.a_block

            @property
            def broken(self):
                raise RuntimeError

            def call(self, x):
                return self.block(x)

        models, x = (One(), Other()), rng.normal(size=(2, 2))
        for model in models:
            model(x)
        models[0].save_weights(tmp_path / "a.weights.h5")
        models[1].load_weights(tmp_path / "a.weights.h5")
        np.testing.assert_array_equal(models[0](x), models[1](x))


class TestConfigurations:
    def test_what_is_no_configuration_is_told(self):
        make = saving.deserialize_keras_object
        with pytest.raises(TypeError, match="Expected 'config' to be a non-null str"):
            make({"class_name": "function", "config": ["relu"]})
        with pytest.raises(TypeError, match="Expected 'config' to be a dict"):
            make({"class_name": "Dense", "config": [1, 2]})
        stack = {"class_name": "Sequential", "module": "keras"}
        with pytest.raises(ValueError, match="containing the 'name' and 'layers' keys"):
            make({**stack, "config": {"layers": []}})
        with pytest.raises(ValueError, match="Expected a dictionary containing a 'config' key"):
            make({**stack, "config": {"name": "s", "layers": [{}]}})

    @pytest.mark.parametrize("name", ["builtins.eval", "package>Mine", "other"])
    def test_a_registered_name_for_what_is_built_in_is_refused(self, name):
        data = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}
        with pytest.raises(ValueError, match="resolved to a Keras built-in"):
            saving.deserialize_keras_object({**data, "registered_name": name})

    def test_a_class_that_cannot_be_made_again_is_told(self):
        class Factor:
            def get_config(self):
                return {}

        with pytest.raises(TypeError, match="is missing a `from_config"):
            saving.deserialize_keras_object(
                {"class_name": "Factor", "config": {}}, {"Factor": Factor}
            )

    def test_arrays_in_slices_come_back(self):
        made = saving.serialize_keras_object(slice(None, np.array([0, 1]), 1))
        again = saving.deserialize_keras_object(made)
        assert (again.start, again.stop.tolist(), again.step) == (None, [0, 1], 1)
