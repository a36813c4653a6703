"""Subclasses of `Model` and `Layer`, written Keras' way, and own steps of training."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import Call
from ferrnn.layers import LSTM, Dense, Dropout
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(16, 5, 3)).astype("float32"), RNG.normal(size=(16, 1)).astype("float32")
ops = keras.ops


class Reader(keras.Model):
    def __init__(self, rate=0.0, **options):
        super().__init__(**options)
        self.read = LSTM(4)
        self.drop = Dropout(rate)
        self.heads = [Dense(3, activation="tanh"), Dense(1)]

    def call(self, inputs, training=None):
        hidden = self.drop(self.read(inputs))
        for head in self.heads:
            hidden = head(hidden)
        return hidden


class Residual(keras.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        self.add_loss(0.1 * ops.sum(ops.square(self.scale)))
        self.add_loss(0.5 * ops.mean(ops.square(inputs)))
        return inputs + inputs * self.scale


def same_model():
    keras.utils.set_random_seed(4)
    functional = keras.Sequential(
        [keras.Input((5, 3)), LSTM(4), Dropout(0.0), Dense(3, activation="tanh"), Dense(1)]
    )
    reader = Reader(name="reader")
    reader(X[:1])
    reader.set_weights(functional.get_weights())
    return functional, reader


class TestModel:
    def test_trains_as_a_graph_does(self):
        functional, reader = same_model()
        histories = []
        for made in (functional, reader):
            made.compile(keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
            histories.append(made.fit(X, Y, epochs=4, shuffle=False, verbose=0).history)
        for name, values in histories[0].items():
            assert histories[1][name] == pytest.approx(values, rel=1e-6)
        np.testing.assert_allclose(reader.predict(X, verbose=0), functional.predict(X, verbose=0))

    def test_weights_have_paths_and_an_order(self):
        _, reader = same_model()
        paths = [weight.path.split("/") for weight in reader.weights]
        assert {path[0] for path in paths} == {"reader"}
        assert [path[-2] for path in paths[:3]] == ["lstm_cell"] * 3
        assert [path[-1] for path in paths[3:]] == ["kernel", "bias"] * 2
        assert len(reader.layers) == 4

    def test_build_makes_all_weights(self):
        reader = Reader()
        reader.build((None, 5, 3))
        assert len(reader.weights) == 7
        assert reader.compute_output_shape((None, 5, 3)) == (None, 1)

    def test_layers_inside_hear_of_training(self):
        reader = Reader(rate=0.5)
        quiet = reader(X)
        np.testing.assert_array_equal(reader(X), quiet)
        assert (reader(X, training=True) != quiet).any()

    def test_is_a_layer_of_a_graph(self):
        inputs = keras.Input((5, 3))
        reader = Reader()
        model = keras.Model(inputs, Dense(2)(reader(inputs)))
        assert model.output_shape == (None, 2)
        assert len(model.trainable_weights) == 9
        model.compile("sgd", loss="mse")
        before = reader.get_weights()
        model.fit(X, np.ones((16, 2)), verbose=0)
        pairs = zip(before, reader.get_weights(), strict=True)
        assert all((old != new).any() for old, new in pairs)

    def test_a_graph_may_have_a_class(self):
        class Named(keras.Model):
            def describe(self):
                return f"{len(self.layers)} layers"

        inputs = keras.Input((3,))
        model = Named(inputs, Dense(1)(inputs), name="mine")
        assert (model.describe(), model.name) == ("2 layers", "mine")
        assert model(np.ones((2, 3))).shape == (2, 1)

    def test_the_gradient_is_right(self):
        keras.config.set_floatx("float64")
        try:
            reader = Reader()
            x = RNG.normal(size=(3, 5, 3))
            reader(x)
            reader.set_weights([RNG.normal(size=weight.shape) for weight in reader.weights])
            check_vjp(lambda x: reader.forward(x, Call(differentiable=True)), x, reader.weights)
        finally:
            keras.config.set_floatx("float32")


class TestAddedLosses:
    def model(self):
        inputs = keras.Input((4,))
        return keras.Model(inputs, Residual(name="residual")(inputs))

    def test_join_the_loss(self):
        model, x = self.model(), RNG.normal(size=(6, 4)).astype("float32")
        model.compile(keras.optimizers.SGD(0.0), loss="mse")
        data = np.mean((2 * x) ** 2)
        added = [0.1 * 4, 0.5 * np.mean(x**2)]
        expected = pytest.approx(data + sum(added), rel=1e-5)
        assert model.evaluate(x, np.zeros((6, 4)), verbose=0) == expected
        assert model.fit(x, np.zeros((6, 4)), verbose=0).history["loss"][0] == expected
        assert model.losses == pytest.approx(added, rel=1e-5)

    def test_have_gradients(self):
        model, x = self.model(), RNG.normal(size=(6, 4)).astype("float32")
        model.compile(keras.optimizers.SGD(1.0), loss="mse")
        model.fit(x, 2 * x, verbose=0)  # no data loss: the weights shrink by the added one alone
        np.testing.assert_allclose(model.get_weights()[0], np.ones(4) - 0.2, rtol=1e-5)

    def test_alone_are_enough(self):
        model, x = self.model(), RNG.normal(size=(6, 4)).astype("float32")
        model.compile(keras.optimizers.SGD(1.0))
        model.fit(x, verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], np.ones(4) - 0.2, rtol=1e-5)

    def test_must_be_one_number(self):
        class Wrong(keras.Layer):
            def call(self, inputs):
                self.add_loss(inputs)
                return inputs

        with pytest.raises(ValueError, match="`loss` added by layer 'wrong' must be one number"):
            Wrong()(np.ones((2, 3)))


class TestOwnSteps:
    def test_a_train_step_with_value_and_gradients(self):
        class Own(Reader):
            def train_step(self, data):
                x, y = data

                def loss():
                    pred = self(x, training=True)
                    return self.compute_loss(y=y, y_pred=pred), pred

                (value, pred), grads = self.value_and_gradients(loss)
                self.optimizer.apply(grads)
                for metric in self.metrics:
                    if metric.name == "loss":
                        metric.update_state(value)
                    else:
                        metric.update_state(y, pred)
                return {metric.name: metric.result() for metric in self.metrics}

        histories = []
        for kind in (Reader, Own):
            keras.utils.set_random_seed(2)
            model = kind()
            model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
            histories.append(
                model.fit(X, Y, batch_size=16, epochs=5, shuffle=False, verbose=0).history
            )
        for name, values in histories[0].items():
            assert histories[1][name] == pytest.approx(values, rel=1e-5)

    def test_regularizers_count_in_compute_loss(self):
        model = keras.Sequential([keras.Input((3,)), Dense(2, kernel_regularizer="l2")])
        model.compile("sgd", loss="mse")
        x, y = np.ones((2, 3), "float32"), np.zeros((2, 2))
        _, grads = model.value_and_gradients(lambda: model.compute_loss(y=y, y_pred=model(x)))
        kernel = model.weights[0]
        data = 2 * (x @ kernel.value).sum(0) / 4
        np.testing.assert_allclose(grads[kernel], data + 0.02 * kernel.value, rtol=1e-5)

    def test_a_metric_of_its_own(self):
        class Own(keras.Sequential):
            def __init__(self, *args):
                super().__init__(*args)
                self.tracker = keras.metrics.Mean(name="mine")

            def test_step(self, data):
                _, y = data
                self.tracker.update_state(np.mean(y))
                return {"mine": self.tracker.result()}

        model = Own([Dense(1)])
        model.compile("sgd", loss="mse")
        for _ in range(2):  # it is reset for each pass
            assert model.evaluate(X[:, 0], Y, batch_size=4, verbose=0, return_dict=True) == {
                "mine": pytest.approx(Y.mean(), rel=1e-5)
            }

    def test_a_loss_of_its_own(self):
        class Own(keras.Sequential):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                return ops.mean(ops.square(y_pred - y)) * 2.0

        model = Own([keras.Input((3,)), Dense(1, kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        history = model.fit(X[:, 0], Y, batch_size=16, epochs=3, verbose=0).history
        assert history["loss"][0] == pytest.approx(2 * np.mean(Y**2), rel=1e-5)
        assert history["loss"][-1] < history["loss"][0]
        assert model.evaluate(X[:, 0], Y, verbose=0) < history["loss"][-1]

    def test_must_give_logs(self):
        class Own(keras.Sequential):
            def train_step(self, data):
                return 1.0

        model = Own([Dense(1)])
        model.compile("sgd", loss="mse")
        with pytest.raises(TypeError, match="must return a dict of logs"):
            model.fit(X[:, 0], Y, verbose=0)
