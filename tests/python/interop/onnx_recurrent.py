"""Graphs of one LSTM, GRU or RNN each, with every attribute and input that ONNX gives them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from recording import Array, Random

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
IR_VERSION = {7: 3, 14: 7, 22: 10}


@dataclass
class Recurrent:
    """One recurrent node: its operator, attributes, and which optional inputs it has."""

    op: str
    attributes: dict[str, Any] = field(default_factory=dict)
    bias: bool = True
    lengths: bool = False
    initial: bool = False
    peepholes: bool = False
    opset: int = 14
    outputs: tuple[str, ...] = ("Y", "Y_h", "Y_c")
    batch: int = 3
    time: int = 6
    size: int = 4
    hidden: int = 5

    @property
    def directions(self) -> int:
        return 2 if self.attributes.get("direction") == "bidirectional" else 1

    @property
    def batch_first(self) -> bool:
        return self.attributes.get("layout", 0) == 1


def table() -> dict[str, Recurrent]:
    """Every case by name."""
    cases: dict[str, Recurrent] = {}
    both = {"direction": "bidirectional"}
    for op in GATES:
        low = op.lower()
        for opset in IR_VERSION:
            cases[f"{low}_opset_{opset}"] = Recurrent(op, opset=opset)
        cases |= {
            f"{low}_reverse": Recurrent(op, {"direction": "reverse"}),
            f"{low}_bidirectional": Recurrent(op, both),
            f"{low}_no_bias": Recurrent(op, both, bias=False),
            f"{low}_lengths": Recurrent(op, lengths=True),
            f"{low}_lengths_reverse": Recurrent(op, {"direction": "reverse"}, lengths=True),
            f"{low}_initial": Recurrent(op, both, lengths=True, initial=True, opset=7),
            f"{low}_clip": Recurrent(op, both | {"clip": 0.35}, initial=True),
            f"{low}_final_only": Recurrent(op, both, outputs=("", "Y_h", "Y_c")),
            f"{low}_layout_1": Recurrent(op, {"layout": 1}),
            f"{low}_layout_1_all": Recurrent(
                op, both | {"layout": 1}, lengths=True, initial=True, opset=22
            ),
            f"{low}_one_row": Recurrent(op, batch=1, time=1, size=1, hidden=3),
        }
    for op in GATES:
        for name, attributes in activations(op).items():
            cases[f"{op.lower()}_{name}"] = Recurrent(op, attributes, initial=True)
    cases |= {
        "lstm_peepholes": Recurrent("LSTM", both, peepholes=True, initial=True),
        "lstm_peepholes_no_bias": Recurrent("LSTM", peepholes=True, bias=False),
        "lstm_input_forget": Recurrent("LSTM", {"input_forget": 1}, initial=True),
        "lstm_input_forget_peepholes": Recurrent(
            "LSTM", both | {"input_forget": 1}, peepholes=True, opset=7
        ),
        "lstm_everything": Recurrent(
            "LSTM",
            both | activations("LSTM")["alpha_beta"] | {"clip": 0.8},
            lengths=True, initial=True, peepholes=True,
        ),
    }  # fmt: skip
    for name, reset in itertools.product(("", "_lengths", "_clip", "_no_bias"), (0, 1)):
        attributes = both | {"linear_before_reset": reset}
        if name == "_clip":
            attributes["clip"] = 0.35
        cases[f"gru_linear_before_reset_{reset}{name}"] = Recurrent(
            "GRU", attributes, lengths=name == "_lengths", initial=True, bias=name != "_no_bias"
        )
    return cases


def activations(op: str) -> dict[str, dict[str, Any]]:
    """Activations, their alpha and beta given in order to those that take one."""
    if op == "LSTM":
        return {
            "activations": {"activations": ["HardSigmoid", "Softsign", "Relu"]},
            "alpha_beta": {
                "direction": "bidirectional",
                "activations": [
                    "HardSigmoid", "ScaledTanh", "LeakyRelu", "Sigmoid", "Elu", "Affine",
                ],
                "activation_alpha": [0.3, 1.3, 0.07, 0.6, 0.4],
                "activation_beta": [0.45, 0.7, 0.1],
            },
        }  # fmt: skip
    if op == "GRU":
        return {
            "activations": {"activations": ["HardSigmoid", "Softsign"]},
            "alpha_beta": {
                "direction": "bidirectional",
                "linear_before_reset": 1,
                "activations": ["Sigmoid", "LeakyRelu", "HardSigmoid", "ScaledTanh"],
                "activation_alpha": [0.07, 0.3, 1.3],
                "activation_beta": [0.45, 0.7],
            },
        }
    return {
        "relu": {"activations": ["Relu"]},
        "softsign": {"activations": ["Softsign"]},
        "softplus": {"activations": ["Softplus"]},
        "sigmoid": {"activations": ["Sigmoid"]},
        "thresholded": {"activations": ["ThresholdedRelu"], "activation_alpha": [0.2]},
        "default_alpha": {
            "direction": "bidirectional",
            "activations": ["LeakyRelu", "HardSigmoid"],
        },
        "alpha_beta": {
            "direction": "bidirectional",
            "activations": ["Affine", "ScaledTanh"],
            "activation_alpha": [0.5, 1.3],
            "activation_beta": [0.1, 0.7],
        },
    }


def weights(case: Recurrent, name: str) -> dict[str, Array]:
    """W, R, B and P, random."""
    random = Random(name)
    rows, directions, hidden = GATES[case.op] * case.hidden, case.directions, case.hidden
    found = {
        "W": random.normal(directions, rows, case.size, scale=0.6, dtype="float32"),
        "R": random.normal(directions, rows, hidden, scale=0.5, dtype="float32"),
    }
    if case.bias:
        found["B"] = random.normal(directions, 2 * rows, scale=0.4, dtype="float32")
    if case.peepholes:
        found["P"] = random.normal(directions, 3 * hidden, scale=0.5, dtype="float32")
    return found


def inputs(case: Recurrent, name: str) -> dict[str, Array]:
    """X and the optional inputs, in the layout of the case."""
    random = Random(f"{name} inputs")
    found = {"X": random.normal(case.time, case.batch, case.size, dtype="float32")}
    if case.lengths:
        found["sequence_lens"] = np.array([case.time, case.time - 2, 1], "int32")
    if case.initial:
        for state in ("initial_h", "initial_c")[: 2 if case.op == "LSTM" else 1]:
            found[state] = random.normal(
                case.directions, case.batch, case.hidden, scale=0.7, dtype="float32"
            )
    if case.batch_first:
        found |= {
            key: np.ascontiguousarray(value.swapaxes(0, 1))
            for key, value in found.items()
            if key != "sequence_lens"
        }
    return found


def model(case: Recurrent, name: str) -> onnx.ModelProto:
    """The node, its weights as initializers, and the free axes named."""
    constants, given = weights(case, name), inputs(case, name)
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h"]
    order += ["initial_c", "P"] if case.op == "LSTM" else []
    names = [key if key in constants or key in given else "" for key in order]
    while not names[-1]:
        names.pop()
    made = [key for key in case.outputs if case.op == "LSTM" or key != "Y_c"]
    node = helper.make_node(
        case.op, names, made, name="recurrent", hidden_size=case.hidden, **case.attributes
    )
    first, second = ("batch", "time") if case.batch_first else ("time", "batch")
    shapes: dict[str, list[Any]] = {"X": [first, second, case.size], "sequence_lens": ["batch"]}
    state = [case.directions, "batch", case.hidden]
    output = ["time", case.directions, "batch", case.hidden]
    if case.batch_first:
        state, output = [state[1], state[0], state[2]], ["batch", "time", *output[1::2]]
    graph = helper.make_graph(
        [node],
        name,
        [
            helper.make_tensor_value_info(
                key,
                TensorProto.INT32 if key == "sequence_lens" else TensorProto.FLOAT,
                shapes.get(key, state),
            )
            for key in given
        ],
        [
            helper.make_tensor_value_info(key, TensorProto.FLOAT, output if key == "Y" else state)
            for key in made
            if key
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    if IR_VERSION[case.opset] < 4:  # weights are inputs with a default
        graph.input.extend(
            helper.make_tensor_value_info(key, TensorProto.FLOAT, value.shape)
            for key, value in constants.items()
        )
    opsets = [helper.make_opsetid("", case.opset)]
    found = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION[case.opset], producer_name="by hand"
    )
    onnx.checker.check_model(found, full_check=True)
    return found
