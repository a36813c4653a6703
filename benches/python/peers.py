"""How ferrnn's layer call and training step compare with other libraries, in one run.

    python benches/python/peers.py --quick
    python benches/python/peers.py --modes call train --cells lstm --threads 1 2 --record
    python benches/python/peers.py --case 32,100,256,256 --peers onnxruntime jax

Whatever is installed takes part (ONNX Runtime, OpenVINO, JAX, PyTorch, Keras; NumPy always); what
is missing is named. Answers are compared before anything is timed. Each contestant has a process of
its own at each number of threads, bound to as many CPUs and stopped outside its turns (`seats.py`).
`floor.py` says what the floor is, `timing.py` how the turns are taken.
"""

from __future__ import annotations

import argparse

from cases import GATES, GROUPS, MODES, Sizes, jobs
from contestants import KNOWN
from floor import Machine, cpu_name, measure
from seats import contest, seated
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


def main() -> None:
    """Runs what the command line asks for."""
    asked = arguments()
    machine: Machine = measure(asked.peak)
    todo = list(jobs(asked.modes, asked.cells, asked.groups, asked.case, quick=asked.quick))
    print(f"{cpu_name()}; {machine.describe()}")
    lines: list[Line] = []
    versions: dict[str, str] = {}
    notes: list[str] = []
    rounds = asked.rounds or (3 if asked.quick else 9)
    slice_seconds = asked.slice or (0.01 if asked.quick else 0.05)
    for threads in asked.threads:
        with seated(asked.peers, threads) as (seats, missing):
            here = {name: str(seat.greeting["version"]) for name, seat in seats.items()}
            versions |= here
            absent = [f"not there: {text}" for text in missing]
            notes += absent
            print(", ".join(f"{n} {v}" for n, v in here.items()))
            print(*absent, sep="\n")
            print("mode", *header(list(here)), sep=" | ")
            for job in todo:
                seconds, failures = contest(job, seats, rounds=rounds, slice_seconds=slice_seconds)
                lines.append(Line(job, threads, seconds))
                print(job.mode, *cells(lines[-1], list(versions), machine), sep=" | ", flush=True)
                for name, why in failures.items():
                    text = f"{name} on {job.mode} {job.cell} {job.sizes}, {threads} thr: {why}"
                    notes.append(text)
                    print("  !", text)
    lines.sort(key=lambda line: todo.index(line.job))
    print("\n" + markdown(lines, list(versions), machine))
    if asked.record:
        print("written to", record(lines, list(versions), machine, versions, sorted(set(notes))))


if __name__ == "__main__":
    main()
