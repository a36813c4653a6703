"""What `Layer` offers to classes of users, and what it refuses."""

import copy

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers

rng = np.random.default_rng(4)


class TestBuild:
    def test_several_shapes_go_by_the_names_of_calls_arguments(self):
        class Some(layers.Layer):
            def build(self, third_shape, first_shape):
                self.seen = {"third": third_shape, "first": first_shape}

            def call(self, first, second=None, third=None):
                return first + second[:, :1] + third[:, :1]

        first, second, third = (np.ones((4, size)) for size in (1, 2, 3))
        for call in (
            lambda layer: layer(first, second, third),
            lambda layer: layer(first, third=third, second=second),
            lambda layer: layer(keras.Input((1,)), keras.Input((2,)), keras.Input((3,))),
        ):
            layer = Some()
            call(layer)
            assert [layer.seen["third"][-1], layer.seen["first"][-1]] == [3, 1]

    def test_names_that_fit_nothing_are_refused(self):
        class NoSuffix(layers.Layer):
            def build(self, first_shape, second):
                pass

            def call(self, first, second):
                return first + second

        class Other(layers.Layer):
            def build(self, first_shape, other_shape):
                pass

            def call(self, first, second):
                return first + second

        ones = np.ones((4, 1))
        with pytest.raises(ValueError, match="`second`, which does not end in `_shape`"):
            NoSuffix()(ones, ones)
        message = r"`other_shape`, but `call\(\)` does not have argument `other`"
        with pytest.raises(ValueError, match=message):
            Other()(ones, ones)

    def test_the_output_spec_is_told_without_a_call(self):
        class Never(layers.Layer):
            def call(self, x):
                raise RuntimeError

            def compute_output_shape(self, input_shape):
                return {"a": input_shape, "b": (input_shape, (*input_shape, 2))}

        made = Never().compute_output_spec(keras.KerasTensor((2, 3)))
        assert made["a"].shape == made["b"][0].shape == (2, 3)
        assert made["b"][1].shape == (2, 3, 2)
        with pytest.raises(NotImplementedError, match="`compute_output_shape` method"):
            layers.Layer().compute_output_shape(None)


class TestState:
    def test_metrics_of_layers_inside_are_told_and_are_no_weights(self):
        class Measured(layers.Layer):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner
                self.held = [keras.metrics.MeanSquaredError(), {"a": keras.metrics.Mean()}]

            def call(self, x):
                return self.inner(x)

        layer = Measured(Measured(layers.Dense(2)))
        layer(np.ones((1, 3)))
        assert len(layer.metrics) == 4
        assert len(layer.metrics_variables) == 8
        assert len(layer.weights) == 2

    def test_states_of_random_numbers_are_variables(self):
        class Noise(layers.Layer):
            def __init__(self):
                super().__init__(name="noise")
                self.seeds = [keras.random.SeedGenerator(1), keras.random.SeedGenerator(10)]

            def call(self, x):
                return x * keras.random.normal(x.shape, seed=self.seeds[1])

        layer, x = Noise(), np.ones((3, 4))
        first, second = layer.variables
        assert first is layer.seeds[0].state
        assert second.path == "noise/seed_generator/seed_generator_state"
        drawn = layer(x)
        assert (first.numpy().tolist(), second.numpy().tolist()) == ([1, 0], [10, 1])
        assert not np.array_equal(layer(x), drawn)
        second.assign([10, 0])
        np.testing.assert_array_equal(layer(x), drawn)
        assert layer.weights == []
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.Dropout(0.5), Noise()])
        assert len(model.variables) == 5
        assert len(model.non_trainable_variables) == 3
        for each in model.non_trainable_variables:
            each.assign([3, 0])
        again = copy.deepcopy(model)
        model(x, training=True)
        assert [each.numpy()[1] for each in again.non_trainable_variables] == [0, 0, 0]
        assert [each.numpy()[1] for each in model.non_trainable_variables] == [1, 0, 1]

    def test_weights_are_not_made_in_calls(self):
        class Late(layers.Layer):
            def call(self, x):
                self.late = self.add_weight(())
                return x * self.late

        with pytest.raises(ValueError, match="cannot add new elements of state"):
            Late()(np.ones((2, 3)))

    def test_penalties_of_a_call_on_symbolic_tensors_are_not_kept(self):
        class Same(layers.Layer):
            def call(self, x):
                self.add_loss(x.sum())
                return x

        layer = Same(activity_regularizer="l1")
        layer(keras.Input((3,)))
        assert layer.losses == []
        layer(np.ones((2, 3), "float32"))
        assert layer.losses == [6.0, pytest.approx(0.03)]

    def test_variables_are_made_by_shape_initializer_and_dtype(self):
        layer = layers.Layer()
        made = layer.add_variable((2, 3), "ones", "float64", name="own")
        assert (made.shape, made.dtype, made.name) == ((2, 3), "float64", "own")
        with pytest.raises(TypeError, match="takes at most 3 positional arguments"):
            layer.add_weight((2, 3), "ones", "float32", "name")
        with pytest.raises(ValueError, match="passed both positionally and as a keyword"):
            layer.add_weight((2, 3), shape=(2, 3))

    @pytest.mark.parametrize("wrong", ["yes", 1, None])
    def test_trainable_is_a_truth_value(self, wrong):
        with pytest.raises(ValueError, match="`trainable` to be a boolean"):
            layers.Dense(2, trainable=wrong)

    def test_what_does_not_train_is_told_by_its_weights(self):
        class Both(layers.Layer):
            def build(self, input_shape):
                self.fixed = self.add_weight((2,), name="fixed", trainable=False)
                self.free = self.add_weight((3,), name="free")
                self.inner = layers.Dense(2)
                self.inner.build((None, 3))

            def call(self, x):
                return self.inner(x)

        layer = Both()
        layer(np.ones((1, 3)))
        names = [weight.name for weight in layer.weights]
        assert names == ["free", "fixed", "kernel", "bias"]
        layer.trainable = False
        assert not layer.free.trainable
        assert not layer.inner.kernel.trainable
        assert layer.trainable_weights == []
        assert [weight.name for weight in layer.weights] == names
        again = copy.deepcopy(layer)
        for each in (layer, again):
            each.trainable = True
            assert [w.name for w in each.trainable_weights] == ["free", "kernel", "bias"]
            assert not each.fixed.trainable

    def test_scalars_are_numbers(self):
        weight = layers.Layer().add_weight((), lambda shape, dtype: np.full(shape, 2.5, dtype))
        assert (float(weight), int(weight)) == (2.5, 2)


