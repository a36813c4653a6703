"""Golden cases of layers: outputs, final states and every gradient, by Keras on JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from making import Array, Cases, Random

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru_before": ("GRU", {"reset_after": False}),
    "simple_rnn": ("SimpleRNN", {}),
}
ACTIVATIONS = [
    "tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign", "softplus", "elu", "selu",
    "silu", "gelu", "exponential",
]  # fmt: skip
BOUNDED = {"tanh", "sigmoid", "hard_sigmoid", "softsign"}
# name: (batch, time, features, units), layer options, mask kind, initial state?, dtype
SEQUENCES = {"return_sequences": True}
CASES: dict[str, tuple[tuple[int, int, int, int], dict[str, Any], str, bool, str]] = {
    "plain": ((3, 4, 5, 7), SEQUENCES, "", False, "float64"),
    "one": ((1, 1, 1, 1), SEQUENCES, "", True, "float64"),
    "last": ((5, 3, 2, 3), {}, "", True, "float64"),
    "lanes": ((2, 3, 3, 16), SEQUENCES, "", True, "float64"),
    "tail": ((2, 2, 6, 17), SEQUENCES, "", True, "float64"),
    "wide": ((1, 3, 11, 21), {}, "", True, "float64"),
    "backwards": ((2, 4, 3, 5), SEQUENCES | {"go_backwards": True}, "", True, "float64"),
    "backwards_last": ((2, 4, 3, 5), {"go_backwards": True}, "", True, "float64"),
    "no_bias": ((3, 3, 4, 6), SEQUENCES | {"use_bias": False}, "", True, "float64"),
    "padded": ((4, 5, 3, 5), SEQUENCES, "padded", True, "float64"),
    "padded_last": ((4, 5, 3, 5), {}, "padded", False, "float64"),
    "padded_backwards": (
        (4, 5, 3, 5), SEQUENCES | {"go_backwards": True}, "padded", True, "float64",
    ),
    "holes": ((5, 6, 3, 4), SEQUENCES, "holes", True, "float64"),
    "holes_last": ((5, 6, 3, 4), {}, "holes", True, "float64"),
    "holes_zeroed": (
        (5, 6, 3, 4), SEQUENCES | {"zero_output_for_mask": True}, "holes", True, "float64",
    ),
    "holes_zeroed_last": ((5, 6, 3, 4), {"zero_output_for_mask": True}, "holes", True, "float64"),
    "holes_backwards_zeroed": (
        (5, 6, 3, 4), SEQUENCES | {"zero_output_for_mask": True, "go_backwards": True}, "holes",
        True, "float64",
    ),
    "single": ((3, 9, 5, 19), SEQUENCES, "holes", True, "float32"),
    "single_last": ((2, 7, 19, 9), {"go_backwards": True}, "", True, "float32"),
}  # fmt: skip


def recurrent_cases(cases: Cases) -> None:
    """LSTM, GRU (both kinds) and SimpleRNN: options, masks, sizes; then every activation."""
    for kind, (layer, fixed) in KINDS.items():
        for name, (sizes, options, mask, stateful, dtype) in CASES.items():
            _recurrent(
                cases, f"{kind}-{name}", layer, fixed | options, sizes, mask, stateful, dtype
            )
        for activation in ACTIVATIONS:
            options = fixed | {"activation": activation, "return_sequences": True}
            _recurrent(cases, f"{kind}-a-{activation}", layer, options, (2, 3, 3, 5), "", True)
            if layer != "SimpleRNN" and activation != "sigmoid":
                options = fixed | {"recurrent_activation": activation, "return_sequences": True}
                _recurrent(cases, f"{kind}-r-{activation}", layer, options, (2, 3, 3, 5), "", True)
        _stateful(cases, f"{kind}-stateful", layer, fixed)


def _weights(layer: Any, random: Random, dtype: str, gain: float = 1.0) -> list[Array]:
    """Random weights of moderate size, the bias among them, set on the built layer."""
    values = []
    for variable in layer.weights:
        scale = 0.5 if "bias" in variable.name else 0.8 / float(variable.shape[0]) ** 0.5
        values.append(random.normal(*variable.shape, scale=gain * scale, dtype=dtype))
    layer.set_weights(values)
    return values


def _recurrent(
    cases: Cases,
    name: str,
    kind: str,
    options: dict[str, Any],
    sizes: tuple[int, int, int, int],
    mask_kind: str,
    with_state: bool,
    dtype: str = "float64",
) -> None:
    batch, time, features, units = sizes
    random = Random(name)
    keras.config.set_floatx(dtype)  # some activations make constants of this type
    layer = getattr(keras.layers, kind)(units, return_state=True, dtype=dtype, **options)
    inputs = random.normal(batch, time, features, dtype=dtype)
    layer.build(inputs.shape)
    arrays: dict[str, Array] = {"inputs": inputs}
    unbounded = options.get("recurrent_activation", "sigmoid") not in BOUNDED
    weights = _weights(layer, random, dtype, 0.25 if unbounded else 1.0)
    states = [random.normal(batch, units, scale=0.7, dtype=dtype) for _ in layer.state_size]
    mask = {"": None, "padded": random.right_padded, "holes": random.holes}[mask_kind]
    if mask is not None:
        arrays["mask"] = mask(batch, time)

    def call(inputs: Any, weights: Any, states: Any) -> Any:
        passed = {"mask": jnp.asarray(arrays["mask"])} if "mask" in arrays else {}
        results, _ = layer.stateless_call(
            weights,
            [v.value for v in layer.non_trainable_variables],
            inputs,
            initial_state=list(states) if with_state else None,
            **passed,
        )
        return list(results)

    arrays |= _differentiate(call, inputs, weights, states if with_state else [], random, dtype)
    description = {"layer": kind, "units": units, "options": options, "dtype": dtype}
    cases.add(name, description, arrays)


def _differentiate(
    call: Callable[..., Any],
    inputs: Array,
    weights: list[Array],
    states: list[Array],
    random: Random,
    dtype: str,
) -> dict[str, Array]:
    """Results of `call`, and the gradients of `sum(direction * result)`."""
    results, pullback = jax.vjp(
        call,
        jnp.asarray(inputs),
        [jnp.asarray(w) for w in weights],
        [jnp.asarray(s) for s in states],
    )
    directions = [random.normal(*r.shape, dtype=dtype) for r in results]
    d_inputs, d_weights, d_states = pullback([jnp.asarray(d) for d in directions])
    arrays: dict[str, Any] = {"d_inputs": d_inputs}
    for key, values in [
        ("result", results),
        ("d_result", directions),
        ("weight", weights),
        ("d_weight", d_weights),
        ("state", states),
        ("d_state", d_states),
    ]:
        arrays |= {f"{key}_{index}": value for index, value in enumerate(values)}
    return arrays


def _stateful(cases: Cases, name: str, kind: str, options: dict[str, Any]) -> None:
    """Two calls in a row of a stateful layer, then one after `reset_state`."""
    random = Random(name)
    keras.config.set_floatx("float64")
    options = options | {"stateful": True, "return_sequences": True}
    layer = getattr(keras.layers, kind)(4, dtype="float64", return_state=True, **options)
    calls = [random.normal(3, time, 2) for time in (3, 2, 4)]
    layer.build(calls[0].shape)
    arrays = {f"weight_{i}": w for i, w in enumerate(_weights(layer, random, "float64"))}
    for index, inputs in enumerate(calls):
        if index == 2:
            layer.reset_state()
        arrays[f"inputs_{index}"] = inputs
        for at, result in enumerate(layer(inputs)):
            arrays[f"result_{index}_{at}"] = result
    cases.add(name, {"layer": kind, "units": 4, "options": options, "dtype": "float64"}, arrays)


STACKS: dict[str, tuple[list[tuple[str, int, dict[str, Any]]], dict[str, Any], str]] = {
    "lstm_lstm": ([("LSTMCell", 4, {}), ("LSTMCell", 7, {})], SEQUENCES, ""),
    "gru_gru_last": (
        [("GRUCell", 5, {"reset_after": False}), ("GRUCell", 3, {"reset_after": True})], {}, "",
    ),
    "simple_lstm_gru": (
        [("SimpleRNNCell", 6, {"activation": "relu"}), ("LSTMCell", 3, {"use_bias": False}),
         ("GRUCell", 5, {"recurrent_activation": "hard_sigmoid"})], SEQUENCES, "",
    ),
    "lstm_gru_backwards": (
        [("LSTMCell", 4, {}), ("GRUCell", 6, {})], SEQUENCES | {"go_backwards": True}, "padded",
    ),
    "gru_lstm_holes": ([("GRUCell", 4, {}), ("LSTMCell", 3, {})], SEQUENCES, "holes"),
    "lstm_simple_zeroed": (
        [("LSTMCell", 3, {}), ("SimpleRNNCell", 5, {})],
        SEQUENCES | {"zero_output_for_mask": True}, "holes",
    ),
    "lstm_lstm_zeroed_last": (
        [("LSTMCell", 3, {}), ("LSTMCell", 5, {})], {"zero_output_for_mask": True}, "holes",
    ),
}  # fmt: skip


def stacked_cases(cases: Cases) -> None:
    """`RNN(StackedRNNCells(...))` with nested initial and final states."""
    for name, (cells, options, mask) in STACKS.items():
        _stacked(cases, name, cells, options, mask)


def _stacked(
    cases: Cases,
    name: str,
    cells: list[tuple[str, int, dict[str, Any]]],
    options: dict[str, Any],
    mask_kind: str,
) -> None:
    random = Random(name)
    keras.config.set_floatx("float64")
    made = [getattr(keras.layers, c)(u, dtype="float64", **o) for c, u, o in cells]
    stack = keras.layers.StackedRNNCells(made, dtype="float64")
    layer = keras.layers.RNN(stack, return_state=True, dtype="float64", **options)
    batch, time, features = 4, 5, 3
    inputs = random.normal(batch, time, features)
    layer.build(inputs.shape)
    weights = _weights(layer, random, "float64")
    counts = [2 if c == "LSTMCell" else 1 for c, _, _ in cells]
    units = [u for _, u, _ in cells]
    states = [
        random.normal(batch, u, scale=0.7)
        for u, n in zip(units, counts, strict=True)
        for _ in range(n)
    ]
    arrays: dict[str, Array] = {"inputs": inputs}
    if mask_kind:
        maker = random.right_padded if mask_kind == "padded" else random.holes
        arrays["mask"] = maker(batch, time)

    def call(inputs: Any, weights: Any, states: Any) -> Any:
        flat = iter(states)
        nested = [[next(flat) for _ in range(n)] for n in counts]
        passed = {"mask": jnp.asarray(arrays["mask"])} if "mask" in arrays else {}
        frozen = [v.value for v in layer.non_trainable_variables]
        results, _ = layer.stateless_call(weights, frozen, inputs, initial_state=nested, **passed)
        return [results[0], *(state for states in results[1:] for state in states)]

    arrays |= _differentiate(call, inputs, weights, states, random, "float64")
    description = {"cells": cells, "counts": counts, "options": options, "dtype": "float64"}
    cases.add(name, description, arrays)


def dense_cases(cases: Cases) -> None:
    """Dense with every activation, with and without bias, on inputs of rank 2 and 3."""
    for activation in [*ACTIVATIONS, "softmax", "leaky_relu"]:
        _dense(cases, activation, (3, 5), 4, {"activation": activation})
    _dense(cases, "no_bias", (7, 3), 17, {"use_bias": False})
    _dense(cases, "rank_3", (2, 4, 5), 19, {"activation": "tanh"})
    _dense(cases, "one", (1, 1), 1, {"activation": "sigmoid"})
    _dense(cases, "single", (5, 33), 9, {"activation": "tanh"}, "float32")


def _dense(
    cases: Cases,
    name: str,
    shape: tuple[int, ...],
    units: int,
    options: dict[str, Any],
    dtype: str = "float64",
) -> None:
    random = Random(f"dense-{name}")
    keras.config.set_floatx(dtype)
    layer = keras.layers.Dense(units, dtype=dtype, **options)
    inputs = random.normal(*shape, dtype=dtype)
    layer.build(inputs.shape)
    weights = _weights(layer, random, dtype)

    def call(inputs: Any, weights: Any, states: Any) -> Any:
        return [layer.stateless_call(weights, [], inputs)[0]]

    arrays = {"inputs": inputs} | _differentiate(call, inputs, weights, [], random, dtype)
    description = {"layer": "Dense", "units": units, "options": options, "dtype": dtype}
    cases.add(name, description, arrays)
