"""One contestant at one number of threads, alone in its process.

`seats.py` starts it with the environment that each library reads at import, and stops it outside
its turns. It answers each line of JSON on standard input with one on standard output: to a job,
whether its answers are right; to a number of calls, the seconds of one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import contestants
import numpy as np
from cases import Array, Job, make_data
from timing import Run, burst, timed


def main() -> None:
    """Answers requests until there are no more."""
    name, threads = sys.argv[1], int(sys.argv[2])
    _use_cores(threads)
    loaded, missing = contestants.load([name], threads)
    if missing:
        _say({"missing": missing[0]})
        return
    contestant = loaded[name]
    _say({"version": contestant.version})
    gc.disable()
    run: Run | None = None
    for text in sys.stdin:
        request = json.loads(text)
        if "job" in request:
            run = None
            gc.collect()
            try:
                run, answer = _prepared(contestant, request)
            except Exception as error:  # noqa: BLE001 - a contestant's failure is a line of the report
                answer = {"failure": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
            _say(answer)
        else:
            assert run is not None
            _say({"seconds": timed(run, request["calls"])})


def _use_cores(threads: int) -> None:
    """As many CPUs as threads: some libraries know no other limit."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])


def _prepared(
    contestant: contestants.Contestant, request: dict[str, Any]
) -> tuple[Run | None, dict[str, Any]]:
    """The job made ready, once its answers agree with those in the file, or are its first."""
    job = Job(**request["job"])
    prepared = contestant.prepare(job, make_data(job))
    if prepared is None:
        return None, {}
    found = [np.asarray(part) for part in prepared.check()]
    answers = Path(request["answers"])
    if answers.exists():
        with np.load(answers) as file:
            wrong = _difference(found, [file[key] for key in file.files])
        if wrong:
            return None, {"failure": f"other results than the first contestant: {wrong}"}
    else:
        np.savez(answers, *found)
    return prepared.run, {"calls": burst(prepared.run, request["slice"])}


def _difference(found: list[Array], expected: list[Array]) -> str:
    """What is wrong with `found`, or nothing; errors are relative to an array's largest entry."""
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
