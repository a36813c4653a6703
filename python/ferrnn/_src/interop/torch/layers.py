"""The layers that compute the same as a PyTorch module, with its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.interop.gates import TORCH, ordered
from ferrnn._src.interop.torch.modules import Module
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import ELU, Activation, LeakyReLU, PReLU
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.pooling import AveragePooling1D, MaxPooling1D
from ferrnn._src.layers.projected_lstm import ProjectedLSTM
from ferrnn._src.layers.reshaping import Flatten
from ferrnn._src.layers.resizing import ZeroPadding1D
from ferrnn._src.layers.scaling import GroupNormalization, RMSNormalization
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.tree.types import Array

_RECURRENT = re.compile(r"(weight|bias)_(ih|hh|hr)(?:_l(\d+))?(_reverse)?")
_GATES = {1: "RNN", 3: "GRU", 4: "LSTM"}


@dataclass(frozen=True)
class Made:
    """A layer, the weights to set once it is built, and the number of its features, if known."""

    layer: Layer
    weights: list[Array]
    features: int | None = None
    over_time: bool = False
    without_time: tuple[Layer, list[Array]] | None = None  # in place of both in `[batch, features]`


def layers_of(module: Module, options: Mapping[str, Any]) -> list[Made]:
    """The layers of one module; `options` override its settings.

    Raises:
        ValueError: The module is not supported, or its weights do not fit together.
    """
    known = {**module.settings, **options}
    kind = str(known.pop("kind", "") or module.kind or _kind_of(module))
    name = module.name or "the source"
    if kind in _SEQUENCES:
        return [made for part in module.inside.values() for made in layers_of(part, {})]
    make = _MAKERS.get(kind)
    if make is None:
        told = (
            "its class cannot be determined from its tensors"
            if not kind
            else f"{kind} is not supported"
        )
        raise ValueError(
            f"`layers`: {told}, at {module.described()}. Give it as ({name!r}, "
            f"{{'kind': ...}}) with one of {', '.join(sorted(_MAKERS))}, or replace it by a ferrnn "
            "layer"
        )
    try:
        return make(module, known)
    except (KeyError, IndexError) as error:
        raise ValueError(f"`source`: {kind} {name!r} has no tensor {error}") from None


def _kind_of(module: Module) -> str:
    """The class to which the names and shapes of a module's tensors belong, or "" if ambiguous."""
    tensors = module.tensors
    for key, recurrent in tensors.items():
        if re.fullmatch(r"weight_hh(_l0)?", key) and recurrent.ndim == 2:
            rows = recurrent.shape[0]
            projected = key.replace("weight_hh", "weight_hr") in tensors
            gates = 4 if projected else rows // max(recurrent.shape[1], 1)
            return _GATES.get(gates, "") + ("" if key.endswith("_l0") else "Cell")
    if "running_mean" in tensors:
        return "BatchNorm1d"
    weight = tensors.get("weight")
    if weight is not None and "bias" in tensors:
        return {1: "LayerNorm", 2: "Linear", 3: "Conv1d"}.get(weight.ndim, "")
    return "Conv1d" if weight is not None and weight.ndim == 3 else ""


def _recurrent(module: Module, known: Mapping[str, Any], kind: str) -> list[Made]:
    """A stack of recurrent layers with one direction or two, and PyTorch's dropout between them."""
    depth = 1 + max(
        int(match[3] or 0) for key in module.tensors if (match := _RECURRENT.fullmatch(key))
    )
    both = any(key.endswith("_reverse") for key in module.tensors)
    rate = float(known.get("dropout") or 0.0)
    made: list[Made] = []
    for index in range(depth):
        last = index == depth - 1
        sequences = not last or bool(known.get("return_sequences", True))
        name = (
            f"{(module.name or kind.lower()).replace('.', '_')}{f'_l{index}' if depth > 1 else ''}"
        )
        directions = [_direction(module, kind, index, known, "")]
        if both:
            directions.append(_direction(module, kind, index, known, "_reverse"))
        made.append(_over_time(directions, sequences, name))
        if rate and not last:
            made.append(Made(Dropout(rate), []))
    return made


@dataclass(frozen=True)
class _Direction:
    """One layer and direction of a recurrent module: how to make it, and its weights."""

    make: Callable[..., Layer]
    weights: list[Array]


def _over_time(directions: list[_Direction], sequences: bool, name: str) -> Made:
    options: dict[str, Any] = {"return_sequences": sequences}
    ahead = directions[0]
    features = ahead.weights[0].shape[0]
    if len(directions) == 1:
        return Made(ahead.make(**options, name=name), ahead.weights, features, over_time=True)
    back = directions[1]
    layer = Bidirectional(ahead.make(**options), name=name)
    return Made(layer, [*ahead.weights, *back.weights], features, over_time=True)


