"""Golden cases of regularizers and constraints, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from making import Array, Cases, Random

REGULARIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "l1": ("L1", {"l1": 0.375}),
    "l2": ("L2", {"l2": 0.2}),
    "l1_l2": ("L1L2", {"l1": 0.1, "l2": 0.7}),
    "rows": ("OrthogonalRegularizer", {"factor": 0.375, "mode": "rows"}),
    "columns": ("OrthogonalRegularizer", {"factor": 0.375, "mode": "columns"}),
}
CONSTRAINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "max_norm": ("MaxNorm", {"max_value": 1.5}),
    "max_norm_rows": ("MaxNorm", {"max_value": 1.5, "axis": 1}),
    "max_norm_both": ("MaxNorm", {"max_value": 2.0, "axis": [0, 1]}),
    "non_neg": ("NonNeg", {}),
    "unit_norm": ("UnitNorm", {}),
    "unit_norm_rows": ("UnitNorm", {"axis": 1}),
    "min_max_norm": ("MinMaxNorm", {"min_value": 1.0, "max_value": 1.5}),
    "min_max_norm_rate": (
        "MinMaxNorm", {"min_value": 1.0, "max_value": 1.5, "rate": 0.25, "axis": 1},
    ),
}  # fmt: skip


def regularizer_cases(cases: Cases) -> None:
    """Each penalty on a matrix, and its gradient."""
    for name, (kind, options) in REGULARIZERS.items():
        keras.config.set_floatx("float64")
        regularizer = getattr(keras.regularizers, kind)(**options)
        x = Random(name).normal(4, 6)
        value, d_x = jax.value_and_grad(regularizer)(jnp.asarray(x))
        config = keras.regularizers.serialize(regularizer)
        arrays: dict[str, Array] = {"x": x, "value": np.asarray(value), "d_x": np.asarray(d_x)}
        cases.add(name, {"config": config}, arrays)


def constraint_cases(cases: Cases) -> None:
    """Each projection of a matrix with long and short rows and columns."""
    for name, (kind, options) in CONSTRAINTS.items():
        keras.config.set_floatx("float64")
        constraint = getattr(keras.constraints, kind)(**options)
        random = Random(name)
        w = random.normal(4, 6) * np.array([2.0, 1.0, 0.5, 0.25, 0.125, 1.0])
        w *= np.array([[1.5], [1.0], [0.25], [0.125]])
        config = keras.constraints.serialize(constraint)
        cases.add(name, {"config": config}, {"w": w, "projected": np.asarray(constraint(w))})
