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
from ferrnn._src.faces import not_yet
from ferrnn._src.layer.input_spec import InputSpec
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layers.input import Input, InputLayer
from ferrnn._src.machine import show_config
from ferrnn._src.models.model import Model
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.native import clear_buffers, num_threads, set_num_threads, simd_level
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.metrics import Metric
from ferrnn._src.training.optimizers import Optimizer
from ferrnn._src.weights.constraints import Constraint
from ferrnn._src.weights.initializers import Initializer
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.regularizers import Regularizer
from ferrnn._src.weights.variable import Variable
from ferrnn._version import __version__

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
