"""Writes ONNX files and what ONNX Runtime computes with them: `data/onnx/`, `data/onnx.npz`.

Graphs by hand. Made with onnx 1.23.2, onnxruntime 1.32.0, Python 3.12::

    pip install onnx onnxruntime numpy
    python tests/python/interop/make_onnx.py

ONNX Runtime refuses `layout` 1: the outputs of such a case are those of the same node with
`layout` 0, transposed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime

import onnx_graphs
import onnx_recurrent
from onnx_recurrent import Recurrent
from onnx_refused import add_refused, float16
from onnx_running import add, computed, names_of
from recording import Recorder


def main() -> None:
    onnxruntime.set_default_logger_severity(4)
    record = Recorder("onnx", onnx=onnx.__version__, onnxruntime=onnxruntime.__version__)
    for name, case in onnx_recurrent.table().items():
        add_recurrent(record, name, case)
    for name, (model, inputs) in onnx_graphs.ran().items():
        add(record, name, model.SerializeToString(), inputs)
    model, x = float16()
    add(record, "float16_weights", model.SerializeToString(), [x])
    add_wrong_gru(record)
    add_refused(record)
    record.write()


def add_recurrent(record: Recorder, name: str, case: Recurrent) -> None:
    model, inputs = onnx_recurrent.model(case, name), onnx_recurrent.inputs(case, name)
    about = dataclasses.asdict(case)
    if not case.batch_first:
        node = {key: about[key] for key in ("op", "attributes", "opset")}
        add(record, name, model.SerializeToString(), list(inputs.values()), node=node)
        return
    twin = dataclasses.replace(case, attributes=case.attributes | {"layout": 0})
    turned = {
        key: value if key == "sequence_lens" else np.ascontiguousarray(value.swapaxes(0, 1))
        for key, value in inputs.items()
    }
    outputs = computed(onnx_recurrent.model(twin, name).SerializeToString(), turned)
    given, made = names_of(model)
    back = [
        output.transpose(2, 0, 1, 3) if key == "Y" else output.swapaxes(0, 1)
        for key, output in zip(made, outputs, strict=True)
    ]
    record.path(f"onnx/{name}.onnx").write_bytes(model.SerializeToString())
    node = {key: about[key] for key in ("op", "attributes", "opset")}
    described = {"inputs": given, "outputs": made, "node": node}
    record.add(name, f"onnx/{name}.onnx", list(inputs.values()), back, described)


def add_wrong_gru(record: Recorder) -> None:
    """What torch's exporter wrote from November 2025 to June 2026: no `linear_before_reset`.

    The file is computed as written, and a reader should warn of it.
    """
    name = "gru_of_torch_without_reset"
    case = Recurrent("GRU", opset=22)
    model, inputs = onnx_recurrent.model(case, name), onnx_recurrent.inputs(case, name)
    model.producer_name, model.producer_version = "pytorch", "2.10.0"
    add(record, name, model.SerializeToString(), list(inputs.values()), warns=True)


if __name__ == "__main__":
    main()
