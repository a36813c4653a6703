"""`add_weight` and `add_variable` take what Keras takes, in its order."""

import inspect

import numpy as np
import pytest

import ferrnn as keras


class Plain(keras.Layer):
    def call(self, inputs):
        return inputs


ORDER = [
    "self", "shape", "initializer", "dtype", "trainable", "autocast", "regularizer", "constraint",
    "aggregation", "overwrite_with_gradient", "name",
]  # fmt: skip


@pytest.mark.parametrize("kind", [keras.Layer, keras.layers.LSTMCell, keras.Model])
def test_the_order_is_that_of_keras(kind):
    assert list(inspect.signature(kind.add_weight).parameters) == ORDER
    assert list(inspect.signature(keras.metrics.Metric.add_weight).parameters) == [
        "self", "shape", "initializer", "dtype", "name",
    ]  # fmt: skip
    assert list(inspect.signature(keras.metrics.Metric.add_variable).parameters) == [
        "self", "shape", "initializer", "dtype", "aggregation", "name",
    ]  # fmt: skip


def test_arguments_by_position():
    layer = Plain(name="plain", dtype="float64")
    named = {"trainable": False, "regularizer": "l2", "constraint": "non_neg", "name": "scale"}
    weight = layer.add_weight((2,), "ones", "float32", **named)
    assert (weight.path, weight.shape, weight.dtype) == ("plain/scale", (2,), np.float32)
    assert not weight.trainable
    assert isinstance(weight.regularizer, keras.regularizers.L2)
    assert isinstance(weight.constraint, keras.constraints.NonNeg)
    with pytest.raises(TypeError, match=r"at most 3 positional arguments .* received 4"):
        layer.add_weight((2,), "ones", "float32", False)


def test_a_weight_needs_no_argument():
    keras.utils.clear_session()
    layer = Plain()
    first, second = layer.add_weight(), layer.add_weight(shape=[2, 3])
    assert (first.shape, first.dtype) == ((), np.float32)
    assert (second.shape, second.path) == ((2, 3), "plain/variable_1")
    assert layer.weights == [first, second]


@pytest.mark.parametrize("dtype", ["int", "int64", "bool", np.int32])
def test_weights_that_are_no_floats_start_at_zero(dtype):
    layer = Plain()
    steps = layer.add_weight((3,), dtype=dtype, trainable=False)
    assert not steps.numpy().any()
    ones = layer.add_weight((3,), "ones", dtype)
    own = layer.add_weight((3,), lambda shape, dtype: np.full(shape, 1, dtype), dtype)
    assert ones.dtype == own.dtype == steps.dtype
    assert ones.numpy().tolist() == own.numpy().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plain().add_weight("scale", shape=(2,)),
        lambda: keras.metrics.Mean().add_weight("scale", "zeros"),
        lambda: keras.metrics.Mean().add_variable("scale", shape=(2,)),
    ],
    ids=["layer", "metric", "variable"],
)
def test_a_name_in_front_is_refused(make):
    with pytest.raises(ValueError, match=r"`name` must be passed.*shape=..., name='scale'"):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": 3}, "Cannot convert '3' to a shape"),
        ({"dtype": "float16"}, "`dtype` of a weight.*'float16'"),
        ({"dtype": "scale"}, "`dtype` of a weight.*'scale'"),
        ({"overwrite_with_gradient": True}, "`overwrite_with_gradient`.*received True"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        Plain().add_weight(**arguments)
