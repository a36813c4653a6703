"""Training and predicting with cells that users write in `keras.ops`, against Keras on JAX.

    python benches/python/users_cells.py
    python benches/python/users_cells.py --peer PYTHON   # an interpreter that has Keras and JAX
    python benches/python/users_cells.py --peer PYTHON --record
    python benches/python/users_cells.py --cells minimal lstm --case 32,50,16,32

The same source of each cell runs in ferrnn and in Keras; `built-in` is ferrnn's own LSTM, and some
layers that both have are compared too. A model is RNN(cell) or the layer, and Dense(1), trained
with Adam on the mean squared error; a number is an epoch of `fit` or a `predict` divided by its
steps, in milliseconds of the processor's time. Each contestant is a process of its own on one core
and one thread, and waits while another has its turn. `first` is the first step after the model is
made, tracing and lowering (in Keras, compiling) included.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from table import tell

CELLS = ("minimal", "masked", "lstm", "nested", "normalized", "attention")
# Layers that both have, beside the built-in LSTM.
LAYERS = ("MultiHeadAttention", "Attention", "ConvLSTM1D", "recurrent dropout")
STEPS = 20
PEER = "Keras on JAX"
RUNS = ("fit", "predict")
HEAD = (
    "| cell | fit, ferrnn | Keras on JAX | ratio | predict, ferrnn | Keras on JAX | ratio "
    "| first | Keras on JAX |"
)
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def cells_of(keras: Any) -> dict[str, Callable[[int], Any]]:  # noqa: C901 - a list of classes
    """Makers of the cells, by name, in ferrnn or in Keras."""
    ops, base = keras.ops, keras.layers.Layer

    class Cell(base):  # type: ignore[misc, valid-type]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = units
            self.state_size: Any = units

        def kernels(self, features: int, width: int) -> None:
            self.kernel = self.add_weight(shape=(features, width), name="kernel")
            self.recurrent_kernel = self.add_weight(
                shape=(self.units, width), initializer="orthogonal", name="recurrent_kernel"
            )
            self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

        def sums(self, inputs: Any, h: Any) -> Any:
            return ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel)

    class Minimal(Cell):
        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], self.units)

        def call(self, inputs: Any, states: Any) -> Any:
            h = ops.tanh(self.sums(inputs, states[0]) + self.bias)
            return h, [h]

    class Long(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, units]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], 4 * self.units)

        def call(self, inputs: Any, states: Any) -> Any:
            h, c = states
            i, f, g, o = ops.split(self.sums(inputs, h) + self.bias, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    class Normalized(Long):
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.scale = self.add_weight(shape=(4 * self.units,), initializer="ones", name="scale")

        def call(self, inputs: Any, states: Any) -> Any:
            h, c = states
            z = self.sums(inputs, h)
            mean = ops.mean(z, axis=-1, keepdims=True)
            spread = ops.var(z, axis=-1, keepdims=True)
            z = (z - mean) * ops.rsqrt(spread + 1e-3) * self.scale + self.bias
            i, f, g, o = ops.split(z, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    class Nested(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, units, units]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1], self.units)
            self.rate = self.add_weight(shape=(self.units,), name="rate", initializer="zeros")

        def call(self, inputs: Any, states: Any) -> Any:
            h, fast, slow = states
            rate = ops.sigmoid(self.rate)
            x = ops.tanh(self.sums(inputs, h) + self.bias)
            fast = 0.5 * fast + 0.5 * x
            slow = rate * slow + (1.0 - rate) * fast
            h = ops.relu(fast) - ops.tanh(slow)
            return h, [h, fast, slow]

    class Attention(Cell):
        def __init__(self, units: int) -> None:
            super().__init__(units)
            self.state_size = [units, 10 * 8]

        def build(self, shape: Any) -> None:
            self.kernels(shape[-1] + 8, self.units)
            self.query = self.add_weight(shape=(self.units, 16), name="query")
            self.keys = self.add_weight(shape=(8, 16), name="keys")
            self.score = self.add_weight(shape=(16, 1), name="score")
            self.steps = self.add_weight(shape=(1, 10, 8), name="steps")

        def call(self, inputs: Any, states: Any) -> Any:
            h, flat = states
            memory = ops.reshape(flat, (-1, 10, 8)) + self.steps
            query = ops.expand_dims(ops.matmul(h, self.query), 1)
            scores = ops.matmul(ops.tanh(query + ops.matmul(memory, self.keys)), self.score)
            context = ops.sum(ops.softmax(scores, axis=1) * memory, axis=1)
            x = ops.concatenate([inputs, context], axis=-1)
            h = ops.tanh(self.sums(x, h) + self.bias)
            return h, [h, flat]

    return {
        "minimal": Minimal,
        "masked": Minimal,
        "lstm": Long,
        "nested": Nested,
        "normalized": Normalized,
        "attention": Attention,
        "built-in": keras.layers.LSTMCell,
    }


def layer(keras: Any, name: str, units: int, values: Any) -> Any:
    """One of `LAYERS`, with a vector for each sequence."""
    layers = keras.layers
    if name == "recurrent dropout":
        return layers.LSTM(units, recurrent_dropout=0.2)(values)
    if name == "ConvLSTM1D":
        steps, features = values.shape[1:]
        frames = layers.Reshape((steps, features // 2, 2))(values)
        return layers.Flatten()(layers.ConvLSTM1D(8, 3, padding="same")(frames))
    if name == "Attention":
        values = layers.Attention()([values, values])
    else:
        values = layers.MultiHeadAttention(4, units // 4)(values, values)
    return layers.GlobalAveragePooling1D()(values)


class Case:
    """One model, with data for some steps."""

    def __init__(self, keras: Any, name: str, sizes: list[int]) -> None:
        batch, steps, features, units = sizes
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(STEPS * batch, steps, features)).astype("float32")
        self.y = rng.normal(size=(STEPS * batch, 1)).astype("float32")
        inputs = values = keras.Input((steps, features))
        if name == "masked":
            self.x[:, steps // 2 :][rng.random(len(self.x)) < 0.5] = 0.0
            values = keras.layers.Masking()(values)
        if name in LAYERS:
            values = layer(keras, name, units, values)
        else:
            values = keras.layers.RNN(cells_of(keras)[name](units))(values)
        self.model = keras.Model(inputs, keras.layers.Dense(1)(values))
        self.model.compile(keras.optimizers.Adam(), loss="mse")
        self.batch = batch
        start = time.process_time()
        self.model.train_on_batch(self.x[:batch], self.y[:batch])
        self.first = time.process_time() - start

    def fit(self) -> None:
        """An epoch."""
        self.model.fit(self.x, self.y, batch_size=self.batch, verbose=0)

    def predict(self) -> None:
        """All samples."""
        self.model.predict(self.x, batch_size=self.batch, verbose=0)


def work(module: str) -> None:
    """A contestant: makes the case that a line names, then runs a turn for each line."""
    keras = importlib.import_module(module)
    if module == "ferrnn":
        keras.config.set_num_threads(1)
    case: Case | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "case" in order:
            case = Case(keras, order["name"], order["case"])
            print(json.dumps({"first": case.first * 1e3}), flush=True)
            continue
        assert case is not None
        run = getattr(case, order["run"])
        run()
        best = []
        end = time.process_time() + order["seconds"]
        while time.process_time() < end or not best:
            start = time.process_time()
            run()
            best.append((time.process_time() - start) / STEPS * 1e3)
        print(json.dumps({"times": best}), flush=True)


class Contestant:
    """A process that waits for its turns."""

    def __init__(self, name: str, python: str, module: str, core: int) -> None:
        self.name = name
        environment = os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": ONE_THREAD}
        environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        command = [python, os.path.abspath(__file__), "--work", module]  # noqa: PTH100
        if hasattr(os, "sched_setaffinity"):
            command = ["taskset", "-c", str(core), *command]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        """Its answer to a request."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def compare(options: argparse.Namespace) -> Iterator[str]:
    """Lines of the table; without a peer its columns are empty."""
    yield HEAD
    yield "|---" * HEAD.count(" | ") + "|---|"
    contestants = [Contestant("ferrnn", sys.executable, "ferrnn", options.core)]
    if options.peer:
        contestants.append(Contestant(PEER, options.peer, "keras", options.core))
    for name in [*options.cells, "built-in"]:
        taking = contestants if name != "built-in" else contestants[:1]
        first = {each.name: each.ask(case=options.case, name=name)["first"] for each in taking}
        turns: dict[tuple[str, str], list[float]] = {}
        for turn in range(options.rounds):
            for each in taking if turn % 2 == 0 else taking[::-1]:
                for run in RUNS:
                    found = each.ask(run=run, seconds=options.slice)["times"]
                    turns.setdefault((run, each.name), []).append(min(found))
        cells = [name]
        for run in RUNS:
            cells += _figures(turns[run, "ferrnn"], turns.get((run, PEER), []))
        cells += [f"{first[each]:.0f}" if each in first else "" for each in ("ferrnn", PEER)]
        yield f"| {' | '.join(cells)} |"
    for each in contestants:
        assert each.process.stdin is not None
        each.process.stdin.close()
        each.process.wait()


