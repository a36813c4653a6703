"""Contestants in processes of their own, each stopped while another has its turn.

In one process the idle threads of one library spin on into the turn of the next, and all share what
one of them does to the allocator.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cases import Job
from timing import in_turns


class Seat:
    """The process of one contestant."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )
        self.greeting = self._heard()
        if "version" in self.greeting:
            self.process.send_signal(signal.SIGSTOP)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; the process runs only meanwhile."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self._heard()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            raise SystemExit(f"the process of {self.name} ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def leave(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.communicate()


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


@contextmanager
def seated(names: list[str], threads: int) -> Iterator[tuple[dict[str, Seat], list[str]]]:
    """The contestants that are installed, and a sentence for each that is not."""
    with ExitStack() as stack:
        seats: dict[str, Seat] = {}
        missing: list[str] = []
        for name in names:
            seat = Seat(name, threads)
            stack.callback(seat.leave)
            if "missing" in seat.greeting:
                missing.append(seat.greeting["missing"])
            else:
                seats[name] = seat
        yield seats, missing


def contest(
    job: Job, seats: dict[str, Seat], *, rounds: int, slice_seconds: float
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of every contestant that gave the right answers; why the others did not."""
    bursts: dict[str, int] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        request = {"job": job.to_dict(), "slice": slice_seconds}
        request["answers"] = str(Path(folder) / "answers.npz")
        for name in sorted(seats, key=lambda name: name != "numpy"):  # its loop is the reference
            answer = seats[name].ask(request)
            if "failure" in answer:
                failures[name] = answer["failure"]
            elif answer:
                bursts[name] = answer["calls"]

    def turn(name: str) -> float:
        return float(seats[name].ask({"calls": bursts[name]})["seconds"])

    return in_turns([name for name in seats if name in bursts], turn, rounds), failures
