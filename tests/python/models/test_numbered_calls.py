"""Keras counts the making of a nested graph among its calls where outputs are listed."""

import numpy as np

import ferrnn
from ferrnn import layers


def model():
    own = ferrnn.Input((3,))
    inner = ferrnn.Model(own, layers.Dense(3, "tanh")(own), name="inner")
    x = ferrnn.Input((3,), name="x")
    once = inner(x)
    return ferrnn.Model(x, [once, inner(once)])


def test_outputs_of_a_nested_graph_are_counted_as_in_keras():
    # What Keras 3.15 gives for the same model.
    config = model().get_config()
    assert config["output_layers"] == [["inner", 1, 0], ["inner", 2, 0]]
    nodes = config["layers"][-1]["inbound_nodes"]
    places = [node["args"][0]["config"]["keras_history"] for node in nodes]
    assert places == [["x", 0, 0], ["inner", 0, 0]]


def test_they_come_back_in_their_order():
    first = model()
    again = ferrnn.Model.from_config(first.get_config())
    again.set_weights(first.get_weights())
    x = np.random.default_rng(1).normal(size=(2, 3))
    for found, expected in zip(again(x), first(x), strict=True):
        np.testing.assert_array_equal(found, expected)
