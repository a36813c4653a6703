"""Golden cases of layers around layers, and of ConvLSTM1D: results and every gradient, by Keras."""

from __future__ import annotations

import json
from typing import Any

import jax.numpy as jnp
import keras
from keras import tree

from make_layers import _differentiate, _weights
from making import Array, Cases, Random
from specs import build

EVERY = {"return_sequences": True}
STATES = {"return_state": True}
MODES = ["concat", "sum", "mul", "ave", None]
SHAPE = (4, 5, 3)
WRAPPERS: dict[str, dict[str, Any]] = {}


def _case(name: str, layer: Any, **options: Any) -> None:
    WRAPPERS[name] = {"layer": layer, "shape": SHAPE, "mask": "", "states": False} | options


for mode in MODES:
    merged = {"merge_mode": mode}
    lstm, gru = ["LSTM", [4], EVERY | STATES], ["GRU", [5], {}]
    _case(f"bidirectional_{mode}_lstm", ["Bidirectional", [lstm], merged])
    _case(f"bidirectional_{mode}_gru_last", ["Bidirectional", [gru], merged], mask="padded")
    lstm = ["LSTM", [4], EVERY | STATES]
    _case(
        f"bidirectional_{mode}_lstm_states",
        ["Bidirectional", [lstm], merged],
        mask="holes",
        states=True,
    )
_case("bidirectional_simple", ["Bidirectional", [["SimpleRNN", [3], EVERY]], {}], mask="padded")
_case(
    "bidirectional_gru_states",
    ["Bidirectional", [["GRU", [3], STATES | {"reset_after": False}]], {"merge_mode": "sum"}],
    states=True,
)
_case(
    "bidirectional_own_backward",
    [
        "Bidirectional",
        [["LSTM", [4], EVERY]],
        {"backward_layer": ["GRU", [4], EVERY | {"go_backwards": True, "activation": "relu"}]},
    ],
    mask="holes",
)
_case(
    "bidirectional_stack",
    ["Bidirectional", [["RNN", [[["GRUCell", [4], {}], ["LSTMCell", [3], {}]]], EVERY]], {}],
    mask="padded",
)
_case("time_distributed_dense", ["TimeDistributed", [["Dense", [4], {"activation": "tanh"}]], {}])
_case(
    "time_distributed_lstm",
    ["TimeDistributed", [["LSTM", [3], {}]], {}],
    shape=(2, 3, 4, 2),
)
_case(
    "time_distributed_normalized",
    ["TimeDistributed", [["LayerNormalization", [], {}]], {}],
    mask="padded",
)
_case(
    "time_distributed_bidirectional",
    ["TimeDistributed", [["Bidirectional", [["GRU", [3], EVERY]], {"merge_mode": "sum"}]], {}],
    shape=(2, 3, 4, 2),
)
_case(
    "time_distributed_conv", ["TimeDistributed", [["Conv1D", [3, 2], {}]], {}], shape=(2, 3, 4, 2)
)
PLACES = {"shape": (3, 4, 7, 2)}
_case("conv_lstm", ["ConvLSTM1D", [3, 2], EVERY | STATES], **PLACES)
_case("conv_lstm_last", ["ConvLSTM1D", [2, 3], {"padding": "same"}], **PLACES)
_case(
    "conv_lstm_strides",
    ["ConvLSTM1D", [2, 3], STATES | {"strides": 2, "activation": "softsign"}],
    **PLACES,
    states=True,
)
_case(
    "conv_lstm_strides_same",
    ["ConvLSTM1D", [2, 2], EVERY | {"strides": 3, "padding": "same", "use_bias": False}],
    **PLACES,
)
_case(
    "conv_lstm_dilated",
    ["ConvLSTM1D", [2, 3], EVERY | {"dilation_rate": 2, "go_backwards": True}],
    **PLACES,
)


def wrapper_cases(cases: Cases) -> None:
    """Each layer in float64, with and without masks and initial states."""
    for name, about in WRAPPERS.items():
        _wrapper(cases, name, about)


def _wrapper(cases: Cases, name: str, about: dict[str, Any]) -> None:
    random = Random(name)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    layer = build(keras.layers, about["layer"])
    inputs = random.normal(*about["shape"])
    layer.build(inputs.shape)
    arrays: dict[str, Array] = {"inputs": inputs}
    weights = _weights(layer, random, "float64")
    if about["mask"]:
        maker = random.right_padded if about["mask"] == "padded" else random.holes
        arrays["mask"] = maker(*about["shape"][:2])
    states = []
    if about["states"]:
        shapes = layer.compute_output_shape(inputs.shape)
        count = 2 if getattr(layer, "merge_mode", "") is None else 1
        states = [random.normal(*shape, scale=0.7) for shape in shapes[count:]]

    def call(inputs: Any, weights: Any, states: Any) -> Any:
        passed = {"mask": jnp.asarray(arrays["mask"])} if "mask" in arrays else {}
        if states:
            passed["initial_state"] = list(states)
        frozen = [v.value for v in layer.non_trainable_variables]
        results, _ = layer.stateless_call(weights, frozen, inputs, **passed)
        return tree.flatten(results)

    arrays |= _differentiate(call, inputs, weights, states, random, "float64")
    description = about | {
        "paths": [weight.path for weight in layer.weights],
        "config": json.loads(json.dumps(layer.get_config())),
        "output_shape": layer.compute_output_shape((None, *inputs.shape[1:])),
    }
    cases.add(name, description, arrays)
