"""Layers as parts of the engine, for plans, or the reasons why they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.configs.config import epsilon as fuzz
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import runs_one_cell
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout, SpatialDropout1D
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from ferrnn._src.layers.joining import Concatenate
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.merge import Add, Average, Multiply, Subtract
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.pooling import AveragePooling1D, MaxPooling1D
from ferrnn._src.layers.reshaping import Flatten, RepeatVector, Reshape
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.functions import REPLACED, Part, user_activation
from ferrnn._src.models.handed_back import AppliedToRows
from ferrnn._src.sequence import fused
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.weights.random import SeedGenerator

# The reason for a layer whose product the engine computes.
ACTIVATION: Final = "its activation is computed in NumPy"

# Activations whose derivatives the engine has when they are not part of a product.
_ACTIVATIONS = frozenset(("tanh", "sigmoid", "relu", "elu", "softmax"))

# Layers whose outputs have no mask even if their inputs do; some ignore the mask.
WITHOUT_MASKS = frozenset((GlobalAveragePooling1D,))
_ENDING_MASKS = WITHOUT_MASKS | {
    Conv1D, MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D, Flatten, Reshape, RepeatVector
}  # fmt: skip

# Ids up to here are exact in float32.
_IDS: Final = 1 << 24


def gives_mask(layer: Any, before: bool) -> bool:
    """Whether the outputs of a layer in a plan carry a mask, given whether its inputs do."""
    if type(layer) is Masking:
        return True
    if type(layer) is Embedding:
        return bool(layer.mask_zero)
    ends = type(layer) in _ENDING_MASKS
    return before and bool(getattr(layer, "return_sequences", True)) and not ends


def native(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    """The parts of a layer, or the reason why it has none."""
    node, layer = step.node, step.layer
    taken = node.input_tensors[0].dtype
    why = None
    if node.mask is not None or node.training is not None:
        why = "it is called with a mask or with `training`"
    elif layer.activity_regularizer is not None:
        why = "it has an activity regularizer"
    elif type(layer) in _JOINS:
        return _join(step, low, given)
    elif (len(given) != 1 or not step.single) and not _with_states(step, low, given):
        why = "it has several inputs"
    elif type(layer) is Embedding and given[0] >= len(low.inputs):
        why = "it is an Embedding, but not the first layer"
    elif type(layer) is not Embedding and str(layer.dtype) != str(taken):
        why = f"it casts {taken} to {layer.dtype}"
    elif given[0] in low.masked and _gives_two_sequences(layer):
        why = "it returns two sequences with masks"
    elif type(layer) in _ENDING_MASKS and "supports_masking" in vars(layer):
        why = "`supports_masking` is set in the instance"
    elif given[0] in low.masked and type(layer) is Softmax:
        why = "it applies the mask that its inputs carry"
    return why or user_activation(step, low) or _part(layer, low)


def _gives_two_sequences(layer: Any) -> bool:
    return type(layer) is Bidirectional and layer.merge_mode is None and layer.return_sequences


def _with_states(step: Any, low: Lowering, given: list[int]) -> bool:
    """Whether a layer takes a sequence and initial states."""
    kind = _lowering_of(type(step.layer))
    tensors = step.node.input_tensors
    return (
        kind in (_recurrent, _bidirectional)
        and step.flat
        and not any(value in low.masked for value in given[1:])
        and all(tensor.ndim == 2 and tensor.dtype == tensors[0].dtype for tensor in tensors[1:])
    )


def _join(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    layer, shapes = step.layer, [tensor.shape for tensor in step.node.input_tensors]
    masks, kind = {low.masked.get(value) for value in given}, _JOINS[type(layer)]
    if masks != {None} and (len(masks) > 1 or kind in ("product", "concat")):
        return "its inputs carry masks"
    if len(given) < 2 or not step.flat:
        return "its inputs are not a list of two or more arrays"
    lengths = shapes
    if kind == "concat":
        if layer.axis not in (-1, len(shapes[0]) - 1):
            return f"it has axis={layer.axis}"
        lengths = [shape[:-1] for shape in shapes]
    if any(each != lengths[0] for each in lengths) or not 2 <= len(shapes[0]) <= 3:
        return f"its inputs have the shapes {shapes}"
    return [(("join", kind), [])]


def _part(layer: Any, low: Lowering) -> list[Part] | str:
    lower = _lowering_of(type(layer))
    if lower is None:
        return f"plans do not support {type(layer).__name__}"
    if any(name in vars(layer) for name in REPLACED):
        return "it has a method of its own"
    if not layer.built:
        return "it is not built yet"
    return lower(layer, low)


def _recurrent(layer: Any, low: Lowering) -> list[Part] | str:
    cell = layer.cell
    if layer.stateful:
        return "it has stateful=True"
    if not isinstance(cell, BuiltInCell) or not fused.supports(cell):
        return f"the engine does not run its cell {type(cell).__name__} as a single one"
    given = cell.native_weights
    if given.recurrent_kernel is None or given.projection is not None or cell.clip:
        return "its cell has a clip, a projection, or no recurrent product"
    low.fewer_bits |= cell.inference_precision != "full"
    if any(name in vars(cell) for name in REPLACED):
        return "a method of its cell is overridden in the instance"
    gate = getattr(cell, "recurrent_activation", None)
    if gate is not None and not gate.native:
        return f"its recurrent_activation {gate.__name__} is not native to the engine"
    features, _ = cell.kernel.shape
    gate_name = "sigmoid" if gate is None else gate.__name__
    reset_after = bool(getattr(cell, "reset_after", True))
    drops = [_drop_of(cell, rate, low) for rate in (cell.dropout, cell.recurrent_dropout)]
    part = (
        "recurrent",
        (cell.native_name, cell.activation.__name__, gate_name, reset_after),
        (features, cell.units, cell.bias is not None),
        (
            layer.go_backwards,
            layer.return_sequences,
            layer.return_state,
            layer.zero_output_for_mask,
        ),
        (cell.gates if cell.implementation == 1 else 1, *drops),
    )
    return [(part, [weight for weight in given if weight is not None])]


def _drop_of(cell: Any, rate: float, low: Lowering) -> tuple[int, int, float] | None:
    """The dropout of a cell's inputs or outputs, if `draw_dropout` would draw a mask for it."""
    if not rate or (rate >= 1 and type(cell) is not SimpleRNNCell):
        return None
    return _drop(cell.seed_generator, rate, low)


