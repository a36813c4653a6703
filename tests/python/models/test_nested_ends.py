"""Models whose inputs, outputs and losses are nested, named, optional, or of a custom class."""

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers

rng = np.random.default_rng(11)


class Pair(NamedTuple):
    near: Any
    far: Any


class Plus(layers.Layer):
    """Adds what is optional."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(2)

    def call(self, x, other=None):
        return self.dense(x if other is None else x + other)


def both(first: Any, second: Any) -> Any:
    return {"a": first, "b": (second, {"c": first})}


def distance(y_true: Any, y_pred: Any) -> Any:
    """A loss of two outputs at once."""
    (near, far), (true_near, true_far) = y_pred, y_true
    return abs(near - true_near) + 2 * abs(far - true_far)


def two_outputs(kind: Any) -> keras.Model:
    x = keras.Input((3,))
    return keras.Model(x, kind(layers.Dense(1, name="near")(x), layers.Dense(1, name="far")(x)))


class TestInputs:
    def test_nested_dicts_are_taken_by_their_keys(self):
        ends = [keras.Input((size,)) for size in (1, 2, 3)]
        made = [layers.Dense(2)(end) for end in ends]
        nested = {"z": ends[0], "rest": {"y": ends[1], "x": [ends[2]]}}
        model = keras.Model(nested, {"z": made[0], "rest": {"y": made[1], "x": [made[2]]}})
        arrays = [rng.normal(size=(4, size)).astype("float32") for size in (1, 2, 3)]
        out = model({"z": arrays[0], "rest": {"y": arrays[1], "x": [arrays[2]]}})
        for layer, array, part in zip(
            [each for each in model.layers if isinstance(each, layers.Dense)],
            [arrays[2], arrays[1], arrays[0]],
            [out["rest"]["x"][0], out["rest"]["y"], out["z"]],
            strict=True,
        ):
            np.testing.assert_allclose(part, array @ layer.kernel.numpy(), rtol=1e-6)
        symbolic = model({"z": keras.Input((1,)), "rest": {"y": ends[1], "x": [ends[2]]}})
        assert symbolic["rest"]["x"][0].shape == (None, 2)
        assert model.compute_output_shape({"z": (5, 1), "rest": {"y": (5, 2), "x": [(5, 3)]}}) == {
            "z": (5, 2),
            "rest": {"y": (5, 2), "x": [(5, 2)]},
        }

    @pytest.mark.parametrize("given", [True, False])
    def test_an_optional_input_may_be_none_everywhere(self, given):
        x, other = keras.Input((2,), name="x"), keras.Input((2,), name="a", optional=True)
        plus = Plus()
        model = keras.Model({"x": x, "a": other}, plus(x, other))
        model.compile("sgd", loss="mse")
        data = {"x": rng.normal(size=(5, 2)), "a": rng.normal(size=(5, 2)) if given else None}
        before = plus.dense.kernel.numpy()
        model.fit(data, np.ones((5, 2)), batch_size=2, verbose=0)
        assert not np.array_equal(before, plus.dense.kernel.numpy())
        total = data["x"] + (data["a"] if given else 0.0)
        expected = total @ plus.dense.kernel.numpy() + plus.dense.bias.numpy()
        np.testing.assert_allclose(model.predict(data, verbose=0), expected, rtol=1e-5)
        loss = np.mean((expected - 1.0) ** 2)
        assert model.evaluate(data, np.ones((5, 2)), verbose=0) == pytest.approx(loss, rel=1e-5)
        again = keras.Model.from_config(model.get_config(), {"Plus": Plus})
        assert again.get_layer("a").optional
        with pytest.raises(ValueError, match=r"The input 'x' of the model .* is not optional"):
            model({"x": None, "a": None})

    def test_none_for_all_inputs_is_refused_by_fit(self):
        x = keras.Input((2,))
        model = keras.Model(x, layers.Dense(1)(x))
        model.compile("sgd", loss="mse")
        with pytest.raises(ValueError, match="at least one input must be given"):
            model.fit([None], np.ones((2, 1)))

    def test_other_structures_are_told_or_refused(self):
        first, second = keras.Input((2,), name="u"), keras.Input((2,), name="v")
        total = first + 2 * second
        one, two = rng.normal(size=(2, 3, 2)).astype("float32")
        keyed = keras.Model({"k": first, "l": second}, total)
        with pytest.warns(UserWarning, match="`inputs` doesn't match the expected structure"):
            out = keyed([one, two])
        np.testing.assert_array_equal(out, one + 2 * two)
        with pytest.warns(UserWarning, match="`inputs` doesn't match the expected structure"):
            keyed({"k": one, "l": two, "more": two})
        with pytest.raises(ValueError, match=r"must have the keys \['k', 'l'\]"):
            keyed({"u": one, "v": two})
        with pytest.raises(ValueError, match=r"expects 2 named input\(s\) with keys \['k', 'l'\]"):
            keyed(one)
        reversed_keys = keras.Model({"l": second, "k": first}, total)
        with pytest.raises(ValueError, match="`inputs` doesn't match the expected structure"):
            reversed_keys([one, two])
        listed = keras.Model([first, second], total)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(listed((one, two)), out)
            np.testing.assert_array_equal(listed({"u": one, "v": two, "w": 1}), out)
        with pytest.raises(ValueError, match=r"expects 2 input\(s\)"):
            listed(one)

    def test_shapes_that_do_not_fit_name_input_and_path(self):
        x = keras.Input((3,), name="mine")
        model = keras.Model([{"foo": x}], layers.Dense(1)(x))
        message = r"name 'mine' and path '0\.foo' .*shape=\(None, 3\), found shape=\(2, 4\)"
        with pytest.raises(ValueError, match=message):
            model([{"foo": np.zeros((2, 4))}])

    def test_an_own_input_spec_is_checked_by_calls_and_predict(self):
        x = keras.Input((None, 3))
        model = keras.Model(x, layers.Dense(2)(x))
        model.input_spec = keras.InputSpec(shape=(None, 4, 3))
        assert model(np.zeros((2, 4, 3))).shape == (2, 4, 2)
        for call in (model, model.predict):
            with pytest.raises(ValueError, match=r"expected shape=\(None, 4, 3\)"):
                call(np.zeros((2, 5, 3)))

    def test_an_input_layer_around_a_tensor_checks_what_else_is_said(self):
        tensor = keras.KerasTensor((2, 3), "float32")
        layer = layers.InputLayer(input_tensor=tensor, batch_size=2, shape=[3])
        assert layer.output is tensor
        assert layer.batch_shape == (2, 3)
        assert isinstance(layer.output, keras.KerasTensor)
        for wrong in ({"shape": (4,)}, {"batch_size": 5}, {"dtype": "float64"}, {"sparse": True}):
            with pytest.raises(ValueError, match=f"incompatible `{next(iter(wrong))}`"):
                layers.InputLayer(input_tensor=keras.KerasTensor((2, 3)), **wrong)
        with pytest.raises(ValueError, match="`input_tensor` must be a KerasTensor"):
            layers.InputLayer(input_tensor=np.zeros(3))
        with pytest.raises(ValueError, match="`input_tensor` must be a KerasTensor that is not"):
            layers.InputLayer(input_tensor=tensor)


class TestStacks:
    @pytest.mark.parametrize("kind", [dict, list])
    def test_the_first_layer_of_a_stack_may_take_nested_inputs(self, kind, tmp_path):
        class Join(layers.Layer):
            def call(self, inputs):
                assert type(inputs) is kind
                one, two = inputs.values() if kind is dict else inputs
                return keras.ops.concatenate([one, two], axis=-1)

        x = rng.normal(size=(2, 6, 3)).astype("float32")
        given = {"a": x[0], "b": x[1]} if kind is dict else [*x]
        model = keras.Sequential([Join(), layers.Dense(2)])
        model.compile("sgd", "mse")
        expected = model(given)
        kernel = model.layers[1].kernel.numpy()
        np.testing.assert_allclose(expected, np.concatenate(x, -1) @ kernel, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(model.predict(given, verbose=0), expected)
        model.fit(given, np.ones((6, 2)), verbose=0)
        assert not np.array_equal(model.layers[1].kernel.numpy(), kernel)
        lines = []
        model.summary(print_fn=lines.append)
        assert any("join" in line for line in lines)
        model.save(tmp_path / "model.safetensors")
        again = keras.models.load_model(tmp_path / "model.safetensors", {"Join": Join})
        np.testing.assert_array_equal(again(given), model(given))

    def test_a_stack_that_gives_back_what_it_takes_keeps_its_nesting(self):
        class Same(layers.Layer):
            def call(self, inputs):
                return inputs

        made = keras.Sequential([Same()])({"a": np.ones((3, 2)), "b": np.ones((3, 1))})
        assert {key: part.shape for key, part in made.items()} == {"a": (3, 2), "b": (3, 1)}


class TestGraphs:
    def test_an_output_that_is_not_connected_is_named(self):
        first, second = keras.Input((2,)), keras.Input((2,), name="second")
        with pytest.raises(ValueError, match=r"path `b\.0` is not connected .*'second'"):
            keras.Model(first, both(first * 2, second * 3))

    @pytest.mark.parametrize("kind", [Pair, lambda *parts: parts, lambda *parts: [*parts]])
    def test_a_copy_gives_the_same_kind_of_container(self, kind):
        model = two_outputs(kind)
        again = keras.Model.from_config(model.get_config())
        assert type(again(np.zeros((2, 3)))) is type(model(np.zeros((2, 3))))

    def test_own_classes_of_graphs_are_functional_and_keep_their_arguments(self):
        class Mine(keras.Model):
            def __init__(self, *args, factor=1, **kwargs):
                super().__init__(*args, **kwargs)
                self.factor = factor

            def get_config(self):
                return {**super().get_config(), "factor": self.factor}

        functional = type(two_outputs(Pair))
        x = keras.Input((3,))
        model = Mine(x, layers.Dense(1)(x), factor=4)
        assert isinstance(model, functional)
        assert not isinstance(keras.Sequential([layers.Dense(1)]), functional)
        assert Mine.from_config(model.get_config()).factor == 4

    @pytest.mark.parametrize(
        ("second", "message"), [(True, "has a loop"), (False, "Missing node: b")]
    )
    def test_nodes_of_older_files_that_wait_in_vain_are_named(self, second, message):
        def dense(name: str, behind: str) -> dict[str, Any]:
            nodes = [[[behind, 0, 0, {}]]]
            config = {"units": 3, "name": name}
            return {"class_name": "Dense", "name": name, "config": config, "inbound_nodes": nodes}

        shape = {"batch_input_shape": [None, 3], "name": "i"}
        entry = {"class_name": "InputLayer", "name": "i", "config": shape, "inbound_nodes": []}
        hidden = [dense("a", "b"), *([dense("b", "a")] if second else [])]
        ends = {"input_layers": [["i", 0, 0]], "output_layers": [["a", 0, 0]]}
        with pytest.raises(ValueError, match=message):
            keras.Model.from_config({"name": "m", "layers": [entry, *hidden], **ends})

    def test_layers_is_not_to_be_set(self):
        with pytest.raises(AttributeError, match=r"`Model\.layers` attribute is reserved"):
            two_outputs(Pair).layers = []


class TestLosses:
    def test_a_loss_of_all_outputs_stands_beside_one_for_each(self):
        model = two_outputs(Pair)
        model.compile("sgd", loss=[distance, Pair("mse", "mae")], loss_weights=[3, Pair(2, 0.5)])
        x, y = rng.normal(size=(6, 3)), Pair(*rng.normal(size=(2, 6, 1)))
        near, far = (each.numpy() for each in model(x))
        parts = {
            "near_far_loss": np.mean(abs(near - y.near) + 2 * abs(far - y.far)),
            "near_loss": np.mean((near - y.near) ** 2),
            "far_loss": np.mean(abs(far - y.far)),
        }
        total = 3 * parts["near_far_loss"] + 2 * parts["near_loss"] + 0.5 * parts["far_loss"]
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        assert logs == pytest.approx({"loss": total, **parts}, rel=1e-5)
        bias = model.get_layer("near").bias
        slope = np.mean(3 * np.sign(near - y.near) + 4 * (near - y.near))
        model.fit(x, y, batch_size=6, verbose=0)
        np.testing.assert_allclose(bias.numpy(), [-0.01 * slope], rtol=1e-4)

    def test_losses_of_deep_outputs_are_named_by_their_paths(self):
        x = keras.Input((3,))
        near, far = layers.Dense(1, name="near")(x), layers.Dense(1, name="far")(x)
        model = keras.Model(x, {"a": (near, far), "b": {"c": near, "d": far}})
        model.compile("sgd", loss={"b": {"d": "mse"}, "a": [distance, (None, ["mae"])]})
        y1, y2 = rng.normal(size=(2, 6, 1))
        y = {"a": (y1, y2), "b": {"c": y1, "d": y2}}
        history = model.fit(rng.normal(size=(6, 3)), y, verbose=0).history
        assert set(history) == {"loss", "b/d_loss", "a_loss", "a/far_loss"}

    def test_a_single_list_around_a_loss_is_that_loss(self):
        model = two_outputs(lambda *parts: [*parts])
        x, y = rng.normal(size=(6, 3)), list(rng.normal(size=(2, 6, 1)))
        seen = []
        for loss in (["mse", ["mae"]], ["mse", "mae"], {"near": ["mse"], "far": "mae"}):
            model.compile("sgd", loss=loss)
            seen.append(model.evaluate(x, y, verbose=0))
        assert seen[0] == seen[1] == seen[2]

    def test_outputs_that_a_loss_names_and_the_model_lacks_are_refused(self):
        x, y = rng.normal(size=(6, 3)), list(rng.normal(size=(2, 6, 1)))
        model = two_outputs(lambda *parts: [*parts])
        model.compile("sgd", loss={"near": "mse", "up": "mse"})
        with pytest.raises(ValueError, match=re.escape("Expected keys ['near', 'far']")):
            model.fit(x, y, verbose=0)
        keyed = two_outputs(lambda near, far: {"near": near, "far": far})
        keyed.compile("sgd", loss={"near": "mse", "up": "mse"})
        with pytest.raises(KeyError, match=r"\('up',\) in the `loss` argument, can't be found"):
            keyed.fit(x, dict(zip(("near", "far"), y, strict=True)), verbose=0)

    def test_parts_of_an_own_loss_are_named_by_their_losses(self):
        class Twice(keras.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **rest):
                return super().compute_loss(x, y, [y_pred, y_pred], sample_weight, **rest)

        x = keras.Input((3,))
        model = Twice(x, layers.Dense(1)(x))
        model.compile("sgd", loss=["mse", "mae"])
        history = model.fit(np.ones((4, 3)), [np.ones((4, 1))] * 2, verbose=0).history
        assert set(history) == {"loss", "mse_loss", "mae_loss"}
