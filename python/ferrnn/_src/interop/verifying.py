"""Verification of a model against a second source, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx import verifying as graphs
from ferrnn._src.interop.onnx.model import OnnxModel
from ferrnn._src.interop.onnx.verifying import onnx_session
from ferrnn._src.interop.to_onnx import to_onnx
from ferrnn._src.models.model import Model
from ferrnn._src.models.native_file import in_float64
from ferrnn._src.models.probing import Difference, Outputs, differences, layer_outputs
from ferrnn._src.tree.tree import flatten

_ONNX_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_SOURCES = ("float64", "onnxruntime")


@dataclass(frozen=True)
class Report:
    """How far a model's layers are from a second source; prints as a table.

    `layers` are the differences in the order of the layers, `largest` the one that is largest
    relative to its outputs' scale.
    """

    against: str
    layers: list[Difference]

    @property
    def largest(self) -> float:
        """The largest difference, relative to the scale of the layer's outputs."""
        return max((each.largest / (each.scale or 1.0) for each in self.layers), default=0.0)

    def __str__(self) -> str:
        width = max([5, *(len(each.layer) for each in self.layers)])
        lines = [f"{'layer':{width}}  largest difference  outputs up to  ulp"]
        lines += [
            f"{each.layer:{width}}  {each.largest:<18.3g}  {each.scale:<13.3g}  {each.ulp:.3g}"
            for each in self.layers
        ]
        return "\n".join(
            [*lines, f"against {self.against}: at most {self.largest:.2g} of the scale"]
        )


def verify(model: Any, inputs: Any, against: Any = "float64") -> Report:
    """Runs inputs through a model and a second source: the largest difference of each layer.

    A model of `from_onnx` is compared node by node: with the graph in float64, with ONNX Runtime,
    or with given outputs.

    `against` is

    - `"float64"`: the same model in float64, its recurrent cells step by step in NumPy, which
      shares no arithmetic with the engine,
    - `"onnxruntime"`: the model as ONNX in ONNX Runtime, if that is installed,
    - another model (ferrnn's, Keras', PyTorch's, a function): layers of the same names for
      models with layers, else the outputs alone,
    - a dict of arrays, or lists of arrays, by the names of layers.

    >>> import ferrnn
    >>> model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.GRU(3)])
    >>> verify(model, np.ones((2, 5, 2))).largest < 1e-6
    True
    """
    if isinstance(model, OnnxModel):
        found = graphs.node_outputs(model, inputs)
        expected, name = _expected_of_graph(model, inputs, against, found)
    else:
        found = layer_outputs(model, inputs)
        expected, name = _expected(model, inputs, against, found)
    return Report(name, differences(found, expected))


def _expected(model: Any, inputs: Any, against: Any, found: Outputs) -> tuple[Outputs, str]:
    if isinstance(against, str):
        if against == "float64":
            return layer_outputs(in_float64(model), inputs), "the same model in float64"
        if against == "onnxruntime":
            return _by_onnxruntime(model, inputs), "ONNX Runtime"
        raise ValueError(f"`against` must be one of {_SOURCES}, or a model, received {against!r}")
    if isinstance(against, Mapping):
        return {name: _arrays(each) for name, each in against.items()}, "given outputs"
    name = _called_name(against)
    if isinstance(against, Model):
        return layer_outputs(against, inputs), name
    last = list(found)[-1]
    return {last: _called(against, inputs)}, name


def _expected_of_graph(
    model: OnnxModel, inputs: Any, against: Any, found: Outputs
) -> tuple[Outputs, str]:
    """The outputs of a second source for a graph; adds the graph's outputs to those found."""
    if isinstance(against, str):
        if against == "float64":
            return graphs.in_float64(model, inputs), "the same graph in float64"
        if against == "onnxruntime":
            return graphs.in_onnxruntime(model, inputs), "ONNX Runtime"
        raise ValueError(f"`against` must be one of {_SOURCES}, or a model, received {against!r}")
    made = model.run(model.checked(inputs))
    found.update({name: [array] for name, array in made.items()})
    if isinstance(against, Mapping):
        return {name: _arrays(each) for name, each in against.items()}, "given outputs"
    theirs = _called(against, inputs)
    if len(theirs) != len(made):
        raise ValueError(
            f"`against` must return as many outputs as the model, {len(made)}, received "
            f"{len(theirs)}"
        )
    return dict(zip(made, ([each] for each in theirs), strict=True)), _called_name(against)


def _called_name(against: Any) -> str:
    kind = type(against)
    module = kind.__module__.partition(".")[0]
    return "a function" if module == "builtins" else f"{module}'s {kind.__name__}"


def _arrays(value: Any) -> list[Any]:
    values = value if isinstance(value, list | tuple) else [value]
    return [np.asarray(each) for each in values]


def _called(against: Any, inputs: Any) -> list[Any]:
    """The outputs of a model of another framework."""
    if hasattr(against, "predict"):
        return _arrays(against.predict(inputs, verbose=0))
    if hasattr(against, "state_dict") and hasattr(against, "eval"):
        tensors = [_torch().from_numpy(np.array(each)) for each in flatten(inputs)]
        with _torch().no_grad():
            made = against.eval()(*tensors)
        return [each.detach().cpu().numpy() for each in flatten(made)]
    if callable(against):
        return _arrays(against(inputs))
    raise TypeError(f"`against` must be a model or a function, received {type(against).__name__}")


def _torch() -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - optional

    return torch


def _by_onnxruntime(model: Any, inputs: Any) -> Outputs:
    """The outputs of each layer in ONNX Runtime."""
    if getattr(model, "_graph", None) is None:
        raise ValueError(
            f"the model {model.name!r} must be a Sequential or functional model to be written to "
            "ONNX"
        )
    steps = [(step.layer.name, step.node) for step in model._graph.steps]
    tensors = [tensor for _, node in steps for tensor in flatten(node.outputs)]
    names = [
        name + (f" call {node.index}" if node.index else "")
        for name, node in steps
        for _ in flatten(node.outputs)
    ]
    whole = Model(model.input, tensors)
    session = onnx_session(to_onnx(whole))
    given = flatten(whole.prepare_inputs(inputs))
    named = {
        each.name: np.asarray(x, _ONNX_DTYPES[each.type])
        for each, x in zip(session.get_inputs(), given, strict=True)
    }
    made: Outputs = {}
    for name, array in zip(names, session.run(None, named), strict=True):
        made.setdefault(name, []).append(array)
    return made


def in_keras(path: Path) -> Any:
    """A function that returns each layer's outputs for a file in the installed Keras.

    Raises:
        ModuleNotFoundError: Keras is not installed.
    """
    try:
        import keras  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("this requires Keras: pip install keras", name="keras") from error
    model = keras.models.load_model(path, compile=False)
    layers = [each for each in model.layers if not isinstance(each, keras.layers.InputLayer)]
    inner = keras.Model(model.inputs, [each.output for each in layers])

    def outputs(inputs: Any) -> Outputs:
        made = inner.predict(inputs, verbose=0)
        made = [made] if len(layers) == 1 else made
        pairs = zip(layers, made, strict=True)
        return {each.name: _arrays(array) for each, array in pairs}

    return outputs
