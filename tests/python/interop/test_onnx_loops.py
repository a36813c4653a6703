"""Loops of ONNX give ONNX Runtime's numbers, and run only where they are needed."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from foreign import expect_close
from onnx_session import session_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
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


@each_case("going", ["yes", "no", ""])
@each_case(("most", "limit"), [(7, 1e9), (0, 1e9), (50, 4.0)])
def test_a_loop_ends_by_its_count_or_its_condition(going, most, limit):
    made = model(going)
    inputs = {
        "x": np.array([0.3, 1.1, -0.4], "f4"),
        "most": np.array(most),
        "limit": np.array(limit, "f4"),
    }
    session = session_of(made.SerializeToString())
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
    with pytest.raises(ValueError, match="Loop node 'y' must have a body that fits its inputs"):
        ferrnn.from_onnx(made)


def running_sums(**options):
    """`s = s * w + one - two` over two sequences, whose steps may lie on other axes."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["s", "w"], ["scaled"]),
            helper.make_node("Add", ["scaled", "one"], ["sum"]),
            helper.make_node("Sub", ["sum", "two"], ["next"]),
            helper.make_node("Identity", ["next"], ["shown"]),
            helper.make_node("Mul", ["s", "s"], ["squared"]),
        ],
        "body",
        [value("s"), value("one"), value("two")],
        [value("next"), value("shown"), value("squared")],
    )
    node = helper.make_node(
        "Scan", ["s0", "x", "z"], ["s1", "y", "q"], body=body, num_scan_inputs=2, **options
    )
    graph = helper.make_graph(
        [node],
        "scan",
        [value("s0"), value("x", shape=[None, None]), value("z", shape=[None, None])],
        [value("s1"), value("y", shape=[None, None]), value("q", shape=[None, None])],
        [onnx.numpy_helper.from_array(np.array([1.5, 0.5, -1], "f4"), "w")],
    )
    opsets = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@each_case("steps", [1, 4])
@each_case(
    "options",
    [
        {"scan_input_axes": [0, 1]},
        {"scan_input_axes": [0, -1], "scan_input_directions": [1, 0]},
        {"scan_input_axes": [0, 1], "scan_output_axes": [1, 0], "scan_output_directions": [0, 1]},
    ],
)
def test_a_scan_goes_along_its_axes_in_its_directions(options, steps):
    made = running_sums(**options)
    rng = np.random.default_rng(steps)
    inputs = {
        "s0": rng.normal(size=3).astype("f4"),
        "x": rng.normal(size=(steps, 3)).astype("f4"),
        "z": rng.normal(size=(3, steps)).astype("f4"),
    }
    session = session_of(made.SerializeToString())
    ours = ferrnn.from_onnx(made)
    for _ in range(2):
        for found, wanted in zip(ours(**inputs), session.run(None, inputs), strict=True):
            assert found.shape == wanted.shape
            expect_close(found, wanted)


def test_scans_that_do_not_fit_are_named():
    made = running_sums(scan_input_axes=[0, 1])
    x = np.ones((4, 3), "f4")
    with pytest.raises(
        ValueError, match=r"Scan node 's1': its sequences .* lengths, received \[3, 4\]"
    ):
        ferrnn.from_onnx(made)(np.ones(3, "f4"), x, x)
    with pytest.raises(ValueError, match=r"scan_input_axes and .* must be 2 numbers"):
        ferrnn.from_onnx(running_sums(scan_input_axes=[0]))
    made.graph.node[0].input.pop()
    with pytest.raises(ValueError, match="Scan node 's1' must have a body that fits its inputs"):
        ferrnn.from_onnx(made)
