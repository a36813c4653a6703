"""Opens PyTorch models without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.files.safetensors import is_safetensors
from ferrnn._src.interop.safetensors_files import read_safetensors
from ferrnn._src.interop.torch.files import read_torch_file
from ferrnn._src.interop.torch.layers import Made, layers_of
from ferrnn._src.interop.torch.modules import Module, module_tree
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.input import Input
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.tree.types import Array

Chain = Sequence["str | tuple[str, Mapping[str, Any]] | Layer"]


def from_torch(
    source: Any, layers: Chain | None = None, *, input_shape: Sequence[int | None] | None = None
) -> Sequential:
    """Converts a PyTorch model or file to a model that computes the same numbers.

    PyTorch files hold weights; what a model does with them is in its code. `layers` supplies
    that: the modules in the order in which data passes through them, each as a name or as a name
    with settings, and layers of ferrnn where the code calls a function:

    - `return_sequences=False` for a recurrent module of which only the last output is used
      (`out[:, -1]`, or `h_n[-1]`); for two directions it gives the last state of each, `h_n`;
    - `nonlinearity="relu"` for such an `nn.RNN`; `kind="Embedding"` or `kind="Linear"` for a
      matrix without a bias; `eps`, `momentum`, `stride`, `padding`, `dilation`, `groups`;
    - `kind="ELU"` and the like for a module without tensors, which a state dict does not mention.

    A name may be the end of a longer one (`lstm` for `module.lstm`). Live modules,
    pickled modules and TorchScript files know their classes and settings, and an `nn.Sequential`
    is expanded automatically. `layers` may be omitted if the source has only one module.

    The model takes `[batch, time, features]`, whatever `batch_first` was. Float16 and bfloat16
    become float32; a source with float64 gives a float64 model.

    Args:
        source: A module, a state dict, a checkpoint that contains one, or the path of a file.
        layers: The chain of modules.
        input_shape: The shape of one input without the batch, if the first layers do not imply it.

    Raises:
        ValueError: The source is not understood, or `layers` does not fit it: the message lists
            what was found. Nothing that a file names is imported or called.

    >>> state = {
    ...     "rnn.weight_ih_l0": np.ones((3, 2), "float32"),
    ...     "rnn.weight_hh_l0": np.zeros((3, 3), "float32"),
    ...     "head.weight": np.ones((1, 3), "float32"),
    ...     "head.bias": np.zeros(1, "float32"),
    ... }
    >>> model = from_torch(state, layers=[("rnn", {"return_sequences": False}), "head"])
    >>> model.predict(np.ones((1, 4, 2)), verbose=0).shape
    (1, 1)
    """
    root = module_tree(_opened(source))
    made = [each for part in _chain(root, layers) for each in part]
    shape = tuple(input_shape) if input_shape is not None else _input_shape(made)
    dtype = "float64" if any(_is_double(module) for module in root.walk()) else "float32"
    over_time = any(each.over_time for each in made)
    model = Sequential([] if shape is None else [Input(shape, dtype=_input_dtype(made, dtype))])
    for each in made:
        layer, weights = each.layer, each.weights
        if each.without_time is not None and not over_time:
            layer, weights = each.without_time
        if dtype == "float64":
            layer = type(layer).from_config({**layer.get_config(), "dtype": dtype})
        model.add(layer)
        if not weights:
            continue
        if not layer.built:
            raise ValueError(
                f"`input_shape` is required to build the layer {layer.name!r}, which the source "
                "does not contain: pass the shape of one input without the batch, with None for "
                "time"
            )
        _fill(layer, weights)
    return model


def _opened(source: Any) -> Any:
    """The contents of the file at a path; any other source unchanged."""
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source)
    return read_safetensors(path) if is_safetensors(path) else read_torch_file(path)


def _chain(root: Module, layers: Chain | None) -> list[list[Made]]:
    """The layers of each entry of `layers`."""
    if layers is None:
        return [_only(root)]
    if isinstance(layers, str | Layer) or not isinstance(layers, Sequence):
        raise TypeError(f"`layers` must be a list of names and layers, received {layers!r}")
    return [_entry(root, entry) for entry in layers]


def _entry(root: Module, entry: Any) -> list[Made]:
    if isinstance(entry, Layer):
        return [Made(entry, [])]
    name, options = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})
    if not isinstance(name, str) or not isinstance(options, Mapping):
        raise TypeError(
            "`layers` must hold names, pairs of a name and a dict of settings, and layers of "
            f"ferrnn, received {entry!r}"
        )
    return layers_of(_named(root, name, options), options)


def _named(root: Module, name: str, options: Mapping[str, Any]) -> Module:
    """The module of this name, or the only one whose name ends with it.

    A module without tensors is not in a state dict, so its `kind` is sufficient.
    """
    modules = [module for module in root.walk() if module.name]
    exact = [module for module in modules if module.name == name]
    found = exact or [module for module in modules if module.name.endswith(f".{name}")]
    if name == "" and root.tensors:
        found = [root]
    if not found and "kind" in options:
        return Module(name)
    if len(found) != 1:
        which = "no module" if not found else f"{len(found)} modules"
        raise ValueError(f"`layers`: {which} named {name!r}. {_listing(root)}")
    return found[0]


def _only(root: Module) -> list[Made]:
    """The layers of a source with only one possible chain."""
    module = root
    while not module.kind and not module.tensors and len(module.inside) == 1:
        module = next(iter(module.inside.values()))
    if (module.tensors and not module.inside) or module.kind == "Sequential":
        return layers_of(module, {})
    raise ValueError(
        "`layers` is required: the source has several modules, but not the order in which they are "
        f"called. {_listing(root)}"
    )


def described(path: Path) -> list[str]:
    """A line for each module of a file."""
    root = module_tree(_opened(path))
    return [module.described() for module in root.walk() if module.tensors or module.kind]


def _listing(root: Module) -> str:
    lines = [module.described() for module in root.walk() if module.tensors or module.kind]
    shown = "\n  ".join(lines[:40]) + ("\n  ..." if len(lines) > 40 else "")
    return f"Found:\n  {shown}"


def _input_shape(made: Sequence[Made]) -> tuple[int | None, ...] | None:
    """The shape of one input, as far as it follows from the first layers with weights."""
    over_time = any(each.over_time for each in made)
    for each in made:
        if isinstance(each.layer, Layer) and type(each.layer).__name__ == "Embedding":
            return (None,)
        if each.features is not None:
            return (None, each.features) if over_time else (each.features,)
    return None


def _input_dtype(made: Sequence[Made], dtype: str) -> str:
    return "int32" if made and type(made[0].layer).__name__ == "Embedding" else dtype


def _fill(layer: Layer, weights: Sequence[Array]) -> None:
    want = [tuple(weight.shape) for weight in layer.get_weights()]
    have = [tuple(weight.shape) for weight in weights]
    if want != have:
        raise ValueError(
            f"`layers`: the weights of {layer.name!r} must have the shapes {want} at this place in "
            f"the chain, received {have}"
        )
    layer.set_weights([np.ascontiguousarray(weight) for weight in weights])


def _is_double(module: Module) -> bool:
    return any(tensor.dtype == np.float64 for tensor in module.tensors.values())
