"""One point of `scaling.py` in a process of its own: prints a call's seconds, or its memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cases import Job, make_data
from contestants.ours import Contestant

import ferrnn


def main() -> None:
    """Answers the request on the command line."""
    what, request = sys.argv[1], json.loads(sys.argv[2])
    job = Job(**request["fields"])
    prepared = Contestant(request["threads"]).prepare(job, make_data(job))
    assert prepared is not None
    prepared.run()
    if what == "memory":
        ferrnn.clear_buffers()
        print(growth(prepared.run))
        return
    best, end = float("inf"), time.perf_counter() + request["budget"]
    while True:
        start = time.perf_counter()
        prepared.run()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            break
    print(best)


def growth(run: Callable[[], object]) -> int:
    """Bytes by which a call's peak exceeds what the process had; 0 except on Linux."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        reset.write_text("5")
    except OSError:
        return 0

    def bytes_of(name: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) << 10

    before = bytes_of("VmRSS")
    run()
    return bytes_of("VmHWM") - before


if __name__ == "__main__":
    main()
