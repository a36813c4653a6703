"""What eager calls give: arrays and floats that have `numpy()`, and are plain where they leave."""

import copy
import json
import pickle

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import ops

X = np.random.default_rng(1).normal(size=(4, 5, 3)).astype("float32")
Y = np.ones((4, 2), "float32")


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.read = keras.layers.LSTM(3)
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(self.read(inputs))


def functional():
    inputs = keras.Input((5, 3))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GRU(3)(inputs)))


@pytest.mark.parametrize("make", [Own, functional, lambda: keras.layers.SimpleRNN(2)])
def test_calls_give_arrays_with_numpy(make):
    outputs = make()(X)
    assert isinstance(outputs, np.ndarray)
    assert type(outputs.numpy()) is np.ndarray
    np.testing.assert_array_equal(outputs.numpy(), outputs)
    assert (outputs - Y).numpy().shape == (4, 2)
    assert repr(outputs) == repr(outputs.numpy())
    for again in (pickle.loads(pickle.dumps(outputs)), copy.deepcopy(outputs)):
        np.testing.assert_array_equal(again, outputs)


def test_several_outputs_and_masked_ones_have_numpy():
    output, (h, c) = keras.layers.RNN([keras.layers.LSTMCell(2)], return_state=True)(X)
    assert output.numpy().shape == h.numpy().shape == c.numpy().shape == (4, 2)
    masked = keras.layers.Embedding(5, 2, mask_zero=True)(np.array([[1, 0]]))
    assert masked.numpy().shape == (1, 2, 2)
    assert masked._keras_mask.tolist() == [[True, False]]


@pytest.mark.parametrize("make", [Own, functional])
def test_what_leaves_a_model_is_plain(make):
    model = make()
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert {type(value) for values in history.values() for value in values} == {float}
    for predicted in (model.predict(X, verbose=0), model.predict_on_batch(X)):
        assert type(predicted) is np.ndarray
    for value in (*model.train_on_batch(X, Y), *model.evaluate(X, Y, verbose=0)):
        assert type(value) is float
    assert json.loads(json.dumps(model.get_metrics_result())).keys() == {"loss", "mae"}


@pytest.mark.parametrize(
    "loss", [keras.losses.MeanSquaredError(), keras.losses.MeanSquaredError(reduction="none")]
)
def test_losses_have_numpy(loss):
    value = loss(Y, 3 * Y)
    np.testing.assert_array_equal(value.numpy(), 4.0)
    assert (value / 2).numpy().shape == value.shape
    values = keras.losses.mean_squared_error(Y, 3 * Y)
    assert values.numpy().tolist() == [4.0] * 4


def test_a_single_value_acts_as_a_number():
    model = functional()
    loss, grads = model.value_and_gradients(lambda: ops.mean(ops.square(model(X) - Y)))
    assert loss.numpy().dtype == np.float32
    assert f"{loss:.4f}" == f"{float(loss):.4f}"
    assert round(loss, 2) == round(float(loss), 2)
    assert loss * 2 > loss
    assert len(grads) == 5


class LastSeen(keras.metrics.Metric):
    def __init__(self, shape=()):
        super().__init__(name="last")
        self.last = self.add_variable(shape, "zeros")

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.last.assign(y_true)

    def result(self):
        return self.last / 2


@pytest.mark.parametrize("metric", [keras.metrics.Mean(), keras.metrics.Sum(), LastSeen()])
def test_results_of_metrics_act_as_numbers(metric):
    result = metric(3.0)
    expected = 1.5 if isinstance(metric, LastSeen) else 3.0
    assert float(result) == result.numpy() == np.asarray(result) == result.item() == expected
    assert f"{result:.4f}" == f"{expected:.4f}"
    assert result + 1 == expected + 1
    assert 0 < result < 4
    assert result.shape == ()


def test_results_of_metrics_that_are_arrays_have_numpy():
    metric = LastSeen((2,))
    assert metric(np.array([2.0, 4.0])).numpy().tolist() == [1.0, 2.0]
    precision = keras.metrics.Precision(thresholds=[0.2, 0.6])
    precision.update_state([1, 0], [0.7, 0.4])
    assert precision.result().numpy().tolist() == [0.5, 1.0]


def test_metrics_of_compile_are_there_before_the_first_batch():
    model = functional()
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.metrics_names == ["loss", "compile_metrics"]
    compiled = model.metrics[1]
    compiled.update_state(Y, 3 * Y)
    assert compiled.result() == {"mae": 2.0}
    assert [metric.name for metric in compiled.metrics] == ["mae"]
    assert model.metrics_names == ["loss", "compile_metrics"]
