"""The public names of Keras, or of a package like it, and how each of them is called."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

# What a program with recurrent models may import; the rest of Keras is for other work.
MODULES = (
    "",
    "layers",
    "models",
    "losses",
    "metrics",
    "callbacks",
    "optimizers",
    "optimizers.schedules",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "ops",
    "random",
    "tree",
    "utils",
    "saving",
    "config",
    "backend",
    "preprocessing.sequence",
    "datasets",
)
# Classes whose methods and properties users call or override.
CLASSES = (
    "Model",
    "Sequential",
    "layers.Layer",
    "layers.RNN",
    "layers.LSTM",
    "layers.LSTMCell",
    "layers.GRU",
    "layers.GRUCell",
    "layers.SimpleRNN",
    "layers.SimpleRNNCell",
    "layers.StackedRNNCells",
    "layers.Bidirectional",
    "layers.TimeDistributed",
    "layers.ConvLSTM1D",
    "losses.Loss",
    "metrics.Metric",
    "optimizers.Optimizer",
    "optimizers.schedules.LearningRateSchedule",
    "callbacks.Callback",
    "utils.PyDataset",
    "utils.Progbar",
    "initializers.Initializer",
    "Variable",
    "KerasTensor",
)

Arguments = list[str] | None  # None: it is not called, or does not say how
Table = dict[str, dict[str, Arguments]]


def _model(keras: Any) -> Any:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    return model


def _callback(keras: Any) -> Any:
    callback = keras.callbacks.Callback()
    callback.set_model(_model(keras))
    return callback


# An object of each of these classes, for attributes that only objects have.
OBJECTS: dict[str, Callable[[Any], Any]] = {
    "Model": _model,
    "Sequential": lambda keras: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    "layers.Layer": lambda keras: _model(keras).layers[-1],
    "losses.Loss": lambda keras: keras.losses.MeanSquaredError(),
    "metrics.Metric": lambda keras: keras.metrics.Mean(),
    "optimizers.Optimizer": lambda keras: keras.optimizers.SGD(),
    "callbacks.Callback": _callback,
    "Variable": lambda keras: keras.Variable(1.0),
    "KerasTensor": lambda keras: keras.Input((2,)),
}


def table_of(package: str, wanted: Table | None = None) -> Table:
    """For each module, and class with "()", its public names (or those wanted) with arguments.

    Of a class that inherits from another one in the list, only what it adds or overrides.
    """
    found: Table = {}
    for path in MODULES:
        module = _module(package, path)
        names = [name for name in dir(module) if not name.startswith("_")]
        if wanted is not None:
            names = list(wanted[path])
        found[path] = _described([module], names)
    listed: list[type] = []
    for path in CLASSES:
        cls = _found(package, path)
        own = [name for name in dir(cls) if not name.startswith("_")]
        own = [name for name in own if not _inherited(cls, name, listed)]
        names = own if wanted is None else list(wanted[f"{path}()"])
        owners = [cls]
        if path in OBJECTS and wanted is not None:
            owners.append(OBJECTS[path](_module(package, "")))
        found[f"{path}()"] = _described(owners, names)
        if isinstance(cls, type):
            listed.append(cls)
    return found


def _inherited(cls: Any, name: str, listed: list[type]) -> bool:
    mine = inspect.getattr_static(cls, name)
    bases = [base for base in listed if base is not cls and issubclass(cls, base)]
    return any(inspect.getattr_static(base, name, None) is mine for base in bases)


def _module(package: str, path: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{package}.{path}" if path else package)
    except ModuleNotFoundError:
        return None


def _found(package: str, path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(_module(package, module), name, None)


def _described(owners: list[Any], names: list[str]) -> dict[str, Arguments]:
    described = {}
    for name in names:
        for owner in owners:
            try:
                value = inspect.getattr_static(owner, name, None)
                value = value if isinstance(value, property) else getattr(owner, name)
            except (AttributeError, NotImplementedError):
                continue
            described[name] = arguments(value) if callable(value) else None
            break
    return described


def arguments(value: Any) -> Arguments:
    """The arguments of a class or a function, `self` left out: `["units", "activation='tanh'"]`.

    An entry "*" stands before those that are given by name alone.
    """
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return None
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    said: list[str] = []
    by_name = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not by_name:
            if not any(entry.startswith("*") for entry in said):
                said.append("*")
            by_name = True
        said.append(_argument(parameter))
    return said


def _argument(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    if parameter.kind in stars:
        return stars[parameter.kind] + parameter.name
    if parameter.default is parameter.empty:
        return parameter.name
    default = parameter.default
    plain = default is None or isinstance(default, str | int | float | tuple | list | dict)
    return f"{parameter.name}={default!r}" if plain else f"{parameter.name}=..."