def _drop(generator: SeedGenerator, rate: float, low: Lowering) -> tuple[int, int, float]:
    number = low.draw_from(generator)
    return number, round(rate * 2**32), 0.0 if rate >= 1 else 1.0 / (1.0 - rate)


def _bidirectional(layer: Any, low: Lowering) -> list[Part] | str:
    parts, weights = [], []
    for each in (layer.forward_layer, layer.backward_layer):
        found = _part(each, low) if runs_one_cell(type(each)) else "it is not an RNN"
        if isinstance(found, str):
            return f"{each.name}: {found}"
        parts.append(found[0][0])
        weights += found[0][1]
    merge = "apart" if layer.merge_mode is None else layer.merge_mode
    return [(("both ways", *parts, merge, layer.return_sequences), weights)]


def _dropout(layer: Any, low: Lowering) -> list[Part] | str:
    if not layer.rate:
        return []
    if layer.noise_shape is not None:
        return f"it has noise_shape={layer.noise_shape}"
    spatial = type(layer) is SpatialDropout1D
    return [(("dropout", *_drop(layer.seed_generator, layer.rate, low), spatial), [])]


def _embedding(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.input_dim > _IDS:
        return f"it has more than {_IDS} ids"
    part = ("embedding", layer.input_dim, layer.output_dim, layer.mask_zero)
    return [(part, [layer.embeddings])]


def _normalization(layer: Any, low: Lowering) -> list[Part] | str:
    gamma, beta = layer.gamma, layer.beta
    if not layer._last:
        return f"it has axis={layer.axis} or rms_scaling"
    part = ("normalization", layer._lengths[0], layer.epsilon, gamma is not None, beta is not None)
    return [(part, [each for each in (gamma, beta) if each is not None])]


def _flatten(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.data_format != "channels_last":
        return f"it has data_format={layer.data_format!r}"
    return [(("reshape", None, None), [])]


def _reshape(layer: Any, low: Lowering) -> list[Part] | str:
    shape = layer.target_shape
    if len(shape) > 2 or not shape:
        return f"its outputs have {1 + len(shape)} axes"
    return [(("reshape", *(None if n == -1 else int(n) for n in (1, *shape)[-2:])), [])]


def _repeat(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("repeat", layer.n), [])]


def _masking(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("masking", float(layer.mask_value)), [])]


def _differentiates(function: Function) -> bool:
    """Whether the engine has an activation and its derivative."""
    known = function.native or function.native_rows
    return known and function.__name__ in _ACTIVATIONS


def _dense(layer: Any, low: Lowering) -> list[Part] | str:
    function = layer.activation
    if type(function) is not Function:
        return f"its activation is {function!r}"
    features, units = layer.kernel.shape
    name = function.__name__ if function.native else "linear"
    dense = ("dense", name, features, units, layer.bias is not None)
    parts: list[Part] = [(dense, [layer.kernel, *(() if layer.bias is None else (layer.bias,))])]
    if function.native:
        return parts
    if _differentiates(function):
        parts.append((("activation", function.__name__), []))
    else:
        applied = AppliedToRows(function)
        low.handed_back.append(applied)
        parts.append((("handed back", applied, [], True, 1), []))
    return parts


