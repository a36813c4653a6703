"""Recurrent networks on the CPU: layers with Keras' names on an engine in Rust."""

from typing import TYPE_CHECKING

from ferrnn import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    saving,
    testing,
    tree,
    utils,
)
from ferrnn._version import __version__
from ferrnn.core.constraints import Constraint
from ferrnn.core.initializers import Initializer
from ferrnn.core.input_spec import InputSpec
from ferrnn.core.layer import Call, Layer
from ferrnn.core.machine import show_config
from ferrnn.core.missing import not_yet
from ferrnn.core.native import clear_buffers, num_threads, set_num_threads, simd_level
from ferrnn.core.parameter import Gradients, Parameter
from ferrnn.core.regularizers import Regularizer
from ferrnn.core.variable import Variable
from ferrnn.layers.input import Input, InputLayer
from ferrnn.models.model import Model
from ferrnn.models.sequential import Sequential
from ferrnn.training.loss import Loss
from ferrnn.training.metrics import Metric
from ferrnn.training.optimizers import Optimizer

__all__ = [
    "Call",
    "Constraint",
    "Gradients",
    "Initializer",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Parameter",
    "Regularizer",
    "Sequential",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "clear_buffers",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "num_threads",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "set_num_threads",
    "show_config",
    "simd_level",
    "testing",
    "tree",
    "utils",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
