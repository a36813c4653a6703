"""What it costs to serve a small model: the time of a cold start, and memory.

    python benches/python/footprint.py
    python benches/python/footprint.py --record --torch VENV/bin/python \
        --tensorflow VENV/bin/python --litert VENV/bin/python

Each contestant is a fresh process that loads its file of one LSTM (8 inputs, 64 units) and
a Dense, predicts one sequence of 20 steps, and ends. The times are those of the whole process, in
turns, with its bytecode compiled; the memory is the peak of its resident set above that of a
process that imports NumPy. Frameworks that are not installed beside ferrnn run in the environments
whose interpreters are given; missing ones are named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from table import tell

import ferrnn

ROOT = Path(__file__).parents[2]
PEAK = """
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""
X = "x = np.zeros((1, 20, 8), 'float32')\n"
NUMPY = "import numpy as np\n" + X
RUNS = {
    "ferrnn, its own format": "import numpy as np, ferrnn\n"
    f"{X}ferrnn.load_model('model.safetensors').predict(x, verbose=0)",
    "ferrnn, `.keras`": "import numpy as np, ferrnn\n"
    f"{X}ferrnn.load_model('model.keras').predict(x, verbose=0)",
    "ferrnn, `.onnx`": f"import numpy as np, ferrnn\n{X}ferrnn.from_onnx('model.onnx')(x)",
    "onnxruntime": "import numpy as np, onnxruntime\n"
    f"{X}onnxruntime.InferenceSession('model.onnx').run(None, {{'x': x}})",
    "litert": "import numpy as np\nfrom ai_edge_litert.interpreter import Interpreter\n"
    f"{X}i = Interpreter('model.tflite')\ni.allocate_tensors()\n"
    "i.set_tensor(i.get_input_details()[0]['index'], x)\ni.invoke()\n"
    "i.get_tensor(i.get_output_details()[0]['index'])",
    "torch": f"import numpy as np, torch\n{X}torch.jit.load('model.pt')(torch.from_numpy(x))",
    "tensorflow": "import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
    f"import numpy as np, keras\n{X}keras.models.load_model('tensorflow.h5').predict(x, verbose=0)",
}
TORCH = """
import numpy as np, torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = torch.nn.LSTM(8, 64, batch_first=True), torch.nn.Linear(64, 1)
    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])
torch.jit.script(Model().eval()).save("model.pt")
"""
TENSORFLOW = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tensorflow as tf
model = keras.Sequential([keras.Input((20, 8), 1), keras.layers.LSTM(64), keras.layers.Dense(1)])
model.save("tensorflow.h5")
open("model.tflite", "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
"""


def make_files(folder: Path, interpreters: dict[str, str]) -> None:
    """The model in each format that can be made."""
    layers = ferrnn.layers
    model = ferrnn.Sequential([ferrnn.Input((20, 8)), layers.LSTM(64), layers.Dense(1)])
    model.save(folder / "model.safetensors")
    model.save(folder / "model.keras")
    write_onnx(model, folder / "model.onnx")
    for name, code in (("torch", TORCH), ("tensorflow", TENSORFLOW)):
        if name in interpreters:
            (folder / "make.py").write_text(code)  # TorchScript reads its source
            subprocess.run([interpreters[name], "make.py"], cwd=folder, check=True)


def write_onnx(model: ferrnn.Sequential, path: Path) -> None:
    """The same model as PyTorch's exporter would write it."""

    def gates(array: np.ndarray) -> np.ndarray:
        i, f, c, o = np.split(array, 4, axis=-1)
        return np.concatenate([i, o, f, c], axis=-1)

    kernel, recurrent, bias, head, end = model.get_weights()
    constants = {
        "W": gates(kernel).T[None],
        "R": gates(recurrent).T[None],
        "B": np.concatenate([gates(bias), 0 * bias])[None],
        "head": head,
        "end": end,
        "first": np.array([0]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["turned", "W", "R", "B"], ["", "last"], hidden_size=64),
        helper.make_node("Squeeze", ["last", "first"], ["h"]),
        helper.make_node("Gemm", ["h", "head", "end"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "lstm",
        [value("x", TensorProto.FLOAT, ["batch", "time", 8])],
        [value("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(made)
    path.write_bytes(made.SerializeToString())


def once(python: str, code: str, folder: Path, package: Path) -> tuple[float, int]:
    """Seconds and the peak in KiB of one process."""
    environment = {**os.environ, "PYTHONPATH": str(package)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    found = subprocess.run(
        [python, "-c", code + PEAK],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - start, int(found.stdout.split()[-1])


def measure(interpreters: dict[str, str], rounds: int) -> list[str]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        package = folder / "package"  # a copy, whose bytecode may be written
        shutil.copytree(ROOT / "python" / "ferrnn", package / "ferrnn")
        make_files(folder, interpreters)
        runs = {"NumPy alone": (sys.executable, NUMPY)}
        for name, code in RUNS.items():
            own = name.startswith("ferrnn") or name == "onnxruntime"
            python = sys.executable if own else interpreters.get(name)
            if python is None:
                print(f"MISSING: {name} (no --{name})", file=sys.stderr)
            else:
                runs[name] = (python, code)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        peaks: dict[str, list[int]] = {name: [] for name in runs}
        for count in range(rounds + 1):
            for name, (python, code) in runs.items():
                taken, peak = once(python, code, folder, package)
                if count:  # the first writes bytecode
                    seconds[name].append(taken)
                    peaks[name].append(peak)
    (first, *_), alone = RUNS, median(peaks["NumPy alone"])
    lines = [
        "| | cold start, s | of ferrnn's | memory above NumPy's, MiB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in runs:
        ratio = median(seconds[name]) / median(seconds[first])
        above = (median(peaks[name]) - alone) / 1024
        lines.append(f"| {name} | {median(seconds[name]):.2f} | {ratio:.1f} | {above:.1f} |")
    return lines


def main() -> None:
    """Prints the table, and records it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("torch", "tensorflow", "litert"):
        parser.add_argument(f"--{name}", help="the interpreter of an environment that has it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--record", action="store_true", help="write into benches/record")
    arguments = vars(parser.parse_args())
    rounds, record = arguments.pop("rounds"), arguments.pop("record")
    lines = measure({name: path for name, path in arguments.items() if path}, rounds)
    notes = [f"ferrnn {ferrnn.__version__}, numpy {np.__version__}; medians of {rounds} rounds"]
    tell("Footprint", "footprint", notes, lines, record)


if __name__ == "__main__":
    main()
