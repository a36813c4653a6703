"""Model files on the command line: their formats, and the models in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferrnn._src.files.safetensors import is_safetensors, opened
from ferrnn._src.interop.from_torch import from_torch
from ferrnn._src.interop.load_model import load_model
from ferrnn._src.interop.onnx.model import OnnxModel, from_onnx
from ferrnn._src.interop.torch.files import is_torch_file
from ferrnn._src.models.native_file import is_model

TORCH, ONNX, KERAS = "torch", "onnx", "keras"


@dataclass
class Source:
    """A file, with the options for its reader: the chain of PyTorch's modules, a backend."""

    path: Path
    layers: Sequence[str] | None = None
    input_shape: tuple[int | None, ...] | None = None
    backend: str | None = None

    @property
    def kind(self) -> str:
        """The format of the file, by its contents, or by the extension `.onnx`."""
        path = self.path
        if path.suffix == ".onnx":
            return ONNX
        if not path.is_file():
            return KERAS
        if is_safetensors(path):
            return TORCH if _is_weights(path) else KERAS
        return TORCH if is_torch_file(path) else KERAS

    def model(self, *, compiles: bool = True) -> Any:
        """The model of layers.

        Raises:
            ValueError: The file is not that of a model, or not a chain of layers, or an option is
                    given that does not apply to its format.
        """
        kind = self.kind
        if self.layers is not None and kind != TORCH:
            raise ValueError(f"`--layers` is only for files of PyTorch, received {self.path}")
        if self.backend is not None and kind != KERAS:
            raise ValueError(f"`--backend` is only for files of Keras, received {self.path}")
        if kind == ONNX:
            return self.graph().to_layers()
        if kind == TORCH:
            chain = None if self.layers is None else [_entry(text) for text in self.layers]
            return from_torch(self.path, chain, input_shape=self.input_shape)
        return load_model(self.path, compile=compiles, backend=self.backend)

    def graph(self) -> OnnxModel:
        """The graph of an ONNX file.

        Raises:
            ValueError: An option is given that does not apply to ONNX.
        """
        told = {"--layers": self.layers, "--backend": self.backend}
        for option, value in told.items():
            if value is not None:
                kind = "PyTorch" if option == "--layers" else "Keras"
                raise ValueError(f"`{option}` is only for files of {kind}, received {self.path}")
        return from_onnx(self.path)


def _entry(text: str) -> str | tuple[str, Mapping[str, Any]]:
    """An entry of `layers`: `name`, or `name:setting=value,setting=value`.

    >>> _entry("rnn:return_sequences=false,nonlinearity=relu")
    ('rnn', {'return_sequences': False, 'nonlinearity': 'relu'})
    """
    name, colon, rest = text.partition(":")
    if not colon:
        return name
    settings = {}
    for part in rest.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise ValueError(
                "`--layers` must be names, or names with settings as in "
                f"rnn:return_sequences=false,nonlinearity=relu, received {text!r}"
            )
        settings[key] = _value(value)
    return name, settings


def _value(text: str) -> Any:
    """A JSON number, true, false or null; any other text unchanged."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_weights(path: Path) -> bool:
    """Whether a safetensors file holds only weights."""
    try:
        with opened(path) as contents:
            return not is_model(contents)
    except ValueError:
        return False  # the reader raises the error
