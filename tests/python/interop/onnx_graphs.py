"""Graphs by hand: tables of operators, weights made inside the graph, `If`, and hostile ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from recording import Array, Random

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
UNARY = (
    "Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Mish", "Neg",
    "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh",
)  # fmt: skip
Made = tuple[onnx.ModelProto, list[Array]]


class Graph:
    """Collects nodes and constants of one graph; outputs keep the type that inference finds."""

    def __init__(
        self, name: str, *inputs: tuple[str, Array, Sequence[Any]], opset: int = 18
    ) -> None:
        self.name, self.opset = name, opset
        self.random = Random(name)
        self.inputs = inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: str = "int64") -> str:
        """An initializer."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weights(self, *shape: int, scale: float = 0.5) -> str:
        """A random initializer."""
        return self.constant(self.random.normal(*shape, scale=scale), "float32")

    def node(self, op: str, *names: str, out: str | Sequence[str] = "", **attributes: Any) -> str:
        """Adds a node; its first output's name."""
        out = [out or f"{op}_{len(self.nodes)}"] if isinstance(out, str) else list(out)
        self.nodes.append(helper.make_node(op, names, out, name=f"n_{out[0]}", **attributes))
        return out[0]

    def made(self, *outputs: tuple[str, int] | str) -> Made:
        """The model and its inputs."""
        values = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)
            for name, array, shape in self.inputs
        ]
        results = []
        for output in outputs:
            name, kind = (output, FLOAT) if isinstance(output, str) else output
            results.append(helper.make_tensor_value_info(name, kind, None))
        graph = helper.make_graph(self.nodes, self.name, values, results, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output
        del model.graph.output[:]
        for value in inferred:
            if not value.type.tensor_type.HasField("shape"):
                kind = value.type.tensor_type.elem_type
                value.CopyFrom(helper.make_tensor_value_info(value.name, kind, [None] * 3))
            model.graph.output.append(value)
        onnx.checker.check_model(model)
        return model, [array for _, array, _ in self.inputs]


def batch(name: str, *shape: int) -> tuple[str, Array, list[Any]]:
    """An input of random numbers whose first axis is free."""
    values = Random(f"{name} {shape}").normal(*shape, dtype="float32")
    return name, values, ["batch", *shape[1:]]


def elementwise() -> Made:
    """One output for each operator that works on each number."""
    g = Graph("elementwise", batch("x", 3, 5), batch("y", 3, 5))
    made: list[tuple[str, int] | str] = []
    positive = g.node("Add", g.node("Abs", "x"), g.constant(0.3, "float32"))
    unary: dict[str, dict[str, Any]] = {op: {} for op in UNARY} | {
        "Elu": {"alpha": 0.7}, "LeakyRelu": {"alpha": 0.07}, "Celu": {"alpha": 0.6},
        "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "ThresholdedRelu": {"alpha": 0.3},
        "Softmax": {"axis": -1}, "LogSoftmax": {"axis": 0},
    }  # fmt: skip
    for op, attributes in unary.items():
        made.append(g.node(op, "x", out=op, **attributes))
    made += [g.node(op, positive, out=op) for op in ("Sqrt", "Log")]
    made += [g.node(op, "x", "y", out=op) for op in ("Add", "Sub", "Mul", "Div", "Min", "Max")]
    made.append(g.node("Pow", positive, "y", out="Pow"))
    made.append(g.node("PRelu", "x", g.weights(5), out="PRelu"))
    limits = g.constant(-0.4, "float32"), g.constant(0.6, "float32")
    made.append(g.node("Clip", "x", *limits, out="Clip"))
    made.append(g.node("Clip", "x", "", limits[1], out="Clip_above"))
    made.append(g.node("Sum", "x", "y", positive, out="Sum"))
    made.append(g.node("Mean", "x", "y", positive, out="Mean"))
    greater = g.node("Greater", "x", "y")
    made += [
        (g.node(op, "x", "y", out=op), TensorProto.BOOL)
        for op in ("GreaterOrEqual", "Less", "LessOrEqual", "Equal")
    ]
    near = g.node("Not", g.node("Less", "x", limits[0]))
    made += [(g.node(op, greater, near, out=op), TensorProto.BOOL) for op in ("And", "Or", "Xor")]
    made.append(g.node("Where", greater, "x", limits[0], out="Where"))
    made.append((g.node("Cast", "x", out="Cast", to=INT), INT))
    made.append(g.node("Cast", greater, out="Cast_bool", to=FLOAT))
    return g.made(*made)


def shaping() -> Made:
    """One output for each operator that moves numbers."""
    g = Graph("shaping", batch("x", 3, 4, 6), ("ids", np.array([[2, 0, -1]]), ["rows", "columns"]))
    made: list[tuple[str, int] | str] = []
    c = g.constant
    made += [
        g.node("Transpose", "x", out="Transpose", perm=[2, 0, 1]),
        g.node("Transpose", "x", out="Transpose_default"),
        g.node("Reshape", "x", c([0, -1, 3]), out="Reshape"),
        g.node("Flatten", "x", out="Flatten", axis=2),
        g.node("Unsqueeze", "x", c([1, -1]), out="Unsqueeze"),
        g.node("Concat", "x", "x", out="Concat", axis=-1),
        g.node("Slice", "x", c([1, -1]), c([3, -7]), c([1, 2]), c([1, -2]), out="Slice"),
        g.node("Slice", "x", c([0]), c([2**62]), c([-1]), out="Slice_to_end"),
        g.node("Gather", "x", "ids", out="Gather", axis=2),
        g.node("Gather", g.weights(7, 2), c([3, 1]), out="Gather_rows"),
        g.node("GatherElements", "x", c(np.arange(72).reshape(3, 4, 6) % 4), out="GatherElements",
               axis=1),
        g.node("GatherND", "x", c([[0, 1], [2, 3]]), out="GatherND"),
        g.node("Expand", g.node("Slice", "x", c([0]), c([1]), c([1])), c([3, 4, 6]), out="Expand"),
        g.node("Tile", "x", c([1, 2, 1]), out="Tile"),
        g.node("Pad", "x", c([0, 1, 2, 0, 0, 1]), c(0.25, "float32"), out="Pad"),
        g.node("Pad", "x", c([0, 1, 2, 0, 3, 1]), out="Pad_reflect", mode="reflect"),
        g.node("Pad", "x", c([0, 1, 2, 0, 3, 1]), out="Pad_edge", mode="edge"),
        g.node("CumSum", "x", c(1), out="CumSum"),
        g.node("Trilu", g.weights(4, 5), out="Trilu", upper=0),
    ]  # fmt: skip
    split = g.node("Split", "x", c([1, 3]), out=["Split_0", "Split_1"], axis=1)
    made += [split, "Split_1", g.node("Squeeze", split, c([1]), out="Squeeze")]
    g.node("Split", "x", out=["Split_even_0", "Split_even_1"], axis=2, num_outputs=2)
    made += ["Split_even_0", "Split_even_1"]
    shape = g.node("Shape", "x", out="Shape")
    made += [(shape, INT), (g.node("Shape", "x", out="Shape_part", start=1, end=-1), INT)]
    made.append((g.node("Size", "x", out="Size"), INT))
    two = g.node("Gather", shape, c([0, 2]))
    value = helper.make_tensor("value", FLOAT, [1], [0.375])
    zeros = g.node("ConstantOfShape", two, value=value)
    noise = g.weights(3, 6)
    made.append(g.node("Add", zeros, noise, out="ConstantOfShape"))
    limit = g.node("Squeeze", g.node("Gather", shape, c([2])))
    made.append((g.node("Range", c(0), limit, c(2), out="Range"), INT))
    made.append((g.node("OneHot", "ids", c(6), c([1, 5]), out="OneHot"), INT))
    g.node("TopK", "x", c([2]), out=["TopK", "TopK_indices"], axis=1)
    made += ["TopK", ("TopK_indices", INT)]
    rows = c([[0], [2]])
    made.append(g.node("ScatterND", "x", rows, g.weights(2, 4, 6), out="ScatterND"))
    return g.made(*made)


def reducing() -> Made:
    """One output for each operator that reduces, and for products."""
    g = Graph("reducing", batch("x", 3, 4, 6))
    c, made = g.constant, []
    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2", "ReduceSum"):
        made.append(g.node(op, "x", c([1]), out=op, keepdims=0))
        made.append(g.node(op, "x", c([-1, 0]), out=f"{op}_kept"))
    made.append(g.node("ReduceMean", "x", out="ReduceMean_all"))
    made += [(g.node(op, "x", out=op, axis=1, keepdims=0), INT) for op in ("ArgMax", "ArgMin")]
    made.append(g.node("MatMul", "x", g.weights(6, 5), out="MatMul"))
    made.append(g.node("MatMul", g.weights(2, 4), "x", out="MatMul_left"))
    made.append(g.node("MatMul", "x", g.weights(3, 6, 2), out="MatMul_batched"))
    flat = g.node("Flatten", "x")
    made.append(
        g.node("Gemm", flat, g.weights(5, 24), g.weights(5), out="Gemm", transB=1, alpha=0.7,
               beta=1.3)
    )  # fmt: skip
    made.append(g.node("Gemm", g.weights(3, 2), flat, out="Gemm_left", transA=1))
    made.append(g.node("Einsum", "x", g.weights(6, 2), out="Einsum", equation="btf,fu->btu"))
    made.append(
        g.node("LayerNormalization", "x", g.weights(6), g.weights(6), out="LayerNormalization",
               axis=-1, epsilon=1e-3)
    )  # fmt: skip
    return g.made(*made)


def convolving() -> Made:
    """Convolutions, pooling, and normalization over channels, in one dimension."""
    g = Graph("convolving", batch("x", 2, 4, 11))
    w, c = g.weights, g.constant
    variance = c(g.random.uniform(4, low=0.4, high=2.0), "float32")
    made = [
        g.node("Conv", "x", w(3, 4, 3), w(3), out="Conv"),
        g.node("Conv", "x", w(3, 4, 3), out="Conv_strided", strides=[2], pads=[2, 1]),
        g.node("Conv", "x", w(3, 4, 3), out="Conv_dilated", dilations=[2]),
        g.node("Conv", "x", w(6, 2, 2), w(6), out="Conv_groups", group=2),
        g.node("Conv", "x", w(4, 1, 5), out="Conv_depthwise", group=4, auto_pad="SAME_UPPER"),
        g.node("Conv", "x", w(3, 4, 2), out="Conv_same_lower", auto_pad="SAME_LOWER"),
        g.node("MaxPool", "x", out="MaxPool", kernel_shape=[3], strides=[2], pads=[1, 0]),
        g.node("AveragePool", "x", out="AveragePool", kernel_shape=[3], strides=[2], pads=[1, 1]),
        g.node("AveragePool", "x", out="AveragePool_padded", kernel_shape=[3], pads=[1, 1],
               count_include_pad=1),
        g.node("GlobalAveragePool", "x", out="GlobalAveragePool"),
        g.node("GlobalMaxPool", "x", out="GlobalMaxPool"),
        g.node("BatchNormalization", "x", w(4), w(4), w(4), variance, out="BatchNormalization",
               epsilon=2e-3),
        g.node("InstanceNormalization", "x", w(4), w(4), out="InstanceNormalization"),
    ]  # fmt: skip
    image = g.node("Unsqueeze", "x", c([2]))
    made.append(g.node("Conv", image, w(3, 4, 1, 3), out="Conv_2d", pads=[0, 1, 0, 1]))
    return g.made(*made)


def lstm_parts(g: Graph, x: str, hidden: int, size: int, cut: bool = True) -> str:
    """An LSTM whose W, R and B are cut and joined inside the graph, as torch's exporter does."""
    c, names = g.constant, []
    for shape in ((4 * hidden, size), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)):
        whole, gates = g.weights(*shape), []
        for start, stop in ((0, 1), (3, 4), (1, 3)):
            ends = c([start * hidden]), c([stop * hidden])
            gates.append(g.node("Slice", whole, *ends, c([0])) if cut else whole)
        names.append(g.node("Concat", *gates, axis=0))
    bias = g.node("Concat", *names[2:], axis=0)
    parts = [g.node("Unsqueeze", name, c([0])) for name in (*names[:2], bias)]
    g.node("LSTM", x, *parts, out=["Y", "Y_h", "Y_c"], hidden_size=hidden)
    return g.node("Squeeze", "Y", c([1]), out="hidden")


