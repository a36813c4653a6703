"""Models as ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ferrnn._src.files.errors import within
from ferrnn._src.files.writing import write_file
from ferrnn._src.interop.onnx.to_attention import ATTENTION, attended
from ferrnn._src.interop.onnx.to_layers import OF_ROWS, WRITERS
from ferrnn._src.interop.onnx.to_masks import mask_after, masked_mean, masked_steps
from ferrnn._src.interop.onnx.to_operations import is_known, operation
from ferrnn._src.interop.onnx.to_recurrent import States, both_directions, written
from ferrnn._src.interop.onnx.to_scan import conv_lstm
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layers.attention import Attended
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import BuiltInRNN
from ferrnn._src.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D
from ferrnn._src.layers.masking import Masking
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
    with `/next`: the caller carries them from call to call.

    Layers for training alone (dropout, noise) are left out.

    Raises:
        ValueError: A layer cannot be written to ONNX: custom cells and layers, rare operations of
            `keras.ops`, masks of attention and of merged inputs. The message names it.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.GRU(3)])
    >>> ferrnn.from_onnx(to_onnx(model)).outputs[0].shape
    ('batch', 3)
    """
    graph = getattr(model, "_graph", None)
    if graph is None:
        raise ValueError(
            f"the model {model.name!r} must be a Sequential or functional model to be written to "
            "ONNX, and built"
        )
    dtypes = {weight.dtype.name for weight in model.weights if weight.dtype.kind == "f"}
    if dtypes - {"float32"} and dtypes - {"float64"}:
        raise ValueError(
            f"the layers must all have the dtype float32, or all float64, received {dtypes}"
        )
    b = Builder(dtypes.pop() if dtypes else "float32")
    kept = States(b, kept=states)
    values = {
        id(tensor): b.input(name, _dtype(tensor, b.dtype), _dims(tensor))
        for name, tensor in zip(model.input_names, graph.inputs, strict=True)
    }
    _run(b, kept, graph, values, {}, "")
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
    """A shape with names for free dimensions."""
    names = ("batch", "time")
    return [
        size if isinstance(size, int) and at else (names[at] if at < 2 else f"axis_{at}")
        for at, size in enumerate(tensor.shape)
    ]


def _dtype(tensor: SymbolicTensor, dtype: str) -> str:
    return dtype if tensor.dtype.startswith("float") else tensor.dtype


def _run(
    b: Builder,
    states: States,
    graph: Any,
    values: dict[int, str],
    masks: dict[int, str],
    prefix: str,
) -> None:
    """Writes the nodes of a graph, with `values` and `masks` by symbolic tensors."""
    for step in graph.steps:
        node, layer = step.node, step.layer
        name = f"{prefix}{layer.name}"
        if node.mask is not None or node.training:
            raise ValueError(
                f"layer {name!r} is called with a mask or with training=True, which cannot be "
                "written to ONNX"
            )
        if is_known(layer):
            with within(f"the operator {name!r}"):
                made = [operation(b, layer, node, lambda tensor: values[id(tensor)])]
            values[id(flatten(node.outputs)[0])] = made[0]
            continue
        with within(f"layer {name!r}"):
            if type(layer) in (Functional, Sequential):
                _nested(b, states, node, layer, values, masks, f"{name}/")
            else:
                _called(b, states, node, name, values, masks)


def _called(
    b: Builder,
    states: States,
    node: Any,
    name: str,
    values: dict[int, str],
    masks: dict[int, str],
) -> None:
    """Writes one call of a layer: its outputs and their mask."""
    layer, tensors, outputs = node.layer, node.input_tensors, flatten(node.outputs)
    kind = type(layer)
    says = node.inputs if isinstance(node.inputs, Attended) else None
    if says is None and len(tensors) != len(flatten(node.inputs)):
        raise ValueError(f"layer {name!r} is called with arrays, which cannot be written to ONNX")
    inputs = [values[id(tensor)] for tensor in tensors]
    shapes = [tuple(tensor.shape) for tensor in tensors]
    given = [masks[id(tensor)] for tensor in tensors if id(tensor) in masks]
    mask = given[0] if given else None
    after = mask_after(b, layer, inputs[0], mask, len(shapes[0]))
    if kind in ATTENTION:
        made = attended(b, layer, says or Attended(node.inputs), inputs, shapes)
    elif kind is Masking and after is not None:
        made = [masked_steps(b, layer, inputs[0], after)]
    elif kind is GlobalAveragePooling1D and mask is not None:
        made = [masked_mean(b, layer, inputs[0], mask)]
    else:
        made = _layer(b, states, name, layer, inputs, shapes, mask)
    values.update({id(tensor): value for tensor, value in zip(outputs, made, strict=True)})
    if after is not None:
        two = kind is Bidirectional and layer.merge_mode is None
        masks.update({id(tensor): after for tensor in outputs[: 1 + two]})


