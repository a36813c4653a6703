"""One process at one number of threads: checks the contestants' answers, then times them.

`peers.py` starts it with the environment that each library reads at import. It takes a request
as JSON on standard input, and prints one JSON line for what it found of each job.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import contestants
import numpy as np
from cases import Array, Job, make_data
from timing import Run, round_robin


def main() -> None:
    """Answers one request."""
    request = json.load(sys.stdin)
    threads = request["threads"]
    _use_cores(threads)
    loaded, missing = contestants.load(request["peers"], threads)
    versions = {name: contestant.version for name, contestant in loaded.items()}
    _say({"versions": versions, "missing": missing})
    for fields in request["jobs"]:
        job = Job(**fields)
        seconds, failures = _one(job, loaded, request["rounds"], request["slice"])
        _say({"job": fields, "seconds": seconds, "failures": failures})


def _use_cores(threads: int) -> None:
    """As many CPUs as threads: some libraries know no other bound."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])


def _one(
    job: Job, loaded: dict[str, contestants.Contestant], rounds: int, slice_seconds: float
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of every contestant that gave the right answer; why the others did not."""
    data = make_data(job)
    runs: dict[str, Run] = {}
    failures: dict[str, str] = {}
    expected: list[Array] | None = None
    for name in sorted(loaded, key=lambda name: name != "numpy"):  # NumPy's loop is the reference
        try:
            prepared = loaded[name].prepare(job, data)
            if prepared is None:
                continue
            found = [np.asarray(part) for part in prepared.check()]
        except Exception as error:  # noqa: BLE001 - a contestant's failure is a line of the report
            failures[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            continue
        if expected is None:
            expected = found
        wrong = _difference(found, expected)
        if wrong:
            failures[name] = f"other results than {next(iter(runs), name)}: {wrong}"
            continue
        runs[name] = prepared.run
    ordered = {name: runs[name] for name in loaded if name in runs}
    return round_robin(ordered, rounds=rounds, slice_seconds=slice_seconds), failures


def _difference(found: list[Array], expected: list[Array]) -> str:
    """What is wrong with `found`, or nothing; errors beside the largest entry of an array."""
    if len(found) != len(expected):
        return f"{len(found)} arrays for {len(expected)}"
    for index, (have, want) in enumerate(zip(found, expected, strict=True)):
        if have.shape != want.shape:
            return f"array {index} is of shape {have.shape}, not {want.shape}"
        error = float(np.abs(have - want).max() / np.abs(want).max())
        if not error < 2e-3:
            return f"array {index} differs by {error:.1e} of its largest entry"
    return ""


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
