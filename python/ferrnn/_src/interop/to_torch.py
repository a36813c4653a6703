"""Models for PyTorch: a state dict of arrays, and the Python source of the module."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.cells.gru import GRUCell
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.projected_lstm import ProjectedLSTMCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.interop.gates import TORCH, from_ours
from ferrnn._src.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.projected_lstm import ProjectedLSTM
from ferrnn._src.layers.reshaping import Flatten
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.model import Functional
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.tree.types import Array

# The PyTorch code that applies each activation to `x`.
_FUNCTIONS = {
    "relu": "torch.relu(x)",
    "tanh": "torch.tanh(x)",
    "sigmoid": "torch.sigmoid(x)",
    "softmax": "torch.softmax(x, -1)",
    "log_softmax": "torch.log_softmax(x, -1)",
    "exponential": "torch.exp(x)",
    "softplus": "nn.functional.softplus(x)",
    "softsign": "nn.functional.softsign(x)",
    "elu": "nn.functional.elu(x)",
    "selu": "torch.selu(x)",
    "silu": "nn.functional.silu(x)",
    "gelu": "nn.functional.gelu(x)",
    "mish": "nn.functional.mish(x)",
    "relu6": "nn.functional.relu6(x)",
    "leaky_relu": "nn.functional.leaky_relu(x, 0.2)",
    "hard_sigmoid": "nn.functional.hardsigmoid(x)",
    "hard_silu": "nn.functional.hardswish(x)",
}
_INDENT = " " * 8


@dataclass
class TorchModel:
    """The result of `to_torch`: the arrays by name, and the source of the class `Model`."""

    state: dict[str, Array]
    code: str


@dataclass
class _Parts:
    """The lines of the class so far, and its arrays."""

    state: dict[str, Array] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def module(self, layer: Any, made: str, arrays: dict[str, Any]) -> str:
        """Adds a module, and returns its name."""
        name = re.sub(r"\W", "_", layer.name)
        name = name if name.isidentifier() else f"layer_{name}"
        while any(line.startswith(f"self.{name} =") for line in self.made):
            name += "_"
        self.made.append(f"self.{name} = {made}")
        for key, value in arrays.items():
            array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
            self.state[f"{name}.{key}"] = np.array(array, order="C")
        return name

    def call(self, *lines: str) -> None:
        self.calls += lines

    def activation(self, function: Any, layer: Any) -> None:
        name = function.__name__ if type(function) is Function else ""
        if name == "linear":
            return
        if name not in _FUNCTIONS:
            raise ValueError(
                f"the activation {name or function!r} of layer {layer.name!r} cannot be converted "
                f"to PyTorch; supported are {', '.join(sorted(_FUNCTIONS))}"
            )
        self.call(f"x = {_FUNCTIONS[name]}")


def to_torch(model: Any) -> TorchModel:
    """A model as a state dict for PyTorch and the source of a module that loads it.

    The module has the class `Model`, takes `[batch, time, features]` as the model does, and
    computes the same numbers:

        made = ferrnn.to_torch(model)
        exec(made.code)
        module = Model()
        module.load_state_dict({name: torch.from_numpy(a) for name, a in made.state.items()})

    The layers must follow one another: a Sequential model, or a graph without branches.

    Raises:
        ValueError: PyTorch has no equivalent of a layer, such as a GRU with
            `reset_after=False`, or the model is not a chain. The message names the layer.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.LSTM(3, name="memory")])
    >>> made = to_torch(model)
    >>> sorted(made.state)[:2], made.state["memory.weight_ih_l0"].shape
    (['memory.bias_hh_l0', 'memory.bias_ih_l0'], (12, 2))
    >>> print(made.code)
    import torch
    from torch import nn
    <BLANKLINE>
    <BLANKLINE>
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = nn.LSTM(2, 3, batch_first=True)
    <BLANKLINE>
        def forward(self, x):
            x = self.memory(x)[0]
            x = x[:, -1]
            return x
    <BLANKLINE>
    """
    parts = _Parts()
    rank = 0
    for layer, shape in _chain(model):
        rank = len(shape)
        writer = _WRITERS.get(type(layer))
        if writer is None:
            raise ValueError(
                f"layer {layer.name!r} cannot be converted to PyTorch: it is a "
                f"{type(layer).__name__}; {', '.join(sorted(e.__name__ for e in _WRITERS))} can"
            )
        writer(parts, layer, rank)
    lines = ["import torch", "from torch import nn", "", "", "class Model(nn.Module):"]
    lines += ["    def __init__(self):", f"{_INDENT}super().__init__()"]
    lines += [_INDENT + line for line in parts.made]
    lines += ["", "    def forward(self, x):"]
    lines += [_INDENT + line for line in (*parts.calls, "return x")]
    return TorchModel(parts.state, "\n".join(lines) + "\n")


def _chain(model: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each layer of a graph without forks, and the shape of its inputs."""
    graph = getattr(model, "_graph", None)
    if graph is None or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"the model {model.name!r} must be a built chain of layers with one input and one "
            "output"
        )
    reached = graph.inputs[0]
    for step in graph.steps:
        layer = step.layer
        if step.node.inputs is not reached or step.node.mask is not None:
            raise ValueError(
                f"layer {layer.name!r} takes something besides the outputs of the layer before, "
                "while the model must be a chain"
            )
        if type(layer) in (Functional, Sequential):
            yield from _chain(layer)
        else:
            yield layer, tuple(reached.shape)
        reached = step.node.outputs


