"""ONNX Runtime on a graph of one LSTM, GRU or RNN node; inputs and outputs bound once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from cases import STATES, Array, Data, Job
from onnx import TensorProto, helper, numpy_helper

from contestants import Prepared

# Where ONNX has its gates, counted in Keras' order (i, f, c, o and z, r, h).
ORDER = {"lstm": [0, 3, 1, 2], "gru": [0, 1, 2], "simple_rnn": [0]}
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}


def columns_to_rows(weight: Array, cell: str) -> Array:
    """`[n, gates * units]` in Keras' order to ONNX's `[1, gates * units, n]`."""
    blocks = np.split(weight, len(ORDER[cell]), axis=-1)
    return np.ascontiguousarray(np.concatenate([blocks[g] for g in ORDER[cell]], axis=-1).T[None])


def make_model(job: Job, data: Data) -> Any:
    """X `[time, batch, features]` and states `[1, batch, units]` in, Y and states out."""
    two = data.bias if job.cell == "gru" else np.stack([data.bias, np.zeros_like(data.bias)])
    bias = np.concatenate([columns_to_rows(row[None], job.cell)[..., 0] for row in two], axis=1)
    states = ["h", "c"][: STATES[job.cell]]
    options = {"linear_before_reset": 1} if job.cell == "gru" else {}
    node = helper.make_node(
        OPERATORS[job.cell],
        ["X", "W", "R", "B", "", *states],
        ["Y", *(f"{state}_out" for state in states)],
        hidden_size=job.units,
        **options,
    )

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        job.cell,
        [
            value("X", job.time, job.batch, job.features),
            *(value(state, 1, job.batch, job.units) for state in states),
        ],
        [
            value("Y", job.time, 1, job.batch, job.units),
            *(value(f"{state}_out", 1, job.batch, job.units) for state in states),
        ],
        [
            numpy_helper.from_array(columns_to_rows(data.kernel, job.cell), "W"),
            numpy_helper.from_array(columns_to_rows(data.recurrent_kernel, job.cell), "R"),
            numpy_helper.from_array(bias, "B"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


class Contestant:
    """The CPU provider with all optimizations."""

    def __init__(self, threads: int) -> None:
        self.version = onnxruntime.__version__
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1
        self.options.log_severity_level = 3

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Inference only."""
        if job.mode not in ("step", "call"):
            return None
        session = onnxruntime.InferenceSession(
            make_model(job, data).SerializeToString(),
            self.options,
            providers=["CPUExecutionProvider"],
        )
        states = ["h", "c"][: STATES[job.cell]]
        shape = (1, job.batch, job.units)
        inputs = _value(np.ascontiguousarray(data.inputs.transpose(1, 0, 2)))
        outputs = _value(np.zeros((job.time, 1, job.batch, job.units), np.float32))
        # Two sets of states: each call reads one and writes the other.
        both = [[_value(np.zeros(shape, np.float32)) for _ in states] for _ in range(2)]
        bindings = [_bind(session, inputs, outputs, states, both[i], both[1 - i]) for i in (0, 1)]
        turn = 0

        def run() -> None:
            nonlocal turn
            session.run_with_iobinding(bindings[turn])
            if job.mode == "step":
                turn = 1 - turn

        def check() -> list[Array]:
            nonlocal turn
            turn = 0
            for state in both[0]:
                state.update_inplace(np.zeros(shape, np.float32))
            found = []
            for _ in range(3 if job.mode == "step" else 1):
                run()
                found.append(outputs.numpy()[:, 0].transpose(1, 0, 2).copy())
            return [np.stack(found)[:, 0, 0]] if job.mode == "step" else found

        return Prepared(run, check)


def _value(array: Array) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _bind(
    session: Any, inputs: Any, outputs: Any, names: list[str], read: list[Any], written: list[Any]
) -> Any:
    binding = session.io_binding()
    binding.bind_ortvalue_input("X", inputs)
    binding.bind_ortvalue_output("Y", outputs)
    for name, value, result in zip(names, read, written, strict=True):
        binding.bind_ortvalue_input(name, value)
        binding.bind_ortvalue_output(f"{name}_out", result)
    return binding
