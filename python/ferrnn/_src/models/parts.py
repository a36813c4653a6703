"""Layers as parts of the engine, for plans, or the reasons why they cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.configs.config import epsilon as fuzz
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.built_in import runs_one_cell
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from ferrnn._src.layers.joining import Concatenate, Dot
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.pooling import AveragePooling1D, MaxPooling1D
from ferrnn._src.layers.reshaping import Flatten
from ferrnn._src.layers.scaling import RMSNormalization
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.functions import Part, user_activation, why_not_plain
from ferrnn._src.models.handed_back import AppliedToRows
from ferrnn._src.models.join_parts import JOINS, join
from ferrnn._src.models.noise_parts import NOISE
from ferrnn._src.models.penalized import Penalized
from ferrnn._src.models.recurrent_parts import (
    bidirectional,
    recurrent,
    why_not_recurrent,
    with_states,
)
from ferrnn._src.models.shape_parts import SHAPING, in_order
from ferrnn._src.training.plan_parts import Lowering

# The reason for a layer whose product the engine computes.
_ACTIVATION: Final = AppliedToRows.why or ""

# Activations whose derivatives the engine has when they are not part of a product.
_ACTIVATIONS = frozenset(("tanh", "sigmoid", "relu", "elu", "softmax"))

# Layers whose outputs have no mask even if their inputs do; some ignore the mask.
WITHOUT_MASKS = frozenset((GlobalAveragePooling1D,))
_ENDING_MASKS = (
    WITHOUT_MASKS
    | {Conv1D, MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D, Dot, RMSNormalization}
    | (SHAPING.keys() - {Softmax})
)

# Ids up to here are exact in float32.
_IDS: Final = 1 << 24


def gives_mask(layer: Any, masks: Sequence[int | None]) -> bool:
    """Whether the outputs of a layer in a plan carry a mask, given those of its inputs."""
    if type(layer) is Masking:
        return True
    if type(layer) is Embedding:
        return bool(layer.mask_zero)
    before = masks[0] is not None
    if type(layer) in JOINS:
        before = None not in masks or (type(layer) is Concatenate and {*masks} != {None})
    ends = type(layer) in _ENDING_MASKS
    return before and bool(getattr(layer, "return_sequences", True)) and not ends


def native(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    """The parts of a layer, or the reason why it has none."""
    found, layer = _unpenalized(step, low, given), step.layer
    if layer.activity_regularizer is None or isinstance(found, str):
        return found
    penalized = Penalized(layer, step.node.output_tensors[0].shape, low)
    low.handed_back.append(penalized)
    return [*found, (("handed back", penalized, [], True, 1), [])]


def _unpenalized(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    node, layer = step.node, step.layer
    taken = node.input_tensors[0].dtype
    why = None
    if node.mask is not None:
        why = "it is called with a mask"
    elif layer.activity_regularizer is not None and _gives_more(step):
        why = "it has an activity regularizer"
    elif type(layer) in JOINS:
        return join(step, low, given)
    elif (len(given) != 1 or not step.single) and not with_states(step, low, given):
        why = "it has several inputs"
    elif type(layer) is Embedding and given[0] >= len(low.inputs):
        why = "it is an Embedding, but not the first layer"
    elif type(layer) is not Embedding and str(layer.dtype) != str(taken):
        why = f"it casts {taken} to {layer.dtype}"
    elif type(layer) in _ENDING_MASKS and "supports_masking" in vars(layer):
        why = "`supports_masking` is set in the instance"
    elif given[0] in low.masked and type(layer) is Softmax:
        why = "it applies the mask that its inputs carry"
    return why or why_not_recurrent(step, low, given) or _of_one(step, low, given[0] in low.masked)


def _of_one(step: Any, low: Lowering, masked: bool) -> list[Part] | str:
    """The parts of a layer that takes one value, masked or not."""
    layer = step.layer
    if type(layer) is TimeDistributed:
        return _distributed(step, low, masked)
    if type(layer) in SHAPING:
        shape = step.node.input_tensors[0].shape
        return why_not_plain(layer) or SHAPING[type(layer)](layer, shape)
    return user_activation(step, low) or _part(layer, low)


def _gives_more(step: Any) -> bool:
    """Whether a layer gives several values, or its value is that of several."""
    return len(step.node.output_tensors) > 1 or type(step.layer) in JOINS


def _part(layer: Any, low: Lowering) -> list[Part] | str:
    lower = _lowering_of(type(layer))
    if lower is None:
        return f"plans do not support {type(layer).__name__}"
    return why_not_plain(layer) or lower(layer, low)


def _embedding(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.input_dim > _IDS:
        return f"it has more than {_IDS} ids"
    part = ("embedding", layer.input_dim, layer.output_dim, layer.mask_zero)
    return [(part, [layer.embeddings])]


def _normalization(layer: Any, low: Lowering) -> list[Part] | str:
    gamma, beta = layer.gamma, layer.beta
    if not layer._last:
        return f"it has axis={layer.axis} or rms_scaling"
    there = gamma is not None, beta is not None
    part = ("normalization", layer._lengths[0], layer.epsilon, True, *there)
    return [(part, [each for each in (gamma, beta) if each is not None])]


def _rms_normalization(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.axis not in ([-1], [layer._rank - 1]):
        return f"it has axis={layer.axis}"
    part = ("normalization", layer.scale.size, layer.epsilon, False, True, False)
    return [(part, [layer.scale])]


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


def _windows(layer: Any) -> tuple[int, int, int, str]:
    """The geometry of windows over steps."""
    (size,), (stride,), (dilation,), padding = layer.window
    return size, stride, dilation, padding


def _convolution(layer: Any, low: Lowering) -> list[Part] | str:
    function, windows, bias = layer.activation, _windows(layer), layer.bias
    if layer.groups > 1:
        return f"it has groups={layer.groups}"
    if type(function) is not Function or not function.native:
        return _ACTIVATION
    _, features, filters = layer.kernel.shape
    part = ("convolution", windows, function.__name__, features, filters, bias is not None)
    return in_order(layer, [(part, [layer.kernel, *(() if bias is None else (bias,))])])


def _pooling(layer: Any, low: Lowering) -> list[Part] | str:
    part = ("pooling", _windows(layer), type(layer) is AveragePooling1D)
    return in_order(layer, [(part, [])])


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
    if layer.trainable and low.training is not False:
        following = layer.momentum, fuzz()
        low.followed += moving
        low.only_trains |= low.training is True
    there = gamma is not None, beta is not None
    part = ("batch normalization", len(moving[0]), layer.epsilon, *there, following)
    return [(part, [each for each in (gamma, beta, *moving) if each is not None])]


def _lowering_of(kind: type[Layer]) -> _Lower | None:
    """The function that lowers a class of layers; for subclasses, which may override all, None."""
    return recurrent if runs_one_cell(kind) else _PARTS.get(kind)


def _distributed(step: Any, low: Lowering, masked: bool) -> list[Part] | str:
    """The parts of a layer that sees all steps as rows: of itself, or as a folded one."""
    inner, (_, _, *shape) = step.layer.layer, step.node.input_tensors[0].shape
    kind, known = type(inner), None not in shape
    why = why_not_plain(step.layer)
    if why is None and step.layer._in_one_call:
        if kind in _ROWS:
            return _part(inner, low)
        if kind is Flatten and known and not masked and inner.data_format == "channels_last":
            return [(("reshape", None, math.prod(shape)), [])]
        if (kind in _FOLDED or runs_one_cell(kind)) and len(shape) == 2 and known and not masked:
            found = _part(inner, low)
            if isinstance(found, str):
                return found
            return [(("folded", shape[0], part), weights) for part, weights in found]
    return why or f"plans do not support {kind.__name__} in a TimeDistributed"


# Layers whose rows may be any, and those for which a sample's steps must be the right ones.
_ROWS = frozenset(
    (Dense, Dropout, LayerNormalization, RMSNormalization, Activation, ReLU, LeakyReLU, ELU)
)
_FOLDED = frozenset(
    (
        Conv1D, MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D, GlobalAveragePooling1D,
        Bidirectional,
    )
)  # fmt: skip


_Lower: TypeAlias = Callable[[Any, Lowering], list[Part] | str]
_PARTS: dict[type[Layer], _Lower] = {
    Bidirectional: bidirectional,
    Dense: _dense,
    **NOISE,
    Embedding: _embedding,
    LayerNormalization: _normalization,
    RMSNormalization: _rms_normalization,
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
    Masking: _masking,
}
