"""OpenVINO on a graph of one native sequence node, batch first, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from cases import STATES, Array, Data, Job
from openvino import opset13 as ops

from contestants import Prepared

# Where OpenVINO has its gates, counted in Keras' order (i, f, c, o and z, r, h).
ORDER = {"lstm": [1, 0, 2, 3], "gru": [0, 1, 2], "simple_rnn": [0]}


def columns_to_rows(weight: Array, cell: str) -> Array:
    """`[n, gates * units]` in Keras' order to `[1, gates * units, n]`."""
    blocks = np.split(weight, len(ORDER[cell]), axis=-1)
    return np.ascontiguousarray(np.concatenate([blocks[g] for g in ORDER[cell]], axis=-1).T[None])


def merged_bias(job: Job, data: Data) -> Array:
    """`[1, gates * units]`; GRU has a fourth block, the candidate's recurrent bias by itself."""
    if job.cell != "gru":
        return columns_to_rows(data.bias[None], job.cell)[..., 0]
    ours, recurrent = data.bias
    u = job.units
    merged = [(ours + recurrent)[: 2 * u], ours[2 * u :], recurrent[2 * u :]]
    return np.concatenate(merged)[None]


def make_model(job: Job, data: Data) -> Any:
    """X `[batch, time, features]` in, Y out; when streaming the states are variables inside."""
    size = [job.batch, 1, job.units]
    names = ["h", "c"][: STATES[job.cell]]
    states = [ops.constant(np.zeros(size, np.float32)) for _ in names]
    if job.mode == "step":
        states = [
            ops.read_value(zeros, name, np.float32, size)
            for zeros, name in zip(states, names, strict=True)
        ]
    inputs = ops.parameter([job.batch, job.time, job.features], np.float32)
    lengths = ops.constant(np.full(job.batch, job.time, np.int32))
    weights = [
        ops.constant(columns_to_rows(data.kernel, job.cell)),
        ops.constant(columns_to_rows(data.recurrent_kernel, job.cell)),
        ops.constant(merged_bias(job, data)),
    ]
    arguments = [inputs, *states, lengths, *weights, job.units, "forward"]
    if job.cell == "lstm":
        node = ops.lstm_sequence(*arguments)
    elif job.cell == "gru":
        node = ops.gru_sequence(*arguments, linear_before_reset=True)
    else:
        node = ops.rnn_sequence(*arguments)
    kept = []
    if job.mode == "step":
        for index, name in enumerate(names, start=1):  # `assign` takes a node, not one of outputs
            state = ops.reshape(node.output(index), ops.constant(size), special_zero=False)
            kept.append(ops.assign(state, name))
    return openvino.Model([ops.result(node.output(0))], kept, [inputs])


class Contestant:
    """The CPU plugin, one stream, latency first."""

    def __init__(self, threads: int) -> None:
        self.version = openvino.__version__.split("-")[0]
        self.core = openvino.Core()
        self.settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": "NO",
        }

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Inference only."""
        if job.mode not in ("step", "call"):
            return None
        model = self.core.compile_model(make_model(job, data), "CPU", self.settings)
        request = model.create_infer_request()
        request.set_input_tensor(0, openvino.Tensor(data.inputs, shared_memory=True))
        outputs = request.get_output_tensor(0)

        def check() -> list[Array]:
            if job.mode == "call":
                request.infer()
                return [outputs.data[:, 0].copy()]
            request.reset_state()
            found = []
            for _ in range(3):
                request.infer()
                found.append(outputs.data[0, 0, 0].copy())
            return [np.stack(found)]

        return Prepared(request.infer, check)
