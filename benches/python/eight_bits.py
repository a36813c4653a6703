"""LSTMs with weights in float32, bfloat16 and int8, and ONNX Runtime's quantized LSTM.

    python benches/python/eight_bits.py
    python benches/python/eight_bits.py --record
    python benches/python/eight_bits.py --errors

Speed: a whole sequence, and one step after the other with the states carried on. All contestants
run in one process and take turns; ONNX Runtime runs the model that ferrnn exports, as it is and
after `quantize_dynamic`. Errors: the largest and the root mean square difference of outputs from
those of float32, relative to the largest output, on models that others trained, and the resulting
error of the demo.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from table import tell
from timing import Run, median_ratio, round_robin

import ferrnn
from ferrnn import simd_level
from ferrnn._src.models.precisions import set_precision

ROOT = Path(__file__).parents[2]
PRECISIONS = ("full", "bfloat16", "int8")
CASES = {"sequence": (1, 100, 128, 512), "stream": (1, 1, 512, 1024)}


def sessions(model: ferrnn.Sequential, threads: int, states: bool) -> Iterator[Any]:
    """ONNX Runtime with the model, and with its weights quantized."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        model.export(plain, states=states)
        quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8)
        for path in (plain, quantized):
            yield onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def theirs(session: Any, inputs: np.ndarray, states: bool) -> Run:
    """A call; with states, one that carries them on."""
    names = [each.name for each in session.get_inputs()]
    given = {names[0]: inputs}
    for each in session.get_inputs()[1:]:
        given[each.name] = np.zeros([1 if type(n) is str else n for n in each.shape], np.float32)

    def run() -> Any:
        found = session.run(None, given)
        if states:
            given.update(zip(names[1:], found[1:], strict=True))
        return found[0]

    return run


def ours(model: ferrnn.Sequential, inputs: np.ndarray, precision: str, states: bool) -> Run:
    """A call of the layer, or a step of its stream."""
    layer = model.layers[0]
    layer.inference_precision = precision
    if not states:
        return lambda: layer(inputs)
    stream, step = layer.stream(), inputs[:, 0]
    out = np.empty((1, layer.units), np.float32)
    return lambda: stream(step, out)


def contestants(case: str, threads: int) -> dict[str, Run]:
    """Everyone with the same weights; the first calls agree."""
    batch, time, features, units = CASES[case]
    states = case == "stream"
    ferrnn.set_num_threads(threads)
    ferrnn.utils.set_random_seed(1)
    inputs = np.random.default_rng(1).standard_normal((batch, time, features)).astype(np.float32)
    runs: dict[str, Run] = {}
    weights = None
    for precision in PRECISIONS:
        layer = ferrnn.layers.LSTM(units, return_sequences=True)
        model = ferrnn.Sequential([ferrnn.Input((None, features)), layer])
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        runs[f"ferrnn {precision}"] = ours(model, inputs, precision, states)
    found = sessions(model, threads, states)
    for name, session in zip(("float32", "int8"), found, strict=True):
        runs[f"ONNX Runtime {name}"] = theirs(session, inputs, states)
    expected, *others = [np.array(run()).reshape(-1) for run in runs.values()]
    for name, other in zip(list(runs)[1:], others, strict=True):
        np.testing.assert_allclose(other, expected, atol=0.3, err_msg=name)
    return runs


