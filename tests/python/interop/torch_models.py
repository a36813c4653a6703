"""The modules of `make_torch.py`: chains of torch's layers with ragged sizes and random weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recording import Random

GLUE = ("last_step", "mean_over_time", "channels_first", "channels_last")
OPTIONS = {
    "LSTM": "input_size hidden_size num_layers bias batch_first bidirectional proj_size",
    "GRU": "input_size hidden_size num_layers bias batch_first bidirectional",
    "RNN": "input_size hidden_size num_layers bias batch_first bidirectional nonlinearity",
    "LSTMCell": "input_size hidden_size bias",
    "GRUCell": "input_size hidden_size bias",
    "RNNCell": "input_size hidden_size bias nonlinearity",
    "Linear": "in_features out_features",
    "Embedding": "num_embeddings embedding_dim padding_idx",
    "LayerNorm": "normalized_shape eps elementwise_affine",
    "RMSNorm": "normalized_shape eps",
    "GroupNorm": "num_groups num_channels eps",
    "BatchNorm1d": "num_features eps momentum affine",
    "Conv1d": "in_channels out_channels kernel_size stride padding dilation groups",
    "MaxPool1d": "kernel_size stride padding",
    "AvgPool1d": "kernel_size stride padding",
    "Dropout": "p",
    "LeakyReLU": "negative_slope",
    "ELU": "alpha",
    "CELU": "alpha",
    "GELU": "approximate",
    "Softmax": "dim",
    "LogSoftmax": "dim",
    "Hardtanh": "min_val max_val",
    "Threshold": "threshold value",
    "Softplus": "beta threshold",
    "PReLU": "num_parameters",
    "Flatten": "start_dim end_dim",
}


def options(module: nn.Module) -> dict[str, Any]:
    """What the state dict does not say about a layer, as JSON."""
    found = {}
    for name in OPTIONS.get(type(module).__name__, "").split():
        value = getattr(module, name)
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


class Chain(nn.Module):
    """Layers, each under its name, one after the other; a name of `GLUE` is a step without one."""

    def __init__(self, *steps: tuple[str, nn.Module] | str) -> None:
        super().__init__()
        self.steps = [step if isinstance(step, str) else step[0] for step in steps]
        for step in steps:
            if not isinstance(step, str):
                self.add_module(*step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            if step == "last_step":
                x = x[:, -1]
            elif step == "mean_over_time":
                x = x.mean(1)
            elif step in ("channels_first", "channels_last"):
                x = x.transpose(1, 2)
            else:
                x = self._modules[step](x)
            if isinstance(x, tuple):
                x = x[0]
        return x

    def order(self) -> list[dict[str, Any]]:
        """The steps, each a kind, the name of its weights, and its options."""
        found: list[dict[str, Any]] = []
        for step in self.steps:
            if step in GLUE:
                found.append({"kind": step})
            else:
                module = self._modules[step]
                found.append({"name": step, "kind": type(module).__name__, **options(module)})
        return found


def randomized(module: nn.Module, name: str) -> nn.Module:
    """The module in evaluation mode with all weights and statistics random, none constant."""
    random = Random(name)
    with torch.no_grad():
        for key, value in (*module.named_parameters(), *module.named_buffers()):
            if key.endswith("num_batches_tracked"):
                value.fill_(17)
                continue
            fan = value.shape[-1] if value.ndim > 1 else 4
            drawn = random.normal(*value.shape, scale=1.2 / math.sqrt(fan), dtype="float32")
            if "running_var" in key:
                drawn = random.uniform(*value.shape, low=0.4, high=2.0).astype("float32")
            elif "norm" in key and key.endswith("weight"):
                drawn = 1 + drawn / 2
            value.copy_(torch.from_numpy(drawn))
    return module.eval()


def sequences() -> dict[str, nn.Module]:
    """Recurrent layers alone: they are run with and without an initial state."""
    return {
        "lstm": nn.LSTM(5, 6, batch_first=True),
        "lstm_3_layers": nn.LSTM(3, 5, num_layers=3),
        "lstm_bidirectional": nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True),
        "lstm_projected": nn.LSTM(4, 7, proj_size=3, batch_first=True),
        "lstm_projected_bidirectional": nn.LSTM(
            4, 6, proj_size=3, num_layers=2, bidirectional=True
        ),
        "lstm_no_bias": nn.LSTM(4, 5, bias=False, num_layers=2, batch_first=True),
        "gru": nn.GRU(5, 6, batch_first=True),
        "gru_2_layers_bidirectional": nn.GRU(3, 5, num_layers=2, bidirectional=True),
        "gru_no_bias": nn.GRU(3, 5, bias=False, batch_first=True),
        "rnn_tanh": nn.RNN(5, 6, batch_first=True),
        "rnn_relu": nn.RNN(3, 5, nonlinearity="relu", num_layers=2, bidirectional=True),
        "rnn_no_bias": nn.RNN(3, 4, bias=False, num_layers=3, batch_first=True),
    }


def cells() -> dict[str, nn.Module]:
    """Cells, which the maker runs step by step."""
    return {
        "lstm_cell": nn.LSTMCell(5, 6),
        "gru_cell": nn.GRUCell(5, 6),
        "gru_cell_no_bias": nn.GRUCell(4, 3, bias=False),
        "rnn_cell_tanh": nn.RNNCell(5, 4),
        "rnn_cell_relu": nn.RNNCell(5, 4, nonlinearity="relu"),
    }


class Tagger(nn.Module):
    """What people write: ids to embeddings to a bidirectional LSTM to scores; can be scripted."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(10)
        self.head = nn.Linear(10, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.lstm(self.embedding(ids))
        return self.head(self.norm(outputs))


def activations() -> Sequence[nn.Module]:
    """Every activation that torch has without weights, and `PReLU`."""
    return [
        nn.Tanh(),
        nn.Sigmoid(),
        nn.ReLU(),
        nn.LeakyReLU(0.07),
        nn.ELU(0.8),
        nn.SELU(),
        nn.CELU(0.7),
        nn.GELU(),
        nn.GELU(approximate="tanh"),
        nn.SiLU(),
        nn.Mish(),
        nn.Softplus(),
        nn.Softsign(),
        nn.Hardsigmoid(),
        nn.Hardswish(),
        nn.Hardtanh(-0.7, 0.9),
        nn.ReLU6(),
        nn.LogSigmoid(),
        nn.Tanhshrink(),
        nn.Softmax(dim=-1),
        nn.LogSoftmax(dim=-1),
        nn.PReLU(1),
        nn.Identity(),
    ]


def activation_chains(length: int = 4) -> dict[str, Chain]:
    """The activations, `length` of them in each chain, so that none flattens the values before
    it."""
    found = {}
    every = activations()
    for start in range(0, len(every), length):
        steps: list[tuple[str, nn.Module] | str] = []
        for activation in every[start : start + length]:
            steps.append((str(len(steps)), nn.Linear(5, 5)))
            steps.append((str(len(steps)), activation))
        found[f"activations_{start // length}"] = Chain(*steps)
    return found


def chains() -> dict[str, Chain]:
    """Whole models, float32 and batch first."""
    tagger = Tagger()
    return {
        "tagger": Chain(*tagger.named_children()),
        "forecaster": Chain(
            ("rnn", nn.GRU(4, 7, num_layers=2, batch_first=True)), "last_step",
            ("hidden", nn.Linear(7, 5)), ("activation", nn.LeakyReLU(0.2)),
            ("drop", nn.Dropout(0.3)), ("head", nn.Linear(5, 2, bias=False)),
        ),
        "convolution": Chain(
            ("norm", nn.BatchNorm1d(4, eps=2e-3)), ("conv", nn.Conv1d(4, 6, 3, padding=1)),
            ("relu", nn.ReLU()), ("pool", nn.MaxPool1d(2)),
            ("strided", nn.Conv1d(6, 4, 3, stride=2, dilation=2, groups=2, bias=False)),
            ("elu", nn.ELU(0.6)), "channels_last",
            ("lstm", nn.LSTM(4, 5, batch_first=True)), "last_step", ("head", nn.Linear(5, 3)),
            ("softmax", nn.Softmax(dim=-1)),
        ),
        "scaling": Chain(
            ("linear", nn.Linear(5, 6)), ("norm_1", nn.BatchNorm1d(6)), ("act", nn.Tanh()),
            ("norm_2", nn.GroupNorm(3, 6, eps=1e-3)), ("slopes", nn.PReLU(6)),
            ("norm_3", nn.RMSNorm(6, eps=1e-4)), ("norm_4", nn.LayerNorm(6, eps=1e-2)),
            ("head", nn.Linear(6, 2)),
        ),
        "mixed": Chain(
            ("encoder", nn.RNN(3, 5, batch_first=True, nonlinearity="relu")),
            ("decoder", nn.LSTM(5, 6, proj_size=4, batch_first=True)), "mean_over_time",
            ("head", nn.Linear(4, 3)),
        ),
        **activation_chains(),
    }  # fmt: skip
