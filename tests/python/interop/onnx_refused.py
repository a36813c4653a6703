"""Graphs that a reader must refuse, and why."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnx_recurrent
from onnx_graphs import FLOAT, Graph
from onnx_recurrent import Recurrent
from recording import Random, Recorder


def sequence_graph(name: str) -> Graph:
    x = Random(name).normal(6, 3, 4, dtype="float32")
    return Graph(name, ("x", x, ["time", "batch", 4]))


def external() -> onnx.ModelProto:
    """R is in another file, as exporters write models of more than two GB."""
    model = onnx_recurrent.model(Recurrent("LSTM"), "external")
    (tensor,) = [found for found in model.graph.initializer if found.name == "R"]
    onnx.external_data_helper.set_external_data(tensor, "external.bin", 0, len(tensor.raw_data))
    return model


def short_weights(op: str) -> onnx.ModelProto:
    """`hidden_size` promises more rows than W, R and B have."""
    model = onnx_recurrent.model(Recurrent(op), f"short {op}")
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "hidden_size":
            attribute.i = 5000
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("Y", FLOAT, [None] * 3))
    return model


def loop() -> onnx.ModelProto:
    g = sequence_graph("loop")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go_on"]),
            helper.make_node("Tanh", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, [None] * 3),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, [None] * 3),
        ],
    )
    steps = g.node("ReduceMax", g.node("Shape", "x"), keepdims=0)
    return g.made(g.node("Loop", steps, "", "x", out="y", body=body))[0]


def foreign_operator() -> onnx.ModelProto:
    g = sequence_graph("foreign_operator")
    g.node("Tanh", "x", out="activated")
    g.nodes.append(
        helper.make_node("FancyCell", ["activated"], ["y"], name="fancy", domain="com.example")
    )
    value = helper.make_tensor_value_info("y", FLOAT, [None] * 3)
    source = helper.make_tensor_value_info("x", FLOAT, ["time", "batch", 4])
    graph = helper.make_graph(g.nodes, "foreign_operator", [source], [value])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def weights_given() -> onnx.ModelProto:
    """W and R are inputs of the graph: there is nothing to load."""
    model = onnx_recurrent.model(Recurrent("RNN", bias=False), "weights_given")
    for tensor in model.graph.initializer:
        shape = list(tensor.dims)
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, FLOAT, shape))
    del model.graph.initializer[:]
    return model


def wrong_bytes() -> onnx.ModelProto:
    """The dimensions of W say ten times what its bytes hold."""
    model = onnx_recurrent.model(Recurrent("GRU"), "wrong_bytes")
    model.graph.initializer[0].dims[1] *= 10
    return model


def add_refused(record: Recorder) -> None:
    """Writes each, without outputs."""
    table = {
        "external": (external(), "R lies in another file"),
        "short_weights_lstm": (short_weights("LSTM"), "W has fewer rows than hidden_size says"),
        "short_weights_gru": (short_weights("GRU"), "W has fewer rows than hidden_size says"),
        "short_weights_rnn": (short_weights("RNN"), "W has fewer rows than hidden_size says"),
        "loop": (loop(), "the operator Loop"),
        "foreign_operator": (foreign_operator(), "the operator com.example.FancyCell"),
        "weights_given": (weights_given(), "W is an input, not a constant"),
        "wrong_bytes": (wrong_bytes(), "W has fewer bytes than its shape says"),
    }
    for name, (model, reason) in table.items():
        record.path(f"onnx/{name}.onnx").write_bytes(model.SerializeToString())
        record.refused(name, f"onnx/{name}.onnx", reason)
    weights = onnx_recurrent.weights(Recurrent("LSTM"), "external")
    record.path("onnx/external.bin").write_bytes(weights["R"].tobytes())


def float16() -> tuple[onnx.ModelProto, np.ndarray]:
    """Weights of half precision behind a Cast, as size-minded exporters write them."""
    g = sequence_graph("float16_weights")
    names = []
    for shape in ((1, 20, 4), (1, 20, 5), (1, 40)):
        half = g.random.normal(*shape, scale=0.5, dtype="float16")
        g.constants.append(numpy_helper.from_array(half, f"half_{len(names)}"))
        names.append(g.node("Cast", f"half_{len(names)}", to=FLOAT))
    g.node("LSTM", "x", *names, out=["Y", "y"], hidden_size=5)
    model, (x,) = g.made("y")
    return model, x
