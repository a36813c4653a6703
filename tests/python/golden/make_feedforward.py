"""Golden cases of the layers that are not recurrent: outputs, masks, gradients, configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src import backend

from feedforward_tables import NORMALIZATION, SCALING, SIMPLE, WINDOWS, Case
from frame_tables import FRAMES
from making import Array, Cases, Random
from merging_tables import ATTENTION, MERGING, MULTI_HEAD

TABLES = (SIMPLE, NORMALIZATION, SCALING, WINDOWS, MERGING, ATTENTION, MULTI_HEAD)


def feedforward_cases(cases: Cases) -> None:
    """Every layer of the tables."""
    for table in TABLES:
        for name, case in table.items():
            _layer(cases, name, case)


def frame_cases(cases: Cases) -> None:
    """The layers for frames, and further convolutions."""
    for name, case in FRAMES.items():
        _layer(cases, name, case)


def _layer(cases: Cases, name: str, case: Case) -> None:
    random = Random(name)
    keras.config.set_floatx(case.dtype)
    layer = getattr(keras.layers, case.layer)(**case.options, dtype=case.dtype)
    inputs = [_input(random, shape, case) for shape in case.shapes]
    _build(layer, case)
    weights = _weights(layer, random, case.dtype)
    masks = [None if kind is None else _mask(random, kind, case) for kind in case.masks]
    arrays: dict[str, Any] = {f"inputs_{i}": array for i, array in enumerate(inputs)}
    arrays |= {f"mask_{i}": mask for i, mask in enumerate(masks) if mask is not None}
    arrays |= {f"weight_{i}": weight for i, weight in enumerate(weights)}
    after, out_mask = _call(layer, case, inputs, masks, [v.value for v in layer.trainable_weights])[
        1:
    ]
    if out_mask is not None:
        arrays["out_mask"] = out_mask
    if case.training:
        arrays |= {f"after_{i}": value for i, value in enumerate(after) if value is not None}
    arrays |= _differentiate(layer, case, inputs, masks, random)
    description = {
        "layer": case.layer,
        "options": case.options,
        "shapes": case.shapes,
        "dtype": case.dtype,
        "training": case.training,
        "call": case.call,
        "spread": case.spread,
        "ids": case.ids,
        "config": _plain(layer.get_config()),
        "default_name": re.sub(r"_\d+$", "", type(layer)(**case.options).name),
        "output_shape": _output_shape(layer, case),
        "paths": [weight.path for weight in layer.weights],
    }
    cases.add(name, description, arrays)


def _input(random: Random, shape: tuple[int, ...], case: Case) -> Array:
    if case.ids:
        return random.rng.integers(0, case.ids, size=shape).astype("int32")
    inputs = random.normal(*shape, dtype=case.dtype)
    if case.masked_value is not None:
        inputs[random.holes(*shape[:2])] = case.masked_value
        inputs[0, 0, 0] = case.masked_value  # one feature alone hides nothing
        inputs[0, 0, 1:] = 1.0
    return inputs


def _mask(random: Random, kind: str, case: Case) -> Array:
    batch, time = case.shapes[0][:2]
    if kind == "full":
        return random.rng.random(case.shapes[0]) < 0.7
    if kind == "second":
        batch, time = case.shapes[1][:2]
    mask = random.right_padded(batch, time)
    mask[-1, 0] = True
    return mask


def _build(layer: Any, case: Case) -> None:
    shapes = list(case.shapes)
    if case.spread:
        layer.build(*shapes)
    else:
        layer.build(shapes[0] if len(shapes) == 1 else shapes)


def _weights(layer: Any, random: Random, dtype: str) -> list[Array]:
    values = []
    for variable in layer.weights:
        value = random.normal(*variable.shape, scale=0.5, dtype=dtype)
        values.append(np.abs(value) + 0.25 if _positive(variable.name) else value)
    layer.set_weights(values)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
    return values


def _positive(name: str) -> bool:
    return "variance" in name or "stddev" in name


def _call(
    layer: Any, case: Case, inputs: list[Any], masks: list[Any], weights: list[Any]
) -> tuple[list[Any], list[Any], Any]:
    """Results, non-trainable variables after the call, and the mask of the first result."""
    arrays = [jnp.asarray(array) + 0 for array in inputs]
    for array, mask in zip(arrays, masks, strict=False):
        if mask is not None:
            backend.set_keras_mask(array, jnp.asarray(mask))
    passed = arrays if case.spread else [arrays[0] if len(arrays) == 1 else arrays]
    options = dict(case.call)
    if case.training:
        options["training"] = True
    # Not `stateless_call`: it calls `layer.call` and skips what `layer()` does about masks.
    mapping = list(zip(layer.trainable_weights, weights, strict=True))
    with backend.StatelessScope(state_mapping=mapping) as scope:
        results = layer(*passed, **options)
    after = [scope.get_current_value(variable) for variable in layer.non_trainable_weights]
    results = list(results) if isinstance(results, list | tuple) else [results]
    return results, after, backend.get_keras_mask(results[0])


def _differentiate(
    layer: Any, case: Case, inputs: list[Array], masks: list[Any], random: Random
) -> dict[str, Array]:
    weights = [variable.value for variable in layer.trainable_weights]
    if case.ids:
        results, pullback = jax.vjp(lambda w: _call(layer, case, inputs, masks, w)[0], weights)
    else:
        results, pullback = jax.vjp(
            lambda x, w: _call(layer, case, x, masks, w)[0], inputs, weights
        )
    directions = [random.normal(*result.shape, dtype=case.dtype) for result in results]
    *d_inputs, d_weights = pullback([jnp.asarray(each) for each in directions])
    arrays: dict[str, Any] = {}
    for key, values in [
        ("result", results),
        ("d_result", directions),
        ("d_inputs", d_inputs[0] if d_inputs else []),
        ("d_weight", d_weights),
    ]:
        arrays |= {f"{key}_{index}": value for index, value in enumerate(values)}
    return arrays


def _output_shape(layer: Any, case: Case) -> Any:
    shapes = [(None, *shape[1:]) for shape in case.shapes]
    if case.spread:
        return layer.compute_output_shape(*shapes)
    return layer.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are numbers, strings and lists of them; of other settings only the
    names."""
    plain = {}
    for key, value in config.items():
        simple = isinstance(value, bool | int | float | str | list | tuple | None)
        plain[key] = value if simple and key not in ("name", "dtype") else "..."
    return plain
