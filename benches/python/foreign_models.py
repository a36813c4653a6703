"""Models that others trained: how exact ferrnn is on each, and how fast beside ONNX Runtime.

    python benches/python/foreign_models.py
    python benches/python/foreign_models.py --only silero --record

`tests/python/interop/others.py` says where they are, how each is opened and what it should compute.
A time is that of one call with the inputs of the reference, in microseconds: the tenth percentile
of the calls, which take turns with ONNX Runtime's; whatever else the machine does only adds to it.
ONNX Runtime runs the same `.onnx` file or, where ferrnn exports the model, that export. A ratio
above 1 means that ferrnn is faster.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from table import tell
from timing import REST

import ferrnn

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/python" / each) for each in ("", "golden", "interop")]

import others  # noqa: E402 - beside the tests
from ferrnn import simd_level  # noqa: E402


def session(path: Path, threads: int) -> Any:
    """A session of ONNX Runtime on `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def theirs(opened: others.Opened, file: str, threads: int) -> Callable[[], object] | None:
    """A call of ONNX Runtime with the same inputs; None where it runs no such file."""
    path = others.MODELS / file
    if path.suffix != ".onnx":
        if opened.model.get_weights()[0].dtype == np.float64:
            return None  # ONNX Runtime's LSTM has no float64
        try:
            path = Path(tempfile.mkdtemp()) / "model.onnx"
            opened.model.export(path)
        except (AttributeError, NotImplementedError, ValueError, TypeError):
            return None
    made = session(path, threads)
    names = [each.name for each in made.get_inputs()]
    given = (
        opened.inputs
        if isinstance(opened.inputs, dict)
        else dict(zip(names, opened.inputs, strict=True))
    )
    kinds = {"tensor(int32)": "i4", "tensor(int64)": "i8", "tensor(double)": "f8"}
    given = {
        each.name: np.asarray(given[each.name], kinds.get(each.type, "f4"))
        for each in made.get_inputs()
    }
    return lambda: made.run(None, given)


def ours(opened: others.Opened) -> Callable[[], object]:
    """A call of ferrnn with the inputs of the reference."""
    if isinstance(opened.inputs, dict):
        return lambda: opened.model.run(opened.inputs)
    inputs = opened.inputs if len(opened.inputs) > 1 else opened.inputs[0]
    return lambda: opened.model(inputs)


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The tenth percentile of each one's calls in seconds; a turn is some calls after a pause."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(REST)
            run()
            for _ in range(5):
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.quantile(each, 0.1)) for name, each in seconds.items()}


def row(file: str, threads: list[int], rounds: int) -> str:
    """A line of the table."""
    opened = others.OPENS[file](file)
    cells = [f"`{file}`", f"{others.difference(opened):.0e}"]
    for count in threads:
        ferrnn.set_num_threads(count)
        runs = {"ferrnn": ours(opened)}
        other = theirs(opened, file, count)
        if other is not None:
            runs["ONNX Runtime"] = other
        best = in_turns(runs, rounds)
        cells.append(f"{best['ferrnn'] * 1e6:.0f}")
        if other is None:
            cells += ["", ""]
        else:
            cells.append(f"{best['ONNX Runtime'] * 1e6:.0f}")
            cells.append(f"{best['ONNX Runtime'] / best['ferrnn']:.2f}")
    return "| " + " | ".join(cells) + " |"


def lines(arguments: argparse.Namespace) -> Iterator[str]:
    """The table, line by line."""
    heads = ["model", "difference"]
    for count in arguments.threads:
        heads += [f"ferrnn, {count} thr.", "ONNX Runtime", "ratio"]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * (len(heads) - 1)
    for file in others.OPENS:
        if arguments.only in file:
            yield row(file, arguments.threads, arguments.rounds)


def main() -> None:
    """Prints the table, and records it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="files whose name holds this")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--record", action="store_true", help="write into benches/record")
    arguments = parser.parse_args()
    if not others.MODELS.is_dir():
        sys.exit(others.ABSENT)
    notes = [f"ferrnn {ferrnn.__version__} ({simd_level()}), numpy {np.__version__}"]
    tell("Trained models of others", "foreign-models", notes, lines(arguments), arguments.record)


if __name__ == "__main__":
    main()
