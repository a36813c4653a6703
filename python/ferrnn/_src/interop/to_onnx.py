"""Models as ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ferrnn._src.files.errors import within
from ferrnn._src.files.writing import write_file
from ferrnn._src.interop.onnx.to_attention import ATTENTION, attended
from ferrnn._src.interop.onnx.to_layers import OF_ROWS, WRITERS
from ferrnn._src.interop.onnx.to_operations import is_known, operation
from ferrnn._src.interop.onnx.to_recurrent import States, both_directions, written
from ferrnn._src.interop.onnx.to_scan import conv_lstm
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layers.attention import Attended
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import BuiltInRNN
from ferrnn._src.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.spectral_normalization import SpectralNormalization
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
        id(tensor): b.input(name, _dtype(tensor, b.dtype), _dims(tensor))
        for name, tensor in zip(model.input_names, graph.inputs, strict=True)
    }
    _run(b, kept, graph, values, "")
    for name, tensor in zip(model.output_names, graph.outputs, strict=True):
        b.output(values[id(tensor)], name, _dtype(tensor, b.dtype), _dims(tensor))
    for name, value, shape in kept.found:
        b.output(value, f"{name}/next", b.dtype, ("batch", *shape))
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


def _dtype(tensor: SymbolicTensor, dtype: str) -> str:
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
        says = node.inputs if isinstance(node.inputs, Attended) else None
        if says is None and len(tensors) != len(flatten(node.inputs)):
            raise ValueError(f"layer {name!r} is called with arrays, which have no form here")
        inputs = [values[id(tensor)] for tensor in tensors]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        with within(f"layer {name!r}"):
            if type(layer) in ATTENTION:
                made = attended(b, layer, says or Attended(node.inputs), inputs, shapes)
            else:
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
        if kind in (ConvLSTM1D, ConvLSTM2D):
            return conv_lstm(b, states, name, layer, inputs, shapes[0])
        return written(b, states, name, layer, inputs)
    if kind is SpectralNormalization:
        layer, kind = layer.layer, type(layer.layer)
    if kind is TimeDistributed:
        return [_over_time(b, states, name, layer.layer, inputs, shapes)]
    if kind in WRITERS:
        return [WRITERS[kind](b, layer, inputs, shapes)]
    what = f"the operation {kind.__name__}" if isinstance(layer, Operation) else kind.__name__
    raise ValueError(
        f"layer {name!r} has no form in ONNX: it is {what}; recurrent layers, Bidirectional, "
        f"TimeDistributed and {', '.join(sorted(each.__name__ for each in WRITERS))} have"
    )


def _over_time(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], shapes: Any
) -> str:
    """What is done to each step: of all layers but those of single rows, with time in the batch."""
    shape = tuple(shapes[0])
    chain = layer.layers if type(layer) is Sequential else [layer]
    if all(type(each) in OF_ROWS and _is_last(each, len(shape)) for each in chain):
        for each in chain:
            shape = (None, None, *each.compute_output_shape(shape[1:])[1:])
            inputs = [WRITERS[type(each)](b, each, inputs, [shape])]
        return inputs[0]
    if None in shape[2:]:
        raise ValueError(f"layer {name!r} must be given steps of a known shape, not {shape}")
    rows = b.op("Reshape", inputs[0], b.integers(-1, *shape[2:]))
    (made,) = _layer(b, states, name, layer, [rows], [(None, *shape[2:])])
    given = layer.compute_output_shape((None, *shape[2:]))
    both = b.op("Slice", b.op("Shape", inputs[0]), b.integers(0), b.integers(2))
    return b.op("Reshape", made, b.op("Concat", both, b.integers(*given[1:]), axis=0))


def _is_last(layer: Any, rank: int) -> bool:
    """Whether a layer of one axis has the last, of as many as a step and its batch have."""
    return not hasattr(layer, "axis") or layer.axis in (-1, [-1], rank - 2)
