"""Training and predicting with code that users write in `keras.ops`, against Keras on JAX.

    python benches/python/users_code.py
    python benches/python/users_code.py --peer PYTHON   # an interpreter that has Keras and JAX
    python benches/python/users_code.py --peer PYTHON --record
    python benches/python/users_code.py --kinds minimal loss --case 32,50,16,32
    python benches/python/users_code.py --threads 2     # the clock's time, on two cores

The same source of each kind (see `users_models.py`) runs in ferrnn and in Keras; `built-in` is
ferrnn's own LSTM, and some layers that both have are compared too. Models are trained with Adam on
the mean squared error, if they have no loss of their own; a number is an epoch of `fit` or a
`predict` divided by its steps, in milliseconds of the processor's time, on several threads of the
clock's. Each contestant is a process of its own on one core and one thread unless `--threads` says
more, and waits while another has its turn. `first` is the first step after the model is made,
tracing and lowering (in Keras, compiling) included.
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
from typing import Any, TypeAlias

import numpy as np
from table import tell
from users_models import KINDS, model_of

STEPS = 20
PEER = "Keras on JAX"
RUNS = ("fit", "predict")
HEAD = (
    "| code | fit, ferrnn | Keras on JAX | ratio | predict, ferrnn | Keras on JAX | ratio "
    "| first | Keras on JAX |"
)
Clock: TypeAlias = "Callable[[], float]"
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Case:
    """One model, with data for some steps."""

    def __init__(
        self, keras: Any, kind: str, sizes: list[int], clock: Clock = time.process_time
    ) -> None:
        batch, steps, features, units = sizes
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(STEPS * batch, steps, features)).astype("float32")
        if kind == "masked":
            self.x[:, steps // 2 :][rng.random(len(self.x)) < 0.5] = 0.0
        self.model = model_of(keras, kind, (steps, features), units)
        each = self.model(self.x[:batch]).shape[1:]
        self.y = rng.normal(size=(STEPS * batch, *each)).astype("float32")
        self.batch = batch
        start = clock()
        self.model.train_on_batch(self.x[:batch], self.y[:batch])
        self.first = clock() - start

    def fit(self) -> None:
        """An epoch."""
        self.model.fit(self.x, self.y, batch_size=self.batch, verbose=0)

    def predict(self) -> None:
        """All samples."""
        self.model.predict(self.x, batch_size=self.batch, verbose=0)


def work(module: str, threads: int) -> None:
    """A contestant: makes the case that a line names, then runs a turn for each line."""
    keras = importlib.import_module(module)
    clock = time.process_time if threads == 1 else time.perf_counter
    if module == "ferrnn":
        keras.config.set_num_threads(threads)
    case: Case | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "case" in order:
            case = Case(keras, order["kind"], order["case"], clock)
            print(json.dumps({"first": case.first * 1e3}), flush=True)
            continue
        assert case is not None
        run = getattr(case, order["run"])
        run()
        best = []
        end = clock() + order["seconds"]
        while clock() < end or not best:
            start = clock()
            run()
            best.append((clock() - start) / STEPS * 1e3)
        print(json.dumps({"times": best}), flush=True)


class Contestant:
    """A process that waits for its turns."""

    def __init__(self, name: str, python: str, module: str, core: int, threads: int) -> None:
        self.name = name
        environment = os.environ | {"KERAS_BACKEND": "jax", "OMP_NUM_THREADS": str(threads)}
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        if threads == 1:
            environment["XLA_FLAGS"] = ONE_THREAD
        command = [python, os.path.abspath(__file__), "--work", module]  # noqa: PTH100
        command += ["--threads", str(threads)]
        if hasattr(os, "sched_setaffinity"):
            command = ["taskset", "-c", f"{core}-{core + threads - 1}", *command]
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
    seat = options.core, options.threads
    contestants = [Contestant("ferrnn", sys.executable, "ferrnn", *seat)]
    if options.peer:
        contestants.append(Contestant(PEER, options.peer, "keras", *seat))
    behind = []
    for kind in [*options.kinds, "built-in"]:
        taking = contestants if kind != "built-in" else contestants[:1]
        first = {each.name: each.ask(case=options.case, kind=kind)["first"] for each in taking}
        turns: dict[tuple[str, str], list[float]] = {}
        for turn in range(options.rounds):
            for each in taking if turn % 2 == 0 else taking[::-1]:
                for run in RUNS:
                    found = each.ask(run=run, seconds=options.slice)["times"]
                    turns.setdefault((run, each.name), []).append(min(found))
        cells = [kind]
        for run in RUNS:
            cells += _figures(turns[run, "ferrnn"], turns.get((run, PEER), []))
            if cells[-1] and float(cells[-1]) < 1:
                behind.append(f"`{run}` of {kind} ({cells[-1]})")
        cells += [f"{first[each]:.0f}" if each in first else "" for each in ("ferrnn", PEER)]
        yield f"| {' | '.join(cells)} |"
    for each in contestants:
        assert each.process.stdin is not None
        each.process.stdin.close()
        each.process.wait()
    if options.peer:
        yield ""
        yield f"{PEER} is ahead in: {', '.join(behind) or 'none'}"


def _figures(ours: list[float], theirs: list[float]) -> list[str]:
    """Minimum and median of ours and of the peer's, and the median ratio of a round."""
    figures = [
        f"{min(each):.3f} / {statistics.median(each):.3f}" for each in (ours, theirs) if each
    ]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)] if theirs else []
    return [*figures, f"{statistics.median(ratios):.2f}"] if ratios else [*figures, "", ""]


def main(options: argparse.Namespace) -> None:
    """Prints the table, and writes it to the records if asked to."""
    alone = options.threads == 1
    cores = "one core" if alone else f"{options.threads} cores and threads"
    whose = "processor's" if alone else "clock's"
    notes = [
        f"batch, time, features, units: {','.join(map(str, options.case))}; {cores}, float32",
        f"the {whose} milliseconds for a step of `fit` (Adam) or `predict`:",
        "minimum / median of the turns' minima; ratios: medians over rounds of theirs by ours",
        "`first`: the first step of training, with tracing",
    ]
    name = "users-code" if alone else f"users-code-{options.threads}-threads"
    tell("Users' code", name, notes, compare(options), options.record)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument(
        "--case", type=lambda text: [int(n) for n in text.split(",")], default=[32, 50, 16, 32]
    )
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with Keras and JAX")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--slice", type=float, default=0.2, help="seconds a turn")
    parser.add_argument("--core", type=int, default=0, help="the first one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    if given.work:
        work(given.work, given.threads)
    else:
        main(given)
