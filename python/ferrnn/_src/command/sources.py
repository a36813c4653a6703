"""Files of models that the command line is given: what they are, and the models in them."""

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
    """A file, and what its reader has to be told: the chain of PyTorch's modules, a backend."""

    path: Path
    layers: Sequence[str] | None = None
    input_shape: tuple[int | None, ...] | None = None
    backend: str | None = None

    @property
    def kind(self) -> str:
        """Whose file it is, by its contents; a name that ends in `.onnx` is believed."""
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
            ValueError: The file is none of a model, or no chain of layers, or an option is given
                that its format has no use for.
        """
        kind = self.kind
        if self.layers is not None and kind != TORCH:
            raise ValueError(f"`--layers` is for files of PyTorch, {self.path} is none")
        if self.backend is not None and kind != KERAS:
            raise ValueError(f"`--backend` is for files of Keras, {self.path} is none")
        if kind == ONNX:
            return self.graph().to_layers()
        if kind == TORCH:
            chain = None if self.layers is None else [_entry(text) for text in self.layers]
            return from_torch(self.path, chain, input_shape=self.input_shape)
        return load_model(self.path, compile=compiles, backend=self.backend)

    def graph(self) -> OnnxModel:
        """The graph of a file of ONNX.

        Raises:
            ValueError: An option is given that ONNX has no use for.
        """
        told = {"--layers": self.layers, "--backend": self.backend}
        for option, value in told.items():
            if value is not None:
                kind = "PyTorch" if option == "--layers" else "Keras"
                raise ValueError(f"`{option}` is for files of {kind}, {self.path} is none")
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
    """A number, true, false or null as JSON has them; any other text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_weights(path: Path) -> bool:
    """Whether a file of safetensors holds weights alone."""
    try:
        with opened(path) as contents:
            return not is_model(contents)
    except ValueError:
        return False  # what is wrong with it is told where it is read