class TestDense:
    def test_symbolic_inputs_are_checked_as_arrays_are(self):
        layer = layers.Dense(2)
        layer(keras.Input((3,)))
        with pytest.raises(ValueError, match="incompatible with the layer: expected 3 features"):
            layer(keras.Input((4,)))

    def test_the_activation_may_be_taken_away(self):
        layer, x = layers.Dense(2, activation="relu"), rng.normal(size=(5, 3)).astype("float32")
        layer(x)
        layer.activation = None
        np.testing.assert_allclose(layer(x), x @ layer.kernel.numpy(), rtol=1e-5, atol=1e-6)

    def test_settings_that_are_refused_name_the_class(self):
        with pytest.raises(TypeError, match=r"class 'Embedding' .* `input_dim` must be a positive"):
            layers.Embedding.from_config({"input_dim": 3.7, "output_dim": 8})


class TestModels:
    def test_a_clone_is_compiled_as_the_model_with_parts_of_its_own(self):
        def own(y_true, y_pred):
            return abs(y_true - y_pred)

        model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.25), loss=own, metrics=["mae"])
        clone = keras.models.clone_model(model)
        assert clone.optimizer is not model.optimizer
        assert float(clone.optimizer.learning_rate) == 0.25
        clone.set_weights(model.get_weights())
        x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 1))
        assert clone.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)

    def test_a_clone_of_an_own_class_comes_from_its_configuration(self):
        class Own(keras.Model):
            def __init__(self, units, **options):
                super().__init__(**options)
                self.dense = layers.Dense(units)

            def call(self, x):
                return self.dense(x)

        model, x = Own(4), rng.normal(size=(5, 3))
        clone = keras.models.clone_model(model)
        assert (type(clone), clone(x).shape) == (Own, (5, 4))
        with pytest.raises(ValueError, match="are only supported for Sequential models or Func"):
            keras.models.clone_model(model, clone_function=lambda layer: layer)

    def test_tensors_for_a_clone_are_nested_as_the_inputs(self):
        x, y = keras.Input((3,)), keras.Input((3,))
        model = keras.Model({"x": x, "y": y}, {"z": x + y})
        again = keras.models.clone_model(model, {"x": keras.Input((3,)), "y": keras.Input((3,))})
        assert set(again.input) == {"x", "y"}
        with pytest.raises(ValueError, match=r"must have the same structure as model\.input"):
            keras.models.clone_model(model, (x, y))

    def test_variables_are_told_and_set_as_a_tree_of_their_paths(self):
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="last")], name="own")
        model.compile("adam", "mse")
        tree = model.get_state_tree()
        np.testing.assert_array_equal(
            tree["trainable_variables"]["own"]["last"]["kernel"], model.layers[0].kernel.numpy()
        )
        assert tree["non_trainable_variables"] == {}
        assert set(tree["optimizer_variables"]["adam"]) == {"iteration", "learning_rate"}
        assert set(tree["metrics_variables"]["loss"]) == {"total", "count"}
        bias = {"own": {"last": {"bias": [1.5, 2.5]}}}
        rate = {"adam": {"learning_rate": 0.125}}
        model.set_state_tree({"trainable_variables": bias, "optimizer_variables": rate})
        assert model.layers[0].bias.numpy().tolist() == [1.5, 2.5]
        assert float(model.optimizer.learning_rate) == 0.125
        with pytest.raises(ValueError, match="which is not among the trainable_variables"):
            model.set_state_tree({"trainable_variables": {"own": {"first": {"bias": [1.0]}}}})
        with pytest.raises(ValueError, match=r"must have the shape \(2,\), received \(1,\)"):
            model.set_state_tree({"trainable_variables": {"own": {"last": {"bias": [1.0]}}}})
        with pytest.raises(ValueError, match="Unknown variable name"):
            model.set_state_tree({"weights": {}})
        with pytest.raises(ValueError, match="Invalid `value_format` argument"):
            model.get_state_tree("tensor")

    def test_a_path_that_is_there_twice_is_told(self):
        class Twice(keras.Model):
            def __init__(self):
                super().__init__()
                self.held = [layers.Dense(2, name="same"), layers.Dense(2, name="same")]

            def call(self, x):
                return self.held[1](self.held[0](x))

        model = Twice()
        model(np.ones((1, 3)))
        with pytest.raises(ValueError, match="path is found twice in the model"):
            model.get_state_tree()