def _direction(
    module: Module, kind: str, index: int, known: Mapping[str, Any], end: str
) -> _Direction:
    ending = f"_l{index}{end}" if any(key.endswith("_l0") for key in module.tensors) else end
    take = module.tensors.get
    order = TORCH[kind]
    kernel = ordered(module.tensors[f"weight_ih{ending}"], order).T
    recurrent = ordered(module.tensors[f"weight_hh{ending}"], order).T
    shapes = f"weight_ih{ending} {kernel.shape[::-1]}, weight_hh{ending} {recurrent.shape[::-1]}"
    projection = take(f"weight_hr{ending}")
    if projection is not None:
        projection = projection.T
        if kind != "LSTM" or projection.shape[1] != recurrent.shape[0]:
            raise ValueError(
                f"`source`: the weights of {module.name or kind!r} do not fit: {shapes}, "
                f"weight_hr{ending} {projection.shape[::-1]}"
            )
    rows = recurrent.shape[0]
    units = rows if projection is None else projection.shape[0]
    if recurrent.shape != (rows, units * len(order)) or kernel.shape[1:] != recurrent.shape[1:]:
        raise ValueError(f"`source`: the weights of {module.name or kind!r} do not fit: {shapes}")
    biases = [take(f"bias_ih{ending}"), take(f"bias_hh{ending}")]
    given = [ordered(bias, order) for bias in biases if bias is not None]
    weights = [kernel, recurrent, *_biases(kind, given)]
    if projection is not None:
        weights.append(projection)
    options: dict[str, Any] = {"use_bias": bool(given)}
    if kind == "RNN":
        options["activation"] = known.get("nonlinearity", "tanh")
    if kind == "GRU":
        options["reset_after"] = True
    make: Callable[..., Layer] = {"LSTM": LSTM, "GRU": GRU, "RNN": SimpleRNN}[kind]
    if projection is not None:
        make, options["projection_units"] = ProjectedLSTM, rows
    return _Direction(lambda **more: make(units, **options, **more), weights)


def _biases(kind: str, given: list[Array]) -> list[Array]:
    """The sum of PyTorch's two biases; for a GRU, both, as its reset gate comes between them."""
    if not given:
        return []
    if kind == "GRU":
        return [np.stack(given)]
    total = np.sum([bias.astype(np.float64) for bias in given], axis=0)
    return [total.astype(given[0].dtype)]


def _cell(kind: str) -> Callable[[Module, Mapping[str, Any]], list[Made]]:
    return lambda module, known: _recurrent(module, known, kind)