def weights_in_graph() -> Made:
    """W, R and B are Slice, Concat and Unsqueeze of what torch keeps; zeros states from Shape."""
    g = Graph("weights_in_graph", ("x", Random("w").normal(6, 3, 4, dtype="float32"),
                                   ["time", "batch", 4]))  # fmt: skip
    hidden = lstm_parts(g, "x", 5, 4)
    made = g.node("MatMul", hidden, g.weights(5, 2), out="y")
    return g.made(made)


def branch(g: Graph, name: str, *nodes: onnx.NodeProto) -> onnx.GraphProto:
    """A graph without inputs, whose last node's output is its own."""
    value = helper.make_tensor_value_info(nodes[-1].output[0], FLOAT, [None] * 3)
    return helper.make_graph(list(nodes), name, [], [value])


def if_constant(on_input: bool = False) -> Made:
    """`If` on the rank of the input: constant; or on the sum of it, which is not."""
    name = "if_on_input" if on_input else "if_constant"
    g = Graph(name, ("x", Random(name).normal(6, 3, 4, dtype="float32"), ["time", "batch", 4]))
    hidden, c = lstm_parts(g, "x", 5, 4), g.constant
    if on_input:
        total = g.node("ReduceSum", "x", keepdims=0)
        condition = g.node("Less", total, c(0.0, "float32"))
    else:
        rank = g.node("Size", g.node("Shape", "x"))
        condition = g.node("Equal", rank, c(3))
    weights = g.weights(5, 2), g.weights(5, 2)
    branches = {
        f"{key}_branch": branch(
            g, key,
            helper.make_node("MatMul", [hidden, weights[i]], [f"{key}_product"]),
            helper.make_node("Tanh" if i else "Sigmoid", [f"{key}_product"], [f"{key}_out"]),
        )
        for i, key in enumerate(("then", "else"))
    }  # fmt: skip
    made = g.node("If", condition, out="y", **branches)
    return g.made(made)