def _figures(ours: list[float], theirs: list[float]) -> list[str]:
    """Minimum and median of ours and of the peer's, and the median ratio of a round."""
    figures = [
        f"{min(each):.2f} / {statistics.median(each):.2f}" for each in (ours, theirs) if each
    ]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)] if theirs else []
    return [*figures, f"{statistics.median(ratios):.2f}"] if ratios else [*figures, "", ""]


def main(options: argparse.Namespace) -> None:
    """Prints the table, and writes it to the records if asked to."""
    notes = [
        f"batch, time, features, units: {','.join(map(str, options.case))}; one core, float32",
        "the processor's milliseconds for a step of `fit` (RNN, Dense, Adam, mse) or `predict`:",
        "minimum / median of the turns' minima; ratios: medians over rounds of theirs by ours",
        "`first`: the first step of training, with tracing",
    ]
    tell("Users' cells", "users-cells", notes, compare(options), options.record)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=CELLS + LAYERS, default=[*CELLS, *LAYERS])
    parser.add_argument(
        "--case", type=lambda text: [int(n) for n in text.split(",")], default=[32, 50, 16, 32]
    )
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with Keras and JAX")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--slice", type=float, default=0.2, help="seconds a turn")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    if given.work:
        work(given.work)
    else:
        main(given)
