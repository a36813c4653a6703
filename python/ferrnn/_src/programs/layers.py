"""Layers that a cell calls, as instructions."""

from __future__ import annotations

from typing import Any

from ferrnn._src import faces
from ferrnn._src.activations.activations import Activation
from ferrnn._src.layer.calling import resolved_training
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.signatures import options_for
from ferrnn._src.programs.products import normalized
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.programs.rules import ask
from ferrnn._src.programs.sketch import CellTrace, Sketch, layer_rules

_TAKEN = ("Dense", "Activation", "Dropout", "LayerNormalization")


def plain(layer: Any, args: Any, kwargs: Any) -> Sketch:
    """The only argument of a plain call of a layer."""
    if len(args) != 1 or not isinstance(args[0], Sketch) or kwargs.keys() - {"training"}:
        raise UnsupportedError(
            f"a call of the layer {type(layer).__name__} with more than one argument"
        )
    if getattr(layer, "activity_regularizer", None) is not None:
        raise UnsupportedError("an activity regularizer inside the cell")
    if not layer.built:
        raise UnsupportedError(f"the layer {type(layer).__name__}, which is not built")
    x: Sketch = args[0]
    return x


def activated(trace: CellTrace, function: Any, x: Any) -> Any:
    """An activation of a layer."""
    if function is None:
        return x
    if type(function) is Activation:
        name = "exp" if function.__name__ == "exponential" else function.__name__
        options = {"approximate": False} if name == "gelu" else {}
        return trace.call(name, (x,), options)
    return function(x)


def _built_in(trace: CellTrace, layer: Any, args: Any, kwargs: Any) -> Any:
    kind = type(layer)
    name = kind.__name__
    if name not in _TAKEN or faces.public("layers", name) is not kind:
        return NotImplemented
    x = plain(layer, args, kwargs)
    if name == "Activation":
        return activated(trace, layer.activation, x)
    if name == "Dropout":
        if resolved_training(kwargs["training"]) and layer.rate:
            raise UnsupportedError("dropout in training")
        return x
    if name == "Dense":
        if type(layer.kernel).__name__ != "Parameter" or x.ndim < 2:
            raise UnsupportedError("a Dense layer with a special kernel")
        out = ask(trace, "matmul", x, trace.parameter(layer.kernel))
        if layer.bias is not None:
            out = ask(trace, "add", out, trace.parameter(layer.bias))
        return activated(trace, layer.activation, out)
    return _layer_normalization(trace, layer, x)


def _layer_normalization(trace: CellTrace, layer: Any, x: Sketch) -> Any:
    axes = layer.axis if isinstance(layer.axis, tuple | list) else [layer.axis]
    if [int(axis) % x.ndim for axis in axes] != [x.ndim - 1] or layer.rms_scaling:
        raise UnsupportedError("a LayerNormalization over axes other than the last")
    made = normalized(trace, x, [x.ndim - 2], layer.epsilon)
    for weight, name in ((layer.gamma, "multiply"), (layer.beta, "add")):
        if weight is not None:
            made = ask(trace, name, made, trace.parameter(weight))
    return made


def _written_by_users(trace: CellTrace, layer: Any, args: Any, kwargs: Any) -> Any:
    """A layer of a user, whose `call` is traced as the cell's is."""
    if not isinstance(layer, Layer) or not layer.written_with_call or not layer.built:
        return NotImplemented
    if getattr(layer, "activity_regularizer", None) is not None:
        raise UnsupportedError("an activity regularizer inside the cell")
    options = {key: value for key, value in kwargs.items() if key != "training"}
    options |= options_for(type(layer).call, resolved_training(kwargs["training"]), None)
    return layer.call(*args, **options)


layer_rules.extend((_built_in, _written_by_users))