def _dense(parts: _Parts, layer: Any, rank: int) -> None:
    sizes = f"{layer.kernel.shape[0]}, {layer.kernel.shape[1]}"
    arrays = {"weight": layer.kernel.numpy().T}
    made = f"nn.Linear({sizes})"
    if layer.bias is None:
        made = f"nn.Linear({sizes}, bias=False)"
    else:
        arrays["bias"] = layer.bias.numpy()
    parts.call(f"x = self.{parts.module(layer, made, arrays)}(x)")
    parts.activation(layer.activation, layer)


def _embedding(parts: _Parts, layer: Any, rank: int) -> None:
    if layer.mask_zero:
        raise ValueError(
            f"layer {layer.name!r} makes a mask, which PyTorch's layers do not support"
        )
    made = f"nn.Embedding({layer.input_dim}, {layer.output_dim})"
    name = parts.module(layer, made, {"weight": layer.embeddings})
    parts.call(f"x = self.{name}(x)")


def _direction(layer: Any, suffix: str) -> tuple[str, str, dict[str, Any]]:
    """A recurrent layer's class, its options, and the arrays of one direction."""
    cell = layer.cell
    names = {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN", ProjectedLSTMCell: "LSTM"}
    kind = names.get(type(cell), "")
    functions = [getattr(cell.activation, "__name__", ""), "sigmoid"]
    if kind in ("LSTM", "GRU"):
        functions[1] = getattr(cell.recurrent_activation, "__name__", "")
    allowed = ("tanh", "relu") if kind == "RNN" else ("tanh",)
    reset = kind != "GRU" or cell.reset_after
    wide = kind != "" and cell.output_size == cell.units
    projected = type(cell) is ProjectedLSTMCell
    if (
        not kind
        or functions[0] not in allowed
        or functions[1] != "sigmoid"
        or not reset
        or cell.clip
    ):
        raise ValueError(
            f"layer {layer.name!r} cannot be converted to PyTorch, where LSTM and GRU have tanh "
            "and sigmoid, the GRU applies the reset gate after the product (`reset_after=True`), "
            "the RNN has tanh or relu, and none has a clip"
        )
    if projected and wide:
        raise ValueError(
            f"layer {layer.name!r} cannot be converted to PyTorch, where a projection must have "
            f"fewer units than the LSTM, {cell.units}"
        )
    if layer.return_state or layer.stateful:
        raise ValueError(
            f"layer {layer.name!r} returns its states, which a chain in PyTorch cannot pass on"
        )
    order = TORCH[kind]
    arrays: dict[str, Any] = {
        f"weight_ih_l0{suffix}": from_ours(cell.kernel.numpy().T, order),
        f"weight_hh_l0{suffix}": from_ours(cell.recurrent_kernel.numpy().T, order),
    }
    options = ", nonlinearity='relu'" if functions[0] == "relu" else ""
    if projected:
        options = f", proj_size={cell.projection_units}"
        arrays[f"weight_hr_l0{suffix}"] = cell.projection_kernel.numpy().T
    if cell.bias is None:
        return kind, options + ", bias=False", arrays
    bias = cell.bias.numpy()
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    for key, own in zip(("ih", "hh"), both, strict=True):
        arrays[f"bias_{key}_l0{suffix}"] = from_ours(own, order)
    return kind, options, arrays


def _recurrent(parts: _Parts, layer: Any, rank: int) -> None:
    kind, options, arrays = _direction(layer, "")
    sizes = f"{layer.cell.kernel.shape[0]}, {layer.cell.units}"
    name = parts.module(layer, f"nn.{kind}({sizes}, batch_first=True{options})", arrays)
    if layer.go_backwards:
        parts.call("x = x.flip(1)")
    parts.call(f"x = self.{name}(x)[0]")
    if not layer.return_sequences:
        parts.call("x = x[:, -1]")


def _bidirectional(parts: _Parts, layer: Any, rank: int) -> None:
    ahead, back = layer.forward_layer, layer.backward_layer
    kind, options, arrays = _direction(ahead, "")
    other, more, reversed_arrays = _direction(back, "_reverse")
    units, outputs = ahead.cell.units, ahead.cell.output_size
    alike = (kind, options, units) == (other, more, back.cell.units)
    if not alike or ahead.go_backwards or layer.merge_mode is None:
        raise ValueError(
            f"layer {layer.name!r} cannot be converted to PyTorch: both directions must have the "
            "same settings, the first must go forward, and the outputs must be merged"
        )
    made = f"nn.{kind}({ahead.cell.kernel.shape[0]}, {units}, batch_first=True, "
    made += f"bidirectional=True{options})"
    name = parts.module(layer, made, {**arrays, **reversed_arrays})
    parts.call(f"x = self.{name}(x)[0]")
    if not layer.return_sequences:
        parts.call(f"x = torch.cat([x[:, -1, :{outputs}], x[:, 0, {outputs}:]], -1)")
    operators = {"sum": "+", "mul": "*", "ave": "+"}
    if layer.merge_mode in operators:
        parts.call(f"x = x[..., :{units}] {operators[layer.merge_mode]} x[..., {units}:]")
    if layer.merge_mode == "ave":
        parts.call("x = x / 2")


def _layer_normalization(parts: _Parts, layer: Any, rank: int) -> None:
    last = [axis % rank for axis in layer.axis] == [rank - 1]
    if not last or layer.gamma is None or layer.rms_scaling:
        raise ValueError(
            f"layer {layer.name!r} must center and scale over the last axis to be converted to "
            "PyTorch"
        )
    size = layer.gamma.shape[0]
    arrays = {"weight": layer.gamma, "bias": np.zeros(size, layer.gamma.dtype)}
    if layer.beta is not None:
        arrays["bias"] = layer.beta
    made = f"nn.LayerNorm({size}, eps={layer.epsilon!r})"
    parts.call(f"x = self.{parts.module(layer, made, arrays)}(x)")


def _batch_normalization(parts: _Parts, layer: Any, rank: int) -> None:
    if layer.axis % rank != rank - 1 or rank not in (2, 3):
        raise ValueError(
            f"layer {layer.name!r} must normalize the last of 2 or 3 axes to be converted to "
            "PyTorch"
        )
    mean = layer.moving_mean.numpy()
    arrays = {
        "weight": np.ones_like(mean) if layer.gamma is None else layer.gamma,
        "bias": np.zeros_like(mean) if layer.beta is None else layer.beta,
        "running_mean": mean,
        "running_var": layer.moving_variance,
        "num_batches_tracked": np.zeros((), "int64"),
    }
    made = f"nn.BatchNorm1d({len(mean)}, eps={layer.epsilon!r}, momentum={1 - layer.momentum:.6g})"
    name = parts.module(layer, made, arrays)
    call = f"self.{name}(x)" if rank == 2 else f"self.{name}(x.transpose(1, 2)).transpose(1, 2)"
    parts.call(f"x = {call}")


def _convolution(parts: _Parts, layer: Any, rank: int) -> None:
    (size,), (stride,), (dilation,) = layer.kernel_size, layer.strides, layer.dilation_rate
    reach = dilation * (size - 1)
    if layer.data_format != "channels_last" or (layer.padding == "same" and stride > 1):
        raise ValueError(
            f"layer {layer.name!r} must have features last, and no strides with padding='same', to "
            "be converted to PyTorch"
        )
    arrays = {"weight": layer.kernel.numpy().transpose(2, 1, 0)}
    if layer.bias is not None:
        arrays["bias"] = layer.bias.numpy()
    features = layer.kernel.shape[1] * layer.groups
    options = f", stride={stride}, dilation={dilation}, groups={layer.groups}"
    options += "" if layer.use_bias else ", bias=False"
    name = parts.module(layer, f"nn.Conv1d({features}, {layer.filters}, {size}{options})", arrays)
    before = {"valid": 0, "same": reach // 2, "causal": reach}[layer.padding]
    after = reach - before if layer.padding == "same" else 0
    if before or after:
        parts.call(f"x = nn.functional.pad(x, (0, 0, {before}, {after}))")
    parts.call(f"x = self.{name}(x.transpose(1, 2)).transpose(1, 2)")
    parts.activation(layer.activation, layer)


def _over_time(parts: _Parts, layer: Any, rank: int) -> None:
    inner = layer.layer
    if type(inner) not in (Dense, Activation, Dropout):
        raise ValueError(
            f"layer {layer.name!r} cannot be converted to PyTorch: it is a TimeDistributed of "
            f"{type(inner).__name__}; supported are those of Dense, Activation and Dropout"
        )
    _WRITERS[type(inner)](parts, inner, rank)


def _relu(parts: _Parts, layer: Any, rank: int) -> None:
    if layer.threshold or layer.negative_slope or layer.max_value is not None:
        raise ValueError(
            f"layer {layer.name!r} cannot be converted to PyTorch, whose ReLU does not have its "
            "settings"
        )
    parts.call("x = torch.relu(x)")


def _line(text: str) -> Callable[[_Parts, Any, int], None]:
    return lambda parts, layer, rank: parts.call(text.format(layer=layer))


def _dropout(parts: _Parts, layer: Any, rank: int) -> None:
    parts.call(f"x = self.{parts.module(layer, f'nn.Dropout({layer.rate})', {})}(x)")


_WRITERS: dict[type, Callable[[_Parts, Any, int], None]] = {
    Activation: lambda parts, layer, rank: parts.activation(layer.activation, layer),
    BatchNormalization: _batch_normalization,
    Bidirectional: _bidirectional,
    Conv1D: _convolution,
    Dense: _dense,
    Dropout: _dropout,
    Embedding: _embedding,
    Flatten: _line("x = x.flatten(1)"),
    GRU: _recurrent,
    GlobalAveragePooling1D: _line("x = x.mean(1)"),
    GlobalMaxPooling1D: _line("x = x.amax(1)"),
    LSTM: _recurrent,
    LayerNormalization: _layer_normalization,
    LeakyReLU: _line("x = nn.functional.leaky_relu(x, {layer.negative_slope})"),
    ReLU: _relu,
    SimpleRNN: _recurrent,
    ProjectedLSTM: _recurrent,
    Softmax: _line("x = torch.softmax(x, {layer.axis})"),
    TimeDistributed: _over_time,
}