def _linear(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight, bias = module.tensors["weight"], module.tensors.get("bias")
    layer = Dense(weight.shape[0], use_bias=bias is not None, name=_name(module))
    weights = [weight.T] if bias is None else [weight.T, bias]
    return [Made(layer, weights, weight.shape[1])]


def _embedding(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight = module.tensors["weight"]
    _refuse_others(module, known, {"max_norm": None, "scale_grad_by_freq": False})
    return [Made(Embedding(*weight.shape, name=_name(module)), [weight])]


def _layer_norm(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight, bias = module.tensors.get("weight"), module.tensors.get("bias")
    shape = known.get("normalized_shape")
    axes = len(shape) if isinstance(shape, tuple) else 1 if weight is None else weight.ndim
    layer = LayerNormalization(
        axis=-1 if axes == 1 else list(range(-axes, 0)),
        epsilon=float(known.get("eps", 1e-5)),
        scale=weight is not None,
        center=bias is not None,
        name=_name(module),
    )
    return [Made(layer, [value for value in (weight, bias) if value is not None])]


def _batch_norm(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight, bias = module.tensors.get("weight"), module.tensors.get("bias")
    momentum = known.get("momentum", 0.1)
    layer = BatchNormalization(
        epsilon=float(known.get("eps", 1e-5)),
        momentum=1.0 - (0.1 if momentum is None else float(momentum)),
        scale=weight is not None,
        center=bias is not None,
        name=_name(module),
    )
    tensors = [weight, bias, module.tensors["running_mean"], module.tensors["running_var"]]
    return [Made(layer, [value for value in tensors if value is not None])]


def _conv1d(module: Module, known: Mapping[str, Any]) -> list[Made]:
    """The convolution over time: PyTorch's `[batch, features, time]` with the axes swapped."""
    weight, bias = module.tensors["weight"], module.tensors.get("bias")
    groups, padding = int(known.get("groups", 1)), known.get("padding", 0)
    _refuse_others(module, known, {"padding_mode": "zeros"})
    layer = Conv1D(
        weight.shape[0],
        weight.shape[2],
        strides=known.get("stride", 1),
        dilation_rate=known.get("dilation", 1),
        padding="same" if padding == "same" else "valid",
        groups=groups,
        use_bias=bias is not None,
        name=_name(module),
    )
    weights = [weight.transpose(2, 1, 0)] if bias is None else [weight.transpose(2, 1, 0), bias]
    features = weight.shape[1] * groups
    width = 0 if isinstance(padding, str) else int(np.ravel(padding)[0])
    made = Made(layer, weights, features, over_time=True)
    return [Made(ZeroPadding1D(width), [], features, over_time=True), made] if width else [made]


def _pooling(kind: type[MaxPooling1D | AveragePooling1D]) -> Callable[..., list[Made]]:
    def make(module: Module, known: Mapping[str, Any]) -> list[Made]:
        unlike = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}
        _refuse_others(module, known, unlike)
        size = int(np.ravel(known["kernel_size"])[0])
        strides = known.get("stride")
        return [Made(kind(size, size if strides is None else int(np.ravel(strides)[0])), [])]

    return make


def _rms_norm(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight = module.tensors["weight"]
    if known.get("eps") is None:
        raise ValueError(
            f"`layers`: `eps` of the RMSNorm {module.name!r} is required; PyTorch's default is the "
            "dtype's: np.finfo(np.float32).eps"
        )
    axis = -1 if weight.ndim == 1 else list(range(-weight.ndim, 0))
    return [Made(RMSNormalization(axis, float(known["eps"]), name=_name(module)), [weight])]


def _group_norm(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight, bias = module.tensors.get("weight"), module.tensors.get("bias")
    layer = GroupNormalization(
        int(known["num_groups"]),
        epsilon=float(known.get("eps", 1e-5)),
        scale=weight is not None,
        center=bias is not None,
        name=_name(module),
    )
    return [Made(layer, [value for value in (weight, bias) if value is not None])]


def _plain(make: Callable[[Mapping[str, Any]], Layer]) -> Callable[..., list[Made]]:
    return lambda module, known: [Made(make(known), [])]


def _activation(name: str, **expected: Any) -> Callable[..., list[Made]]:
    """An activation without settings; refuses values other than PyTorch's defaults."""

    def make(module: Module, known: Mapping[str, Any]) -> list[Made]:
        _refuse_others(module, known, expected)
        return [Made(Activation(name), [])]

    return make


def _refuse_others(module: Module, known: Mapping[str, Any], only: Mapping[str, Any]) -> None:
    """Raises ValueError for settings with values that are not supported."""
    for setting, value in only.items():
        given = known.get(setting, value)
        if (given[0] if isinstance(given, tuple) and len(set(given)) == 1 else given) != value:
            raise ValueError(
                f"`source`: {setting}={given!r} of {module.name!r} is not supported, only {value!r}"
            )


def _prelu(module: Module, known: Mapping[str, Any]) -> list[Made]:
    weight = module.tensors["weight"]
    if weight.shape != (1,):
        alone = (PReLU(), [weight])
        return [Made(PReLU(shared_axes=[1]), [weight[None, :]], without_time=alone)]
    return [Made(LeakyReLU(negative_slope=float(weight[0])), [])]


def _elu(module: Module, known: Mapping[str, Any]) -> list[Made]:
    alpha = float(known.get("alpha", 1.0))
    return [Made(Activation("elu") if alpha == 1 else ELU(alpha=alpha), [])]


def _softmax(module: Module, known: Mapping[str, Any]) -> list[Made]:
    """The axis must be the last one."""
    axis = known.get("dim", -1)
    if axis not in {-1, 1, 2, None}:
        raise ValueError(f"`source`: a softmax over the axis {axis} is not supported")
    return [Made(Activation("softmax"), [])]


def _name(module: Module) -> str | None:
    return module.name.replace(".", "_") or None


_SEQUENCES = frozenset({"Sequential", "ModuleList"})
_MAKERS: dict[str, Callable[[Module, Mapping[str, Any]], list[Made]]] = {
    **{kind: _cell(kind) for kind in ("LSTM", "GRU", "RNN")},
    **{f"{kind}Cell": _cell(kind) for kind in ("LSTM", "GRU", "RNN")},
    "Linear": _linear,
    "Embedding": _embedding,
    "LayerNorm": _layer_norm,
    "BatchNorm1d": _batch_norm,
    "Conv1d": _conv1d,
    "RMSNorm": _rms_norm,
    "GroupNorm": _group_norm,
    "MaxPool1d": _pooling(MaxPooling1D),
    "AvgPool1d": _pooling(AveragePooling1D),
    "Identity": lambda module, known: [],
    "Flatten": _plain(lambda known: Flatten()),
    "Dropout": _plain(lambda known: Dropout(float(known.get("p", 0.5)))),
    "ELU": _elu,
    "LeakyReLU": _plain(lambda known: LeakyReLU(float(known.get("negative_slope", 0.01)))),
    "PReLU": _prelu,
    "Softmax": _softmax,
    "GELU": _activation("gelu", approximate="none"),
    "ReLU": _activation("relu"),
    "ReLU6": _activation("relu6"),
    "SELU": _activation("selu"),
    "CELU": _activation("celu", alpha=1.0),
    "SiLU": _activation("silu"),
    "Mish": _activation("mish"),
    "Tanh": _activation("tanh"),
    "Sigmoid": _activation("sigmoid"),
    "Hardsigmoid": _activation("hard_sigmoid"),
    "Hardswish": _activation("hard_silu"),
    "Hardtanh": _activation("hard_tanh", min_val=-1.0, max_val=1.0),
    "Softplus": _activation("softplus", beta=1.0),
    "Softsign": _activation("softsign"),
    "Tanhshrink": _activation("tanh_shrink"),
    "LogSigmoid": _activation("log_sigmoid"),
    "LogSoftmax": _activation("log_softmax"),
}