def classifier() -> Made:
    """Ids, embeddings, two LSTMs, one of both directions, and scores: a chain of layers."""
    ids = Random("classifier").rng.integers(0, 9, (3, 6))
    g = Graph("classifier", ("ids", ids, ["batch", "time"]), opset=14)
    w, c = g.weights, g.constant
    x = g.node("Gather", w(9, 4), "ids")
    x = g.node("Transpose", x, perm=[1, 0, 2])
    g.node("LSTM", x, w(2, 20, 4), w(2, 20, 5), w(2, 40), out=["Y", "Y_h"], hidden_size=5,
           direction="bidirectional")  # fmt: skip
    x = g.node("Reshape", g.node("Transpose", "Y", perm=[0, 2, 1, 3]), c([0, 0, -1]))
    g.node("GRU", x, w(1, 9, 10), w(1, 9, 3), w(1, 18), out=["", "final"], hidden_size=3,
           linear_before_reset=1)  # fmt: skip
    x = g.node("Squeeze", "final", c([0]))
    x = g.node("Gemm", x, w(4, 3), w(4), transB=1)
    return g.made(g.node("Softmax", x, out="scores", axis=-1))


def ran() -> dict[str, Made]:
    """Every graph that runs."""
    return {
        "elementwise": elementwise(),
        "shaping": shaping(),
        "reducing": reducing(),
        "convolving": convolving(),
        "weights_in_graph": weights_in_graph(),
        "if_constant": if_constant(),
        "if_on_input": if_constant(on_input=True),
        "classifier": classifier(),
    }
