"""Every reader of files of models, with a small file that it opens."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn
from attacks import damage

sys.path.append(str(Path(__file__).parents[1] / "interop"))

import foreign

L = ferrnn.layers


def torch(*chain: Any) -> Callable[[Path], Any]:
    return lambda path: ferrnn.from_torch(path, layers=list(chain))


def weights(kind: str) -> Callable[[Path], Any]:
    """Reads the weights of a file alone, into a model of this kind."""

    def load(path: Path) -> Any:
        model = damage.chain() if kind == "chain" else gru()
        model.load_weights(path)
        return model

    return load


def gru() -> Any:
    return ferrnn.Sequential([
        ferrnn.Input((None, 4)), L.GRU(5, return_sequences=True, reset_after=True),
        L.GRU(3, reset_after=False), L.Dense(2),
    ])  # fmt: skip


def scans() -> Any:
    """A model whose ONNX has bodies of Scan."""
    return ferrnn.Sequential(
        [ferrnn.Input((None, 3)), L.IndRNN(4, return_sequences=True), L.ProjectedLSTM(4, 2)]
    )


def own(name: str) -> Callable[[Path], None]:
    """Writes a file of this name by ferrnn."""

    def make(path: Path) -> None:
        if name.endswith(".onnx"):
            scans().export(path)
        else:
            damage.save(damage.trained(damage.chain(), np.random.default_rng(3)), path)

    return make


def copied(file: str) -> Callable[[Path], None]:
    """Takes a file of those that other frameworks wrote."""
    return lambda path: shutil.copyfile(foreign.path(file), path)  # type: ignore[func-returns-value]


Reader = tuple[str, Callable[[Path], None], Callable[[Path], Any]]
_LSTM = (("embedding", {"kind": "Embedding"}), "lstm", "norm", "head")
# The name of the file, what makes it, and what opens it.
READERS: dict[str, Reader] = {
    ".keras": ("m.keras", own("m.keras"), ferrnn.load_model),
    ".weights.h5": ("m.weights.h5", own("m.weights.h5"), weights("chain")),
    "own format": ("m.safetensors", own("m.safetensors"), ferrnn.load_model),
    "own format, weights": ("m.safetensors", own("m.safetensors"), weights("chain")),
    "Keras 1": ("m.h5", copied("keras1/compiled.h5"), ferrnn.load_model),
    "Keras 2, .h5": ("m.h5", copied("keras2/gru.h5"), ferrnn.load_model),
    "Keras 2, weights": ("m.h5", copied("keras2/gru_weights.h5"), weights("gru")),
    "Keras 2, .weights.h5": ("m.weights.h5", copied("keras2/gru.weights.h5"), weights("gru")),
    "Keras 2, .keras": ("m.keras", copied("keras2/gru.keras"), ferrnn.load_model),
    "Keras 3, .h5": ("m.h5", copied("keras3/gru.h5"), ferrnn.load_model),
    "Keras 3, .keras": ("m.keras", copied("keras3/gru.keras"), ferrnn.load_model),
    ".pt": ("m.pt", copied("torch/lstm_3_layers.pt"), torch("")),
    ".pth": ("m.pth", copied("torch/legacy.pth"), torch("rnn", "hidden")),
    "TorchScript": ("m.pt", copied("torch/scripted.pt"), torch(*_LSTM)),
    "module of PyTorch": ("m.pt", copied("torch/whole_module.pt"), ferrnn.from_torch),
    "weights of safetensors": (
        "m.safetensors",
        copied("torch/tagger.safetensors"),
        torch(*_LSTM),
    ),
    "ONNX": ("m.onnx", copied("onnx/torch_lstm_deep_dynamo.onnx"), ferrnn.from_onnx),
    "ONNX, Scan": ("m.onnx", own("m.onnx"), ferrnn.from_onnx),
    "ONNX, If": ("m.onnx", copied("onnx/if_on_input.onnx"), ferrnn.from_onnx),
}
