"""Loops of ONNX give ONNX Runtime's numbers, and run only where they are needed."""

import numpy as np
import pytest

import ferrnn
from foreign import expect_close

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
INT, BOOL = onnx.TensorProto.INT64, onnx.TensorProto.BOOL


def value(name, kind=FLOAT, shape=("n",)):
    return helper.make_tensor_value_info(name, kind, shape)


def model(going, count="most"):
    """`state = state * w + x`, each turn kept, as long as the sum is below `limit`."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "w"], ["product"]),
            helper.make_node("Add", ["product", "x"], ["next"]),
            helper.make_node("ReduceMax", ["next"], ["largest"], keepdims=0),
            helper.make_node("Less", ["largest", "limit"], ["go_on"]),
            helper.make_node("Identity", ["next"], ["kept"]),
        ],
        "body",
        [value("turn", INT, []), value("going", BOOL, []), value("state")],
        [value("go_on", BOOL, []), value("next"), value("kept")],
    )
    node = helper.make_node("Loop", [count, going, "x"], ["y", "turns"], body=body)
    constants = [
        onnx.numpy_helper.from_array(np.array(1.5, "f4"), "w"),
        onnx.numpy_helper.from_array(np.array(True), "yes"),
        onnx.numpy_helper.from_array(np.array(False), "no"),
    ]
    graph = helper.make_graph(
        [node],
        "loop",
        [value("x"), value("most", INT, []), value("limit", FLOAT, [])],
        [value("y"), value("turns", FLOAT, [None, "n"])],
        constants,
    )
    opsets = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("going", ["yes", "no", ""])
@pytest.mark.parametrize(("most", "limit"), [(7, 1e9), (0, 1e9), (50, 4.0)])
def test_a_loop_ends_by_its_count_or_its_condition(going, most, limit):
    made = model(going)
    inputs = {
        "x": np.array([0.3, 1.1, -0.4], "f4"),
        "most": np.array(most),
        "limit": np.array(limit, "f4"),
    }
    session = runtime.InferenceSession(made.SerializeToString())
    ours = ferrnn.from_onnx(made)
    for _ in range(2):
        for found, wanted in zip(ours(**inputs), session.run(None, inputs), strict=True):
            if wanted.size:  # what no turn gave has no length
                expect_close(found, wanted)
            assert len(found) == len(wanted)


def test_a_loop_that_no_output_needs_does_not_run():
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["go_on"])],
        "body",
        [value("turn", INT, []), value("going", BOOL, [])],
        [value("go_on", BOOL, [])],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Loop", ["", "yes"], [], body=body, name="endless"),
            helper.make_node("Tanh", ["x"], ["y"]),
        ],
        "endless",
        [value("x")],
        [value("y")],
        [onnx.numpy_helper.from_array(np.array(True), "yes")],
    )
    found = ferrnn.from_onnx(helper.make_model(graph))(np.ones(3, "float32"))
    expect_close(found, np.tanh(np.ones(3)))


def test_a_body_that_does_not_fit_is_named():
    made = model("yes")
    made.graph.node[0].input.pop()
    with pytest.raises(ValueError, match="Loop node 'y' has no body that fits its inputs"):
        ferrnn.from_onnx(made)