def speed(asked: argparse.Namespace) -> Iterator[str]:
    """The table of times, line by line."""
    names = [
        *(f"ferrnn {each}" for each in PRECISIONS),
        *("ONNX Runtime float32", "ONNX Runtime int8"),
    ]
    heads = ["case", "threads", *names, "int8 of float32", "of ONNX Runtime int8"]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- | --- |" + " ---: |" * (len(heads) - 2)
    for case, sizes in CASES.items():
        for threads in asked.threads:
            runs = contestants(case, threads)
            seconds = round_robin(runs, rounds=asked.rounds, slice_seconds=asked.slice)
            cells = [f"{case} {','.join(map(str, sizes))}", str(threads)]
            cells += [
                f"{min(seconds[name]) * 1e6:.0f} / {median(seconds[name]) * 1e6:.0f}"
                for name in names
            ]
            int8 = seconds["ferrnn int8"]
            for other in ("ferrnn full", "ONNX Runtime int8"):
                ratio = min(seconds[other]) / min(int8)
                cells.append(f"{ratio:.2f} / {median_ratio(seconds[other], int8):.2f}")
            yield "| " + " | ".join(cells) + " |"


def errors() -> Iterator[str]:
    """The table of errors, line by line."""
    sys.path[:0] = [str(ROOT / "tests/python" / each) for each in ("", "golden", "interop")]
    others = importlib.import_module("others")
    yield "| model | bfloat16: at most | root mean square | int8: at most | root mean square |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for file, opens in others.OPENS.items() if others.MODELS.is_dir() else ():
        opened = opens(file)
        try:
            set_precision(opened.model, "int8")
        except (AttributeError, TypeError, ValueError):  # graphs, and weights in float64
            continue
        outputs = {}
        for precision in PRECISIONS:
            set_precision(opened.model, precision)
            found = opened.run()
            outputs[precision] = np.concatenate([np.ravel(each) for each in found])
        yield _errors_of(f"`{file}`", outputs)


def _errors_of(name: str, outputs: dict[str, np.ndarray]) -> str:
    exact = outputs["full"].astype(np.float64)
    cells = [name]
    for precision in PRECISIONS[1:]:
        difference = np.abs(outputs[precision] - exact) / np.abs(exact).max()
        cells += [f"{difference.max():.1e}", f"{np.sqrt(np.mean(difference**2)):.1e}"]
    return "| " + " | ".join(cells) + " |"


def demo() -> Iterator[str]:
    """The demo's error on the days of its last year, in °C, with each precision."""
    sys.path.insert(0, str(ROOT / "examples"))
    seattle = importlib.import_module("seattle_forecast")
    ferrnn.utils.set_random_seed(1)
    weather = ferrnn.datasets.load_seattle_weather()
    windows, unit = seattle.make_windows(weather)
    ends = (weather.dates[0], seattle.VALIDATION, seattle.TEST, weather.dates[-1] + 1)
    train, validation, test = (windows.between(*each) for each in pairwise(ends))
    model = seattle.make_model(train.x.shape[-1])
    stopping = ferrnn.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    model.fit(
        train.x,
        train.y,
        batch_size=seattle.BATCH,
        epochs=60,
        validation_data=(validation.x, validation.y),
        callbacks=[stopping],
        verbose=0,
    )
    yield ""
    yield "| demo, error in °C | root mean square | mean absolute |"
    yield "| --- | ---: | ---: |"
    for precision in PRECISIONS:
        set_precision(model, precision)
        forecast = test.today + model.predict(test.x, verbose=0)[:, 0] * unit
        absolute = np.abs(forecast - test.tomorrow).mean()
        root = seattle.rmse(forecast, test.tomorrow)
        yield f"| {precision} | {root:.4f} | {absolute:.4f} |"


def main() -> None:
    """Prints a table, and writes it to a file if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--errors", action="store_true", help="errors instead of times")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--slice", type=float, default=0.03, help="seconds a turn")
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    asked = parser.parse_args()
    notes = [
        f"ferrnn {ferrnn.__version__} ({simd_level()}), numpy {np.__version__}",
        f"ONNX Runtime {onnxruntime.__version__}",
        "times in µs, in turns: minima / medians; ratios: of minima / median of the rounds'",
    ]
    lines = chain(errors(), demo()) if asked.errors else speed(asked)
    tell("Weights of 8 bits", "eight-bits", notes, lines, asked.record)


if __name__ == "__main__":
    main()
