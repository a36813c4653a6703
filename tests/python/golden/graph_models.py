"""Graphs that are trained for fifty steps, built by the same code with Keras and with ferrnn."""

from __future__ import annotations

from typing import Any


def several_inputs(keras: Any) -> Any:
    """A series and facts about it, two outputs, operators between."""
    layers = keras.layers
    series, facts = keras.Input((6, 3), name="series"), keras.Input((4,), name="facts")
    read = layers.LSTM(5, name="read")(series)
    both = read * layers.Dense(5, activation="sigmoid", name="gate")(facts) + read / 2.0
    up = layers.Dense(1, name="up")(both)
    kind = layers.Dense(3, activation="softmax", name="kind")(both)
    model = keras.Model([series, facts], [up, kind], name="several_inputs")
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"up": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"up": 0.5, "kind": 1.0},
    )
    return model


def encoder_decoder(keras: Any) -> Any:
    """A decoder starts from the final states of an encoder."""
    layers = keras.layers
    source, target = keras.Input((5, 3), name="source"), keras.Input((4, 2), name="target")
    _, h, c = layers.LSTM(4, return_state=True, name="encoder")(source)
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    model = keras.Model(
        [source, target], layers.Dense(3, activation="softmax", name="out")(decoded), name="seq2seq"
    )
    model.compile(keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
    return model


def shared_layers(keras: Any) -> Any:
    """One layer that reads two series, and a nested model that is called twice."""
    layers = keras.layers
    one, two = keras.Input((6, 3), name="one"), keras.Input((6, 3), name="two")
    reader = layers.GRU(4, name="reader")
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="tanh", name="hidden")], name="inner"
    )
    difference = inner(reader(one)) - inner(reader(two))
    model = keras.Model([one, two], layers.Dense(1, name="out")(difference), name="twins")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.8), loss="mse")
    return model


GRAPHS = {
    "several_inputs": several_inputs,
    "encoder_decoder": encoder_decoder,
    "shared_layers": shared_layers,
}