def _nested(
    b: Builder,
    states: States,
    node: Any,
    model: Any,
    values: dict[int, str],
    masks: dict[int, str],
    prefix: str,
) -> None:
    """Writes a nested model: its outputs and their masks."""
    inner = model._graph
    into = list(zip(inner.inputs, node.input_tensors, strict=True))
    own = {id(each): values[id(given)] for each, given in into}
    hidden = {id(each): masks[id(given)] for each, given in into if id(given) in masks}
    _run(b, states, inner, own, hidden, prefix)
    for made, each in zip(flatten(node.outputs), inner.outputs, strict=True):
        values[id(made)] = own[id(each)]
        if id(each) in hidden:
            masks[id(made)] = hidden[id(each)]


def _layer(
    b: Builder,
    states: States,
    name: str,
    layer: Any,
    inputs: list[str],
    shapes: Any,
    mask: str | None = None,
) -> list[str]:
    kind = type(layer)
    if kind in (Functional, Sequential):  # one for each step of a TimeDistributed
        inner = layer._graph
        known = {id(each): value for each, value in zip(inner.inputs, inputs, strict=True)}
        _run(b, states, inner, known, {}, f"{name}/")
        return [known[id(tensor)] for tensor in inner.outputs]
    if kind is Bidirectional:
        return both_directions(b, states, name, layer, inputs, mask)
    if kind is RNN or (isinstance(layer, BuiltInRNN) and kind.__module__.startswith("ferrnn.")):
        if kind in (ConvLSTM1D, ConvLSTM2D):
            if mask is not None:
                raise ValueError(f"layer {name!r} gets a mask, which cannot be written to ONNX")
            return conv_lstm(b, states, name, layer, inputs, shapes[0])
        return written(b, states, name, layer, inputs, mask)
    if kind is SpectralNormalization:
        layer, kind = layer.layer, type(layer.layer)
    if kind is TimeDistributed:
        return [_over_time(b, states, name, layer.layer, inputs, shapes)]
    if kind in WRITERS:
        return [WRITERS[kind](b, layer, inputs, shapes)]
    what = f"the operation {kind.__name__}" if isinstance(layer, Operation) else kind.__name__
    raise ValueError(
        f"layer {name!r} cannot be written to ONNX: it is {what}; supported are ferrnn's layers "
        "except Lambda, lookups and hashing, and the common operations of `keras.ops`"
    )


def _over_time(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], shapes: Any
) -> str:
    """Writes a layer for each step, with time merged into the batch unless it takes single rows."""
    shape = tuple(shapes[0])
    chain = layer.layers if type(layer) is Sequential else [layer]
    if all(type(each) in OF_ROWS and _is_last(each, len(shape)) for each in chain):
        for each in chain:
            shape = (None, None, *each.compute_output_shape(shape[1:])[1:])
            inputs = [WRITERS[type(each)](b, each, inputs, [shape])]
        return inputs[0]
    if None in shape[2:]:
        raise ValueError(f"layer {name!r} must have steps of a known shape, received {shape}")
    rows = b.op("Reshape", inputs[0], b.integers(-1, *shape[2:]))
    (made,) = _layer(b, states, name, layer, [rows], [(None, *shape[2:])])
    given = layer.compute_output_shape((None, *shape[2:]))
    both = b.op("Slice", b.op("Shape", inputs[0]), b.integers(0), b.integers(2))
    return b.op("Reshape", made, b.op("Concat", both, b.integers(*given[1:]), axis=0))


def _is_last(layer: Any, rank: int) -> bool:
    """Whether the axis of a layer is the last of a step with its batch."""
    return not hasattr(layer, "axis") or layer.axis in (-1, [-1], rank - 2)
