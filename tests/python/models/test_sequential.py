"""`Sequential`: how it is put together, built, called, described and refused."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import Call, Gradients
from ferrnn._src.layer.masked import attach_mask, mask_of
from ferrnn._src.tree.results import Output
from ferrnn.layers import GRU, LSTM, Dense, Dropout

RNG = np.random.default_rng(0)


def stack():
    return keras.Sequential(
        [keras.Input((5, 3)), LSTM(4, return_sequences=True), GRU(6), Dense(2)], name="stack"
    )


class TestPuttingTogether:
    def test_add_and_pop(self):
        model = keras.Sequential()
        model.add(keras.Input((3,)))
        model.add(Dense(4, name="first"))
        model.add(Dense(2, name="second"))
        assert [layer.name for layer in model.layers] == ["first", "second"]
        assert model.output_shape == (None, 2)
        assert model.pop().name == "second"
        assert model.output_shape == (None, 4)
        assert model(np.ones((1, 3))).shape == (1, 4)
        model.add(Dense(7))
        assert model(np.ones((1, 3))).shape == (1, 7)

    def test_layers_is_a_copy(self):
        model = stack()
        model.layers.pop()
        assert len(model.layers) == 3

    def test_names_must_differ(self):
        with pytest.raises(ValueError, match=r"unique names\. Name 'same'"):
            keras.Sequential([Dense(1, name="same"), Dense(1, name="same")])

    def test_only_layers(self):
        with pytest.raises(ValueError, match=r"Only instances of `Layer`.*of type int"):
            keras.Sequential([3])
        with pytest.raises(ValueError, match="already been configured"):
            keras.Sequential([keras.Input((3,)), keras.Input((3,))])
        with pytest.raises(ValueError, match="must come first"):
            keras.Sequential([Dense(1), keras.Input((3,))])
        with pytest.raises(IndexError, match="no layers to remove"):
            keras.Sequential().pop()

    def test_get_layer(self):
        model = stack()
        assert model.get_layer("gru") is model.layers[1] is model.get_layer(index=1)
        assert model.get_layer(index=-1) is model.layers[2]
        with pytest.raises(ValueError, match=r"No such layer: 'gpu'.*\['lstm', 'gru', 'dense'\]"):
            model.get_layer("gpu")
        with pytest.raises(ValueError, match="index 3 but model only has 3"):
            model.get_layer(index=3)
        with pytest.raises(ValueError, match="either a layer name or layer index"):
            model.get_layer()

    def test_a_model_in_a_model(self):
        inner = keras.Sequential([keras.Input((5, 3)), LSTM(4)])
        outer = keras.Sequential([inner, Dense(1)])
        assert outer.output_shape == (None, 1)
        assert len(outer.weights) == 5
        x = RNG.normal(size=(2, 5, 3))
        np.testing.assert_array_equal(outer(x), outer.layers[1](inner(x)))
        outer.compile("sgd", loss="mse")
        before = inner.get_weights()
        outer.fit(x, np.ones(2), verbose=0)
        assert all((old != new).any() for old, new in zip(before, inner.get_weights(), strict=True))


class TestBuilding:
    def test_at_once_with_an_input(self):
        model = stack()
        assert model.built
        assert [weight.path for weight in model.weights] == [
            "stack/lstm/lstm_cell/kernel",
            "stack/lstm/lstm_cell/recurrent_kernel",
            "stack/lstm/lstm_cell/bias",
            "stack/gru/gru_cell/kernel",
            "stack/gru/gru_cell/recurrent_kernel",
            "stack/gru/gru_cell/bias",
            "stack/dense/kernel",
            "stack/dense/bias",
        ]
        assert (model.input_shape, model.output_shape) == ((None, 5, 3), (None, 2))
        assert model.compute_output_shape((7, 5, 3)) == (7, 2)
        assert model.count_params() == sum(weight.size for weight in model.weights)

    def test_later_by_build_or_by_data(self):
        by_shape, by_data = (keras.Sequential([LSTM(4), Dense(2)]) for _ in range(2))
        assert not by_shape.built
        assert by_shape.weights == []
        for what in ("input", "output"):
            with pytest.raises(AttributeError, match=f"no defined {what} shape yet"):
                getattr(by_shape, f"{what}_shape")
        with pytest.raises(ValueError, match="isn't built"):
            by_shape.count_params()
        by_shape.build((None, 5, 3))
        by_data.predict(np.ones((1, 5, 3)), verbose=0)
        assert [w.shape for w in by_shape.weights] == [w.shape for w in by_data.weights]
        assert by_data.predict(np.ones((3, 9, 3)), verbose=0).shape == (3, 2)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"has no layers\. Call `model\.add"):
            keras.Sequential().build((None, 3))
        with pytest.raises(ValueError, match="has no layers to call"):
            keras.Sequential()(np.ones((1, 3)))
        with pytest.raises(ValueError, match=r"input shape \(None, 5, 3\). You cannot build"):
            stack().build((None, 5, 4))
        with pytest.raises(ValueError, match="must be a shape"):
            keras.Sequential([Dense(1)]).build(None)
        with pytest.raises(TypeError, match=r"'dense_2'.*would receive 3 arrays"):
            keras.Sequential([keras.Input((5, 3)), LSTM(2, return_state=True), Dense(1)])

    def test_layers_that_do_not_take_one_tensor_are_refused(self):
        class Two(keras.layers.Layer):
            def call(self, first, second):
                return first + second

        class Nothing(keras.layers.Layer):
            def call(self):
                return None

        for layer, names in (
            (Two(), "'first', 'second'"),
            (keras.layers.MultiHeadAttention(2, 3), "'query', 'value'"),
        ):
            told = rf"can only have a single required positional argument.*{layer.name}.*{names}"
            with pytest.raises(ValueError, match=told):
                keras.Sequential([keras.Input((4, 3)), layer])
        with pytest.raises(ValueError, match=r"'nothing' .Nothing. has no positional arguments"):
            keras.Sequential([keras.Input((4, 3)), Nothing()])


class TestCalling:
    def test_is_each_layer_in_turn(self):
        model, x = stack(), RNG.normal(size=(3, 5, 3)).astype("float32")
        expected = x
        for layer in model.layers:
            expected = layer(expected)
        for result in (model(x), model.predict(x, verbose=0), model.predict_on_batch(x)):
            np.testing.assert_array_equal(result, expected)
            assert type(result) in (np.ndarray, Output)
            assert result.dtype == np.float32

    def test_dropout_works_in_training_only(self):
        model, x = keras.Sequential([Dropout(0.5, seed=1)]), np.ones((4, 50))
        np.testing.assert_array_equal(model(x), x)
        np.testing.assert_array_equal(model.predict(x, verbose=0), x)
        dropped = model(x, training=True)
        assert sorted(np.unique(dropped)) == [0, 2]

    def test_shapes_are_checked(self):
        model = stack()
        for shape in ((2, 5, 4), (2, 5)):
            with pytest.raises(ValueError, match=r"expected shape=\(None, 5, 3\)"):
                model(np.ones(shape))
        free = keras.Sequential([keras.Input((None, 3)), LSTM(2)])
        assert free(np.ones((2, 9, 3))).shape == (2, 2)

    def test_gradients_of_a_frozen_layer_are_not_computed(self):
        asked = []

        class Spy(keras.Layer):
            def forward(self, inputs, call):
                asked.append((self.name, call.differentiable, call.inputs_need_gradient))
                return inputs, lambda d, grads: d

        frozen = Dense(3, trainable=False)
        model = keras.Sequential(
            [keras.Input((3,)), Spy(name="a"), frozen, Spy(name="b"), Dense(1), Spy(name="c")]
        )
        call = Call(differentiable=True, inputs_need_gradient=False)
        _, vjp = model.forward(np.ones((2, 3), "float32"), call)
        assert asked == [("a", False, False), ("b", False, False), ("c", True, True)]
        grads = Gradients()
        vjp(np.ones((2, 1), "float32"), grads)
        assert set(grads) == set(model.layers[3].weights)

    def test_mixed_dtypes(self):
        model = keras.Sequential(
            [Dense(4, dtype="float64"), Dense(3), Dense(1, dtype="float64")], name="mixed"
        )
        x = RNG.normal(size=(8, 2))
        assert model(x).dtype == np.float64
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        losses = model.fit(x, x[:, :1], epochs=30, verbose=0).history["loss"]
        assert losses[-1] < losses[0] / 2
        _, vjp = model.forward(model.prepare_inputs(x), Call(differentiable=True))
        grads = Gradients()
        assert vjp(np.ones((8, 1)), grads).dtype == np.float64
        for weight, gradient in grads.items():
            assert gradient.dtype == weight.dtype

    def test_gradients_arrive_in_the_dtype_of_the_layer(self):
        class Spy(keras.Layer):
            def forward(self, inputs, call):
                return inputs, lambda d, grads: seen.append(d.dtype.name) or d

        seen = []
        model = keras.Sequential([Spy(dtype="float64"), Spy(), Spy(dtype="float64")])
        _, vjp = model.forward(model.prepare_inputs(np.ones((2, 3))), Call(differentiable=True))
        vjp(np.ones((2, 3)), Gradients())
        assert seen == ["float64", "float32", "float64"]

    def test_dtype_is_that_of_the_first_layer_and_nested_models_may_mix(self):
        inner = keras.Sequential([Dense(3), Dense(3, dtype="float64")])
        outer = keras.Sequential([inner, Dense(2)])
        assert (inner.dtype, outer.dtype) == ("float32", "float32")
        assert outer(np.ones((1, 2))).dtype == np.float32
        assert keras.Sequential([Dense(3, dtype="float64")]).dtype == "float64"

    def test_a_mask_travels_through_the_stack(self):
        model = keras.Sequential(
            [LSTM(3, return_sequences=True), Dropout(0.1), LSTM(2, return_sequences=True)]
        )
        x = RNG.normal(size=(2, 4, 3)).astype("float32")
        mask = np.array([[True, True, False, False], [True] * 4])
        outputs = model(x, mask=mask)
        np.testing.assert_array_equal(mask_of(outputs), mask)
        short = model(x[:1, :2])
        np.testing.assert_array_equal(outputs[0, :2], short[0])
        np.testing.assert_array_equal(outputs[0, 3], outputs[0, 1])
        np.testing.assert_array_equal(model(attach_mask(x, mask)), np.asarray(outputs))
        np.testing.assert_array_equal(model.compute_mask(x, mask), mask)

    def test_a_layer_that_knows_no_masks_ends_them(self):
        class Unmasked(keras.Layer):
            supports_masking = False

            def forward(self, inputs, call):
                return inputs, lambda d, grads: d

        model = keras.Sequential([LSTM(2, return_sequences=True), Unmasked()])
        with pytest.warns(UserWarning, match="'unmasked' .* does not support masking"):
            outputs = model(np.ones((1, 3, 1)), mask=np.array([[True, True, False]]))
        assert mask_of(outputs) is None

    def test_masked_steps_do_not_train(self):
        def trained(tail):
            keras.utils.set_random_seed(5)
            keras.utils.clear_session()
            model = keras.Sequential([MaskZeros(), LSTM(3, return_sequences=True), Dense(1)])
            model.compile("sgd", loss="mse", metrics=["mae"])
            x = RNG_X.copy()
            y = np.where(x[..., :1] == 0, tail, 1.0)
            return model.fit(x, y, epochs=2, verbose=0).history, model.get_weights()

        class MaskZeros(keras.Layer):
            def forward(self, inputs, call):
                return inputs, lambda d, grads: d

            def compute_mask(self, inputs, mask):
                return inputs.any(axis=-1)

        RNG_X = np.random.default_rng(0).normal(size=(4, 5, 2))
        RNG_X[:2, 3:] = 0
        (one, weights), (other, other_weights) = trained(0.0), trained(100.0)
        assert one == other
        for first, second in zip(weights, other_weights, strict=True):
            np.testing.assert_array_equal(first, second)


class TestWeights:
    def test_get_and_set(self):
        first, second = (
            stack(),
            keras.Sequential([LSTM(4, return_sequences=True), GRU(6), Dense(2)]),
        )
        second.build((None, 5, 3))
        x = RNG.normal(size=(2, 5, 3))
        assert (first(x) != second(x)).any()
        second.set_weights(first.get_weights())
        np.testing.assert_array_equal(first(x), second(x))
        with pytest.raises(ValueError, match="length 1, but the layer was expecting 8"):
            second.set_weights([np.zeros(1)])

    def test_trainable_goes_down_to_the_layers(self):
        model = stack()
        model.layers[0].trainable = False
        assert len(model.trainable_weights) == 5
        assert len(model.non_trainable_weights) == 3
        model.trainable = False
        assert model.trainable_weights == []
        assert not keras.Sequential([Dense(1)], trainable=False).layers[0].trainable


class TestStates:
    def test_stateful_layers_carry_on_until_reset(self):
        model = keras.Sequential([keras.Input(batch_shape=(2, 3, 1)), LSTM(4, stateful=True)])
        x = RNG.normal(size=(2, 3, 1))
        first = model.predict_on_batch(x)
        second = model.predict_on_batch(x)
        assert (first != second).any()
        for reset in (model.reset_states, model.reset_state):
            reset()
            np.testing.assert_array_equal(model.predict_on_batch(x), first)

    def test_states_may_be_given(self):
        model = keras.Sequential([keras.Input(batch_shape=(2, 3, 1)), LSTM(4, stateful=True)])
        x = RNG.normal(size=(2, 3, 1))
        model.predict_on_batch(x)
        states = [np.array(state) for state in model.layers[0].states]
        carried = model.predict_on_batch(x)
        model.reset_states([states])
        np.testing.assert_array_equal(model.predict_on_batch(x), carried)
        with pytest.raises(ValueError, match="each of the 1 stateful layers, received 2"):
            model.reset_states([states, states])

    def test_deferred_building_keeps_the_batch(self):
        model = keras.Sequential([LSTM(4, stateful=True), Dense(1)])
        model.compile("sgd", loss="mse")
        model.fit(np.ones((6, 3, 1)), np.ones(6), batch_size=2, shuffle=False, verbose=0)
        assert model.input_shape == (2, 3, 1)


class TestInputShapeOfKeras2:
    """A first layer's `input_shape=` or `input_dim=` builds the model, with Keras' warning."""

    def make(self, kind, *layers, **options):
        with pytest.warns(UserWarning, match="Do not pass an `input_shape`/`input_dim` argument"):
            first = kind(4, **options)
        return keras.Sequential([first, *layers])

    def test_a_recurrent_layer(self):
        model = self.make(LSTM, Dense(1), input_shape=(5, 3))
        assert model.input_shape == (None, 5, 3)
        assert model.output_shape == (None, 1)
        model.set_weights([np.zeros(weight.shape) for weight in model.weights])
        assert model.count_params() == 4 * 4 * (3 + 4 + 1) + 5
        assert not model.predict(np.ones((2, 5, 3)), verbose=0).any()

    def test_any_number_of_steps(self):
        model = self.make(GRU, input_shape=(None, 3))
        assert model(np.ones((2, 7, 3))).shape == model(np.ones((2, 4, 3))).shape == (2, 4)

    def test_a_dense_layer_by_its_number_of_features(self):
        model = self.make(Dense, input_dim=3)
        assert model.input_shape == (None, 3)
        assert model.built

    def test_an_added_layer(self):
        model = keras.Sequential()
        with pytest.warns(UserWarning, match="Do not pass"):
            model.add(Dense(4, input_shape=(3,)))
        assert model.output_shape == (None, 4)

    def test_only_the_first_layer_counts_and_an_input_goes_before(self):
        with pytest.warns(UserWarning, match="Do not pass"):
            second, alone = Dense(2, input_shape=(9,)), Dense(2, input_shape=(9,))
        assert not keras.Sequential([Dense(4), second]).built
        assert keras.Sequential([keras.Input((3,)), alone]).input_shape == (None, 3)
