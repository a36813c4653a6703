"""Golden cases of optimizers and schedules, by Keras on JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import keras
import numpy as np

from making import Array, Cases, Random

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd_momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "sgd_clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}),
    "sgd_clipvalue": ("SGD", {"learning_rate": 0.1, "momentum": 0.5, "clipvalue": 0.5}),
    "sgd_decay": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05}),
    "sgd_scaled": ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 8.0, "clipnorm": 0.5}),
    "sgd_gathered": (
        "SGD", {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": 3},
    ),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.9}),
    "rmsprop_centered": ("RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-3}),
    "rmsprop_ema": (
        "RMSprop", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.8},
    ),
    "adam": ("Adam", {}),
    "adam_amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "adam_betas": ("Adam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    "adam_global_clipnorm": ("Adam", {"learning_rate": 0.01, "global_clipnorm": 0.7}),
    "adam_decay": ("Adam", {"learning_rate": 0.01, "weight_decay": 0.1}),
    "adam_overwritten": (
        "Adam",
        {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 4},
    ),
    "adam_gathered": (
        "Adam",
        {
            "learning_rate": 0.01, "gradient_accumulation_steps": 3, "weight_decay": 0.05,
            "global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.9,
        },
    ),
    "adamw": ("AdamW", {"learning_rate": 0.01}),
    "adamw_spared": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.2, "amsgrad": True}),
    "nadam": ("Nadam", {}),
    "nadam_betas": (
        "Nadam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    ),
    "nadam_gathered": ("Nadam", {"learning_rate": 0.01, "gradient_accumulation_steps": 3}),
    "adamax": ("Adamax", {"learning_rate": 0.01}),
    "adamax_betas": (
        "Adamax", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 1e-2},
    ),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adagrad_start": (
        "Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-2},
    ),
    "adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "adadelta_rho": ("Adadelta", {"learning_rate": 0.5, "rho": 0.7, "epsilon": 1e-3}),
    "ftrl": ("Ftrl", {"learning_rate": 0.05}),
    "ftrl_all": (
        "Ftrl",
        {
            "learning_rate": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03, "beta": 0.1,
        },
    ),
    "lion": ("Lion", {"learning_rate": 0.01}),
    "lion_decay": ("Lion", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.8,
                            "weight_decay": 0.1}),
    "adafactor": ("Adafactor", {"learning_rate": 0.05}),
    "adafactor_all": (
        "Adafactor",
        {
            "learning_rate": 0.7, "beta_2_decay": -0.5, "epsilon_1": 1e-3, "epsilon_2": 2.0,
            "clip_threshold": 0.6, "weight_decay": 0.05, "relative_step": False,
        },
    ),
    "adafactor_gathered": (
        "Adafactor",
        {
            "learning_rate": 0.05, "gradient_accumulation_steps": 3, "use_ema": True,
            "clipnorm": 0.5,
        },
    ),
    "lamb": ("Lamb", {"learning_rate": 0.05}),
    "lamb_betas": (
        "Lamb",
        {
            "learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 1e-2,
            "weight_decay": 0.1,
        },
    ),
    "muon": ("Muon", {"learning_rate": 0.05}),
    "muon_all": (
        "Muon",
        {
            "learning_rate": 0.1, "adam_beta_1": 0.7, "adam_beta_2": 0.8, "epsilon": 1e-2,
            "adam_weight_decay": 0.2, "weight_decay": None, "muon_a": 3.0, "muon_b": -4.0,
            "muon_c": 2.0, "adam_lr_ratio": 0.5, "momentum": 0.6, "ns_steps": 3,
            "nesterov": False, "rms_rate": None,
        },
    ),
    "muon_excluded": ("Muon", {"learning_rate": 0.05, "exclude_layers": ["v[01]"]}),
    "schedule_free": ("ScheduleFreeAdamW", {"learning_rate": 0.05}),
    "schedule_free_all": (
        "ScheduleFreeAdamW",
        {
            "learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 1e-2,
            "warmup_steps": 7, "weight_decay": 0.1,
        },
    ),
    "adam_scheduled": ("Adam", {"learning_rate": ("CosineDecay", {
        "initial_learning_rate": 0.01, "decay_steps": 12, "alpha": 0.1, "warmup_target": 0.03,
        "warmup_steps": 5})}),
    "sgd_scheduled": ("SGD", {"gradient_accumulation_steps": 3, "learning_rate": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True})}),
}  # fmt: skip
SHAPES = [(3, 4), (5,), (2, 3, 2)]
STEPS = 20


def optimizer_cases(cases: Cases) -> None:
    """Three variables after 1, 2 and 20 steps on given gradients, in both dtypes."""
    for name, (kind, options) in OPTIMIZERS.items():
        for dtype in ("float64", "float32"):
            _optimizer(cases, f"{name}-{dtype}", kind, options, dtype)


def _optimizer(cases: Cases, name: str, kind: str, options: dict[str, Any], dtype: str) -> None:
    random = Random(name)
    keras.config.set_floatx(dtype)
    values = [random.normal(*shape, dtype=dtype) for shape in SHAPES]
    variables = [keras.Variable(v, dtype=dtype, name=f"v{i}") for i, v in enumerate(values)]
    made = dict(options)
    if isinstance(made.get("learning_rate"), tuple):
        schedule, arguments = made["learning_rate"]
        made["learning_rate"] = getattr(keras.optimizers.schedules, schedule)(**arguments)
    optimizer = getattr(keras.optimizers, kind)(**made)
    if "spared" in name:
        optimizer.exclude_from_weight_decay(var_names=["v1"])
    optimizer.build(variables)
    arrays: dict[str, Array] = {f"value_{i}": v for i, v in enumerate(values)}
    steps = [[random.normal(*s, scale=0.8, dtype=dtype) for s in SHAPES] for _ in range(STEPS)]
    for i in range(len(SHAPES)):
        arrays[f"gradients_{i}"] = np.stack([step[i] for step in steps])
    for step, gradients in enumerate(steps, start=1):
        optimizer.apply([jnp.asarray(g) for g in gradients], variables)
        if step in (1, 2, STEPS):
            arrays |= {f"after_{step}_{i}": np.array(v.value) for i, v in enumerate(variables)}
    arrays |= {f"state_{i}": np.array(v.value) for i, v in enumerate(optimizer.variables)}
    if optimizer.use_ema:
        optimizer.finalize_variable_values(variables)
        arrays |= {f"final_{i}": np.array(v.value) for i, v in enumerate(variables)}
    description = {
        "optimizer": kind,
        "options": options,
        "dtype": dtype,
        "names": [v.path.rpartition("/")[2] for v in optimizer.variables],
        "config": keras.optimizers.serialize(optimizer),
    }
    cases.add(name, description, arrays)


SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "exponential": ("ExponentialDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    "exponential_stairs": ("ExponentialDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
    "inverse": ("InverseTimeDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.4}),
    "inverse_stairs": ("InverseTimeDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.4, "staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", {
        "boundaries": [3, 10, 11], "values": [0.5, 0.25, 0.125, 0.1]}),
    "polynomial": ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 12}),
    "polynomial_square": ("PolynomialDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 12, "end_learning_rate": 0.01, "power": 2.0}),
    "polynomial_cycle": ("PolynomialDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 8, "end_learning_rate": 0.01, "power": 0.5,
        "cycle": True}),
    "cosine": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    "cosine_alpha": ("CosineDecay", {
        "initial_learning_rate": 0.1, "decay_steps": 9, "alpha": 0.2}),
    "cosine_warmup": ("CosineDecay", {
        "initial_learning_rate": 0.01, "decay_steps": 13, "alpha": 0.1, "warmup_target": 0.2,
        "warmup_steps": 6}),
    "restarts": ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    "restarts_equal": ("CosineDecayRestarts", {
        "initial_learning_rate": 0.1, "first_decay_steps": 6, "t_mul": 1.0, "m_mul": 0.8}),
    "restarts_all": ("CosineDecayRestarts", {
        "initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.5, "m_mul": 0.7,
        "alpha": 0.1}),
}  # fmt: skip


def schedule_cases(cases: Cases) -> None:
    """The rates of 40 steps, one by one, in float64."""
    keras.config.set_floatx("float64")
    for name, (kind, options) in SCHEDULES.items():
        schedule = getattr(keras.optimizers.schedules, kind)(**options)
        rates = np.array([float(schedule(step)) for step in range(40)])
        config = keras.optimizers.schedules.serialize(schedule)
        about = {"schedule": kind, "options": options, "config": config}
        cases.add(name, about, {"rates": rates})
