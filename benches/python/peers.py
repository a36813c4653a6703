"""How ferrnn's layer call and training step compare with other libraries, in one run.

    python benches/python/peers.py --quick
    python benches/python/peers.py --modes call train --cells lstm --threads 1 2 --record
    python benches/python/peers.py --case 32,100,256,256 --peers onnxruntime jax

Whatever is installed takes part (ONNX Runtime, OpenVINO, JAX, PyTorch, Keras; NumPy always); what
is missing is said. Answers are compared before anything is timed. Each number of threads is a
process of its own, bound to as many CPUs, since most libraries read their settings at import.
`floor.py` says what the floor is, `timing.py` how the turns are taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases import GATES, GROUPS, MODES, Job, Sizes, jobs
from contestants import KNOWN
from floor import Machine, cpu_name, measure
from table import Line, cells, header, markdown, record


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--cells", nargs="+", choices=list(GATES), default=list(GATES))
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument(
        "--case", type=sizes, action="append", default=[], metavar="BATCH,TIME,INPUTS,UNITS"
    )
    parser.add_argument("--peers", nargs="+", choices=list(KNOWN), default=list(KNOWN))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, help="turns of each contestant (default 9, quick 3)")
    parser.add_argument("--slice", type=float, help="seconds a turn (default 0.05, quick 0.01)")
    parser.add_argument("--peak", type=float, metavar="GFLOPS", help="of one core; else measured")
    parser.add_argument("--quick", action="store_true", help="few cases, short turns")
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    return parser.parse_args()


def sizes(text: str) -> Sizes:
    """`batch,time,inputs,units`."""
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) != 4 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected BATCH,TIME,INPUTS,UNITS, received {text!r}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def environment(threads: int) -> dict[str, str]:
    """What the libraries read at import, for a worker at this number of threads."""
    count = str(threads)
    names = ["OMP", "OPENBLAS", "MKL", "NUMEXPR", "FERRNN"]
    one_thread = " --xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return {
        **os.environ,
        **{f"{name}_NUM_THREADS": count for name in names},
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + one_thread,
        "JAX_PLATFORMS": "cpu",
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def run_worker(asked: argparse.Namespace, todo: list[Job], threads: int) -> Iterator[Any]:
    """The messages of one worker as they come."""
    request = {
        "threads": threads,
        "peers": asked.peers,
        "jobs": [job.to_dict() for job in todo],
        "rounds": asked.rounds or (3 if asked.quick else 9),
        "slice": asked.slice or (0.01 if asked.quick else 0.05),
    }
    command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(threads),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        for text in process.stdout:
            yield json.loads(text)
    if process.returncode:
        raise SystemExit(f"the worker at {threads} threads ended with {process.returncode}")


def main() -> None:
    """Runs what the command line asks for."""
    asked = arguments()
    machine: Machine = measure(asked.peak)
    todo = list(jobs(asked.modes, asked.cells, asked.groups, asked.case, quick=asked.quick))
    print(f"{cpu_name()}; {machine.describe()}")
    lines: list[Line] = []
    versions: dict[str, str] = {}
    notes: list[str] = []
    for threads in asked.threads:
        for message in run_worker(asked, todo, threads):
            if "versions" in message:
                versions |= message["versions"]
                notes += [f"not there: {text}" for text in message["missing"]]
                print(", ".join(f"{n} {v}" for n, v in message["versions"].items()))
                print(*(f"not there: {text}" for text in message["missing"]), sep="\n")
                print("mode", *header(list(message["versions"])), sep=" | ")
                continue
            job = Job(**message["job"])
            lines.append(Line(job, threads, message["seconds"]))
            print(job.mode, *cells(lines[-1], list(versions), machine), sep=" | ", flush=True)
            for name, why in message["failures"].items():
                text = f"{name} on {job.mode} {job.cell} {job.sizes}, {threads} thr: {why}"
                notes.append(text)
                print("  !", text)
    lines.sort(key=lambda line: todo.index(line.job))
    print("\n" + markdown(lines, list(versions), machine))
    if asked.record:
        print("written to", record(lines, list(versions), machine, versions, sorted(set(notes))))


if __name__ == "__main__":
    main()