def _activation(layer: Any, low: Lowering) -> list[Part] | str:
    function = layer.activation
    if function is activations.linear:
        return []
    if type(function) is not Function or not _differentiates(function):
        return f"the derivative of {function!r} is computed in NumPy"
    return [(("activation", function.__name__), [])]


def _relu(layer: Any, low: Lowering) -> list[Part] | str:
    most = None if layer.max_value is None else float(layer.max_value)
    return [(("relu", most, float(layer.negative_slope), float(layer.threshold)), [])]


def _leaky(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("leaky relu", float(layer.negative_slope)), [])]


def _elu(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("elu", float(layer.alpha)), [])]


def _prelu(layer: Any, low: Lowering) -> list[Part] | str:
    shared, rank = list(layer.shared_axes or ()), layer.alpha.ndim
    if rank > 2 or shared not in ([], [1]) or (shared and rank == 1):
        return f"it has shared_axes={layer.shared_axes} for {rank + 1} axes"
    return [(("prelu", layer.alpha.size, bool(shared)), [layer.alpha])]


def _softmax(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("activation", "softmax"), [])] if layer.axis == -1 else f"it has axis={layer.axis}"


def _windows(layer: Any) -> tuple[int, int, int, str] | str:
    """The geometry of windows over steps, or the reason why the engine does not support them."""
    if layer.data_format != "channels_last":
        return f"it has data_format={layer.data_format!r}"
    (size,), (stride,), (dilation,), padding = layer.window
    return size, stride, dilation, padding


def _convolution(layer: Any, low: Lowering) -> list[Part] | str:
    function, windows, bias = layer.activation, _windows(layer), layer.bias
    if isinstance(windows, str):
        return windows
    if layer.groups > 1:
        return f"it has groups={layer.groups}"
    if type(function) is not Function or not function.native:
        return ACTIVATION
    _, features, filters = layer.kernel.shape
    part = ("convolution", windows, function.__name__, features, filters, bias is not None)
    return [(part, [layer.kernel, *(() if bias is None else (bias,))])]


def _pooling(layer: Any, low: Lowering) -> list[Part] | str:
    windows = _windows(layer)
    if isinstance(windows, str):
        return windows
    return [(("pooling", windows, type(layer) is AveragePooling1D), [])]


def _global_pooling(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.data_format != "channels_last":
        return f"it has data_format={layer.data_format!r}"
    return [(("pooling", None, type(layer) is GlobalAveragePooling1D), [])]


def _batch_normalization(layer: Any, low: Lowering) -> list[Part] | str:
    gamma, beta = layer.gamma, layer.beta
    if layer._inner or layer.renorm:
        return f"it has axis={layer.axis}" if layer._inner else "it has renorm=True"
    moving = [layer.moving_mean, layer.moving_variance]
    if any(weight.trainable for weight in moving):
        return "its moving statistics are trainable"
    following = None
    if layer.trainable:
        following = layer.momentum, fuzz()
        low.followed += moving
    there = gamma is not None, beta is not None
    part = ("batch normalization", len(moving[0]), layer.epsilon, *there, following)
    return [(part, [each for each in (gamma, beta, *moving) if each is not None])]


def _lowering_of(kind: type[Layer]) -> _Lower | None:
    """The function that lowers a class of layers; for subclasses, which may override all, None."""
    return _recurrent if runs_one_cell(kind) else _PARTS.get(kind)


def _distributed(layer: Any, low: Lowering) -> list[Part] | str:
    inner = layer.layer
    if type(inner) is not Dense or not layer._in_one_call:
        return f"plans do not support {type(inner).__name__} in a TimeDistributed"
    return _part(inner, low)


_Lower: TypeAlias = Callable[[Any, Lowering], list[Part] | str]
_PARTS: dict[type[Layer], _Lower] = {
    Bidirectional: _bidirectional,
    Dense: _dense,
    Dropout: _dropout,
    SpatialDropout1D: _dropout,
    Embedding: _embedding,
    LayerNormalization: _normalization,
    BatchNormalization: _batch_normalization,
    Conv1D: _convolution,
    MaxPooling1D: _pooling,
    AveragePooling1D: _pooling,
    GlobalMaxPooling1D: _global_pooling,
    GlobalAveragePooling1D: _global_pooling,
    Activation: _activation,
    ReLU: _relu,
    LeakyReLU: _leaky,
    ELU: _elu,
    PReLU: _prelu,
    Softmax: _softmax,
    Flatten: _flatten,
    Reshape: _reshape,
    RepeatVector: _repeat,
    Masking: _masking,
    TimeDistributed: _distributed,
}
_JOINS: dict[type[Layer], str] = {
    Add: "sum",
    Subtract: "difference",
    Multiply: "product",
    Average: "mean",
    Concatenate: "concat",
}
