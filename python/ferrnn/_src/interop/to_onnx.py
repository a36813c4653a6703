"""Models as ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ferrnn._src.files.errors import within
from ferrnn._src.files.writing import write_file
from ferrnn._src.interop.onnx.to_layers import OF_ROWS, WRITERS
from ferrnn._src.interop.onnx.to_operations import is_known, operation
from ferrnn._src.interop.onnx.to_recurrent import States, both_directions, written
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import BuiltInRNN
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.model import Functional
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import flatten
from ferrnn._version import __version__


def to_onnx(model: Any, *, states: bool = False) -> bytes:
    """A model as the bytes of an ONNX file (opset 17), for inference.

    Batch and time are free. With `states=True` the states of recurrent layers that go forward are
    inputs `<layer>/h` and, for LSTM, `<layer>/c`, `[batch, units]`, and outputs of the same names
    with `/next`: whoever runs the file carries them from call to call.

    Layers for training alone (dropout, noise) are left out.

    Raises:
        ValueError: A layer has no form in ONNX: masks, cells and layers of your own, operations of
            `keras.ops`. The message names it.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.GRU(3)])
    >>> ferrnn.from_onnx(to_onnx(model)).outputs[0].shape
    ('batch', 3)
    """
    graph = getattr(model, "_graph", None)
    if graph is None:
        raise ValueError(
            f"the model {model.name!r} must be a graph of layers to become ONNX: build it, and do "
            "not write it as code"
        )
    dtypes = {weight.dtype.name for weight in model.weights if weight.dtype.kind == "f"}
    if dtypes - {"float32"} and dtypes - {"float64"}:
        raise ValueError(f"the layers must have one dtype, float32 or float64, not {dtypes}")
    b = Builder(dtypes.pop() if dtypes else "float32")
    kept = States(b, kept=states)
    values = {
        id(tensor): b.input(name, _input_dtype(tensor, b.dtype), _dims(tensor))
        for name, tensor in zip(model.input_names, graph.inputs, strict=True)
    }
    _run(b, kept, graph, values, "")
    for name, tensor in zip(model.output_names, graph.outputs, strict=True):
        b.output(values[id(tensor)], name, b.dtype, _dims(tensor))
    for name, value, units in kept.found:
        b.output(value, f"{name}/next", b.dtype, ("batch", units))
    return b.model(model.name, "ferrnn", __version__)


def export_model(
    model: Any,
    filepath: str | os.PathLike[str],
    format: str = "onnx",  # noqa: A002 - Keras' name
    *,
    states: bool = False,
) -> None:
    """Writes a model to an ONNX file, whole or not at all; see `to_onnx`."""
    if format != "onnx":
        raise ValueError(f"`format` of `export` must be 'onnx', received {format!r}")
    write_file(Path(filepath), to_onnx(model, states=states))


def _dims(tensor: SymbolicTensor) -> list[int | str]:
    """A shape with names for what is free."""
    names = ("batch", "time")
    return [
        size if isinstance(size, int) and at else (names[at] if at < 2 else f"axis_{at}")
        for at, size in enumerate(tensor.shape)
    ]


def _input_dtype(tensor: SymbolicTensor, dtype: str) -> str:
    return dtype if tensor.dtype.startswith("float") else tensor.dtype


def _run(b: Builder, states: States, graph: Any, values: dict[int, str], prefix: str) -> None:
    """The nodes of a graph, in order; `values` are known by the tensors that stand for them."""
    for step in graph.steps:
        node, layer = step.node, step.layer
        name = f"{prefix}{layer.name}"
        if node.mask is not None or node.training:
            raise ValueError(
                f"layer {name!r} is called with a mask or with training=True, which ONNX has no "
                "form for"
            )
        if is_known(layer):
            with within(f"the operator {name!r}"):
                made = [operation(b, layer, node, lambda tensor: values[id(tensor)])]
            values[id(flatten(node.outputs)[0])] = made[0]
            continue
        tensors = node.input_tensors
        if len(tensors) != len(flatten(node.inputs)):
            raise ValueError(f"layer {name!r} is called with arrays, which have no form here")
        inputs = [values[id(tensor)] for tensor in tensors]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        with within(f"layer {name!r}"):
            made = _layer(b, states, name, layer, inputs, shapes)
        for tensor, value in zip(flatten(node.outputs), made, strict=True):
            values[id(tensor)] = value


def _layer(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], shapes: Any
) -> list[str]:
    kind = type(layer)
    if kind in (Functional, Sequential):
        inner = layer._graph
        known = {id(each): value for each, value in zip(inner.inputs, inputs, strict=True)}
        _run(b, states, inner, known, f"{name}/")
        return [known[id(tensor)] for tensor in inner.outputs]
    if kind is Bidirectional:
        return both_directions(b, states, name, layer, inputs)
    if kind is RNN or (isinstance(layer, BuiltInRNN) and kind.__module__.startswith("ferrnn.")):
        return written(b, states, name, layer, inputs)
    if kind is TimeDistributed:
        return [_over_time(b, name, layer.layer, inputs, shapes)]
    if kind in WRITERS:
        return [WRITERS[kind](b, layer, inputs, shapes)]
    what = f"the operation {kind.__name__}" if isinstance(layer, Operation) else kind.__name__
    raise ValueError(
        f"layer {name!r} has no form in ONNX: it is {what}; recurrent layers, Bidirectional, "
        f"TimeDistributed and {', '.join(sorted(each.__name__ for each in WRITERS))} have"
    )


def _over_time(b: Builder, name: str, layer: Any, inputs: list[str], shapes: Any) -> str:
    """What is done to each step; the layers that can compute row by row by themselves."""
    chain = layer.layers if type(layer) is Sequential else [layer]
    for each in chain:
        last = not hasattr(each, "axis") or each.axis in (-1, [-1], len(shapes[0]) - 2)
        if type(each) not in OF_ROWS or not last:
            raise ValueError(
                f"layer {name!r} has no form in ONNX: TimeDistributed of {type(each).__name__}, "
                "which must compute along the last axis alone"
            )
        shapes = [(None, None, *each.compute_output_shape(tuple(shapes[0][1:]))[1:])]
        inputs = [WRITERS[type(each)](b, each, inputs, shapes)]
    return inputs[0]
