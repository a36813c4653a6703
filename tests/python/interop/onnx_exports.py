"""What torch's two exporters write: the models, and how each is exported."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import nn

from recording import Array, Random
from torch_models import Chain, Tagger, chains, randomized


class WithStates(nn.Module):
    """A recurrent layer that takes and gives its states, as streaming services export it."""

    def __init__(self, rnn: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = states if len(states) > 1 else states[0]
        outputs, final = self.rnn(x, given)
        return (self.head(outputs), *(final if isinstance(final, tuple) else (final,)))


class Packed(nn.Module):
    """A bidirectional LSTM on a packed sequence: each row has its own length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, bidirectional=True)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=True)
        outputs, (h, _) = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(outputs)[0], h


class Steps(nn.Module):
    """One step of a cell and a head: a policy that runs at one kHz."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(5, 2)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[Any, ...]:
        h, c = self.cell(x, (h, c))
        return self.head(torch.relu(h)), h, c


@dataclass
class Export:
    """A model, its inputs, and the axes of each input that are free."""

    model: nn.Module
    inputs: tuple[Array, ...]
    free: tuple[dict[int, str], ...]
    scripted: bool = False


def exports() -> dict[str, Export]:
    """Every model by name."""

    def x(name: str, *shape: int) -> Array:
        return Random(name).normal(*shape, dtype="float32")

    first, second = {0: "batch", 1: "time"}, {1: "batch", 0: "time"}
    rows = {1: "batch"}
    ids = Random("ids").rng.integers(0, 11, (3, 7))
    found = {
        "lstm": Export(nn.LSTM(4, 5), (x("lstm", 7, 3, 4),), (second,)),
        "lstm_no_bias": Export(nn.LSTM(4, 5, bias=False), (x("lstm_no_bias", 7, 3, 4),), (second,)),
        "lstm_deep": Export(
            nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True),
            (x("lstm_deep", 3, 7, 4),), (first,),
        ),
        "gru_deep": Export(
            nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True),
            (x("gru_deep", 3, 7, 4),), (first,),
        ),
        "rnn_relu": Export(
            nn.RNN(4, 5, num_layers=2, nonlinearity="relu"), (x("rnn_relu", 7, 3, 4),), (second,)
        ),
        "rnn_tanh": Export(
            nn.RNN(4, 5, bidirectional=True), (x("rnn_tanh", 7, 3, 4),), (second,)
        ),
        "tagger": Export(Chain(*Tagger().named_children()), (ids,), (first,)),
        "tagger_scripted": Export(Tagger(), (ids,), (first,), scripted=True),
        "forecaster": Export(chains()["forecaster"], (x("forecaster", 3, 7, 4),), (first,)),
        "convolution": Export(chains()["convolution"], (x("convolution", 3, 4, 21),),
                              ({0: "batch"},)),
        "scaling": Export(chains()["scaling"], (x("scaling", 3, 5),), ({0: "batch"},)),
        "lstm_states": Export(
            WithStates(nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)),
            (x("lstm_states", 3, 7, 4), x("h", 1, 3, 5), x("c", 1, 3, 5)), (first, rows, rows),
        ),
        "gru_states": Export(
            WithStates(nn.GRU(4, 5, num_layers=2, batch_first=True), nn.Linear(5, 2)),
            (x("gru_states", 3, 7, 4), x("h", 2, 3, 5)), (first, rows),
        ),
        "step": Export(
            Steps(nn.LSTMCell(4, 5)), (x("step", 3, 4), x("h", 3, 5), x("c", 3, 5)),
            ({0: "batch"},) * 3,
        ),
        "packed": Export(
            Packed(), (x("packed", 7, 3, 4), torch.tensor([7, 4, 2]).numpy()),
            (second, {0: "batch"}),
        ),
    }  # fmt: skip
    for name, export in found.items():
        export.model = randomized(export.model, f"export {name}")
    return found


def exported(export: Export, dynamo: bool, opset: int) -> bytes:
    """The bytes that torch writes; the caller reports what it raises."""
    model = torch.jit.script(export.model) if export.scripted else export.model
    given = tuple(torch.from_numpy(array) for array in export.inputs)
    names = [f"x_{i}" for i in range(len(given))]
    how: dict[str, Any] = {"dynamic_axes": dict(zip(names, export.free, strict=True))}
    if dynamo:
        axes = {
            name: torch.export.Dim(name, min=1, max=4096)
            for free in export.free
            for name in free.values()
        }
        how = {
            "dynamic_shapes": tuple(
                {axis: axes[name] for axis, name in free.items()} for free in export.free
            ),
            "external_data": False,
            "verbose": False,
        }
        if isinstance(export.model, WithStates):
            shapes = how["dynamic_shapes"]
            how["dynamic_shapes"] = (shapes[0], tuple(shapes[1:]))
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, given, target, input_names=names, opset_version=opset, dynamo=dynamo, **how
        )
    return without_traces(target.getvalue())


def without_traces(written: bytes) -> bytes:
    """The model without stack traces, which are most of the file and name folders."""
    model = onnx.load_from_string(written)
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
    return model.SerializeToString()
