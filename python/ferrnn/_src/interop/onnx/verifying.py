"""ONNX graphs node by node: as they run, in float64 in NumPy, and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Graph, Node, Value
from ferrnn._src.interop.onnx.folding import Budget
from ferrnn._src.interop.onnx.model import OnnxModel
from ferrnn._src.interop.onnx.plan import Plan
from ferrnn._src.interop.onnx.programs import all_values
from ferrnn._src.interop.onnx.writing import with_outputs
from ferrnn._src.models.probing import Outputs
from ferrnn._src.tree.types import Array

_FLOAT, _DOUBLE = 1, 11  # ONNX's numbers for types


def node_outputs(model: OnnxModel, inputs: Any) -> Outputs:
    """The float outputs of each node that depends on the inputs, and the graph's outputs."""
    values = all_values(model.plan, model.checked(inputs))
    return _by_node(model, values)


def in_float64(model: OnnxModel, inputs: Any) -> Outputs:
    """The same in float64 in NumPy, with recurrent nodes step by step.

    It has no arithmetic in common with the engine.
    """
    given = {
        name: array.astype("f8") if array.dtype == np.float32 else array
        for name, array in model.checked(inputs).items()
    }
    shapes = {each.name: each.shape for each in model.inputs}
    budget = Budget(2 * len(model.content))
    plan = Plan(_doubled(model.graph), model.opset, {}, shapes, budget, engine=False)
    return _by_node(model, {**plan.constants, **plan.values(given)})


def in_onnxruntime(model: OnnxModel, inputs: Any) -> Outputs:
    """The same in ONNX Runtime.

    Raises:
        ModuleNotFoundError: It is not installed.
        ValueError: ONNX Runtime cannot run the model.
    """
    given = model.checked(inputs)
    names = {value.name for value in model.outputs}
    inner = [
        name
        for node in model.graph.nodes
        for name in node.outputs
        if name and name not in names and name not in model.plan.constants
    ]
    session = onnx_session(with_outputs(model.content, inner))
    wanted = [*inner, *(value.name for value in model.outputs)]
    try:
        found = session.run(wanted, given)
    except Exception as error:  # its errors have no base but this one
        raise ValueError(f"ONNX Runtime cannot run the model: {error}") from error
    return _by_node(model, dict(zip(wanted, found, strict=True)))


def onnx_session(content: bytes) -> Any:
    """A session of ONNX Runtime for a model."""
    try:
        import onnxruntime  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this requires ONNX Runtime: pip install onnxruntime", name="onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the error contains the details
    try:
        return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base but this one
        raise ValueError(f"ONNX Runtime cannot open the model: {error}") from error


def _by_node(model: OnnxModel, values: Mapping[str, Any]) -> Outputs:
    """Values by the nodes that compute them, in the order of the file."""
    made: Outputs = {}
    ends = {value.name for value in model.outputs}
    for node in model.graph.nodes:
        label = f"{node.operator} {node.name or next(filter(None, node.outputs), '')}"
        found: list[Array] = []
        for name in node.outputs:
            array = np.asarray(values[name]) if name and name in values else None
            known = array is not None and (name in ends or array.dtype.kind == "f")
            if array is not None and known and name not in model.plan.constants:
                found.append(array)
        if found:
            made[label] = [*made.get(label, []), *found]
    return made


def _doubled(graph: Graph) -> Graph:
    """A graph with every float32 replaced by float64."""
    return Graph(
        graph.name,
        [_doubled_node(node) for node in graph.nodes],
        {name: _double(array) for name, array in graph.constants.items()},
        [_doubled_value(value) for value in graph.inputs],
        [_doubled_value(value) for value in graph.outputs],
    )


def _doubled_node(node: Node) -> Node:
    made = {key: _double(value) for key, value in node.attributes.items()}
    if node.operator == "Cast" and made.get("to") == _FLOAT:
        made["to"] = _DOUBLE
    if node.operator == "ConstantOfShape":
        made.setdefault("value", np.zeros(1))
    for key in ("value_float", "value_floats"):
        if node.operator == "Constant" and key in made:
            made = {"value": _double(np.asarray(made[key], "f4"))}
    return replace(node, attributes=made)


def _doubled_value(value: Value) -> Value:
    return replace(value, dtype=np.dtype("f8") if value.dtype == np.float32 else value.dtype)


def _double(value: Any) -> Any:
    if isinstance(value, Graph):
        return _doubled(value)
    floats = isinstance(value, np.ndarray) and value.dtype == np.float32
    return value.astype("f8") if floats else value
