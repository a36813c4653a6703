"""Runs a model in ONNX Runtime and records it as a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime

from recording import Array, Recorder


def computed(model: bytes, inputs: Mapping[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, dict(inputs))
    return found


def names_of(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    return inputs, [value.name for value in model.graph.output]


def add(
    record: Recorder, name: str, model: bytes, inputs: Sequence[Array], **about: object
) -> None:
    """Writes the file and records what ONNX Runtime makes of the inputs."""
    given, made = names_of(onnx.load_from_string(model))
    outputs = computed(model, dict(zip(given, inputs, strict=True)))
    record.path(f"onnx/{name}.onnx").write_bytes(model)
    record.add(
        name,
        f"onnx/{name}.onnx",
        inputs,
        [np.asarray(output) for output in outputs],
        {"inputs": given, "outputs": made, **about},
    )
