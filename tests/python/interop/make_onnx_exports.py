"""Writes what torch's exporters make of its models: `data/onnx/torch_*`, `onnx_exports.npz`.

Made with torch 2.15.0, onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, Python 3.12::

    pip install torch onnxscript onnx onnxruntime numpy
    python tests/python/interop/make_onnx_exports.py
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch

from onnx_exports import Export, exported, exports
from onnx_running import add
from recording import Recorder

OPSETS = {"scripted": (14, 17), "dynamo": (18, 20)}


def main() -> None:
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(4)
    record = Recorder(
        "onnx_exports",
        onnx=onnx.__version__,
        onnxruntime=onnxruntime.__version__,
        torch=torch.__version__,
        onnxscript=onnxscript.__version__,
    )
    add_exports(record)
    record.write()


def add_exports(record: Recorder) -> None:
    """`torch_<name>_<exporter>`: outputs by ONNX Runtime, and torch's own agree to 2e-6."""
    for name, export in exports().items():
        wide, narrow = OPSETS["scripted"], OPSETS["dynamo"]
        opset = wide[len(name) % 2], narrow[len(name) % 2]
        for exporter, dynamo in (("scripted", False), ("dynamo", True)):
            try:
                model = exported(export, dynamo, opset[dynamo])
                whole = f"torch_{name}_{exporter}"
                add(record, whole, model, export.inputs, exporter=exporter)
            except Exception as error:  # noqa: BLE001 - an exporter may fail in any way
                print(f"{name}, {exporter}: {str(error).splitlines()[:3]}", file=sys.stderr)
                continue
            compare(record, whole, export)


def compare(record: Recorder, name: str, export: Export) -> None:
    """Torch and ONNX Runtime agree, or the difference is recorded with the case."""
    with torch.no_grad():
        given = [torch.from_numpy(array) for array in export.inputs]
        outputs, flat = export.model(*given), []
        for output in outputs if isinstance(outputs, tuple) else [outputs]:
            flat += list(output) if isinstance(output, tuple) else [output]
    worst = 0.0
    for i, output in enumerate(flat):
        found = record.cases.arrays[f"{name}/output_{i}"]
        worst = max(worst, float(np.abs(found - output.numpy()).max()))
    record.cases.table[name]["difference_to_torch"] = worst
    if worst > 2e-6:
        print(f"{name}: differs from torch by {worst:.2e}", file=sys.stderr)


if __name__ == "__main__":
    main()
