"""A service of sessions under load: ferrnn and ONNX Runtime in the frame of `serve_sessions.py`.

`python benches/python/service_load.py` starts `examples/serve_sessions.py`'s service in a process
of its own, once with `model.sessions()` and once with the same model as ONNX whose states are
inputs and outputs, in turns. Both stack the rows of the sessions that wait and run them in one
call. Each of `--sessions` clients, in this process, keeps a connection and asks for its next step
when it has the answer. The calls alone, without HTTP, come first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn
from ferrnn.layers import LSTM, Dense, Input

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
FEATURES, OUTPUTS = 8, 4

Array = np.ndarray[Any, np.dtype[Any]]


class OnnxSessions:
    """The sessions that the service needs, of an ONNX model whose states are inputs and outputs."""

    def __init__(self, model: ferrnn.Model, capacity: int) -> None:
        import onnxruntime  # noqa: PLC0415 - ferrnn is measured without it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._run = onnxruntime.InferenceSession(ferrnn.to_onnx(model, states=True), options).run
        state = model.stream().state
        self._kept = {
            name: np.zeros((capacity, *each.shape[1:]), each.dtype) for name, each in state.items()
        }
        self._names = [f"{name}/next" for name in state]
        self._input, self._output = model.input_names[0], model.output_names[0]
        self._free, self._rows = list(range(capacity)), dict[Hashable, int]()

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._rows)

    def __contains__(self, session: object) -> bool:
        return session in self._rows

    def open(self, session: Hashable, state: Mapping[str, Any] | None = None) -> None:
        """Opens a session, from zero states or from a state."""
        row = self._rows[session] = self._free.pop()
        for name, array in self._kept.items():
            array[row] = 0.0 if state is None else state[name]

    def close(self, session: Hashable) -> None:
        """Forgets a session."""
        self._free.append(self._rows.pop(session))

    def get_state(self, session: Hashable) -> dict[str, Array]:
        """The states of a session."""
        return {name: array[self._rows[session]].copy() for name, array in self._kept.items()}

    def step(self, ids: Sequence[Hashable], inputs: Array) -> Array:
        """One step of the sessions `ids`."""
        for session in ids:
            if session not in self._rows:
                self.open(session)
        rows = np.array([self._rows[session] for session in ids])
        given = {name: array[rows] for name, array in self._kept.items()}
        given[self._input] = inputs[:, np.newaxis]
        outputs, *states = self._run([self._output, *self._names], given)
        for array, after in zip(self._kept.values(), states, strict=True):
            array[rows] = after
        return np.asarray(outputs)[:, 0]


def make(engine: str, units: int, sessions: int) -> tuple[ferrnn.Model, Any]:
    """The model, and its sessions in one engine."""
    ferrnn.utils.set_random_seed(1)
    layers = [LSTM(units, return_sequences=True) for _ in range(2)]
    model = ferrnn.Sequential([Input((None, FEATURES)), *layers, Dense(OUTPUTS)])
    return model, model.sessions() if engine == "ferrnn" else OnnxSessions(model, sessions)


def serve(engine: str, units: int, sessions: int) -> None:
    """The process of the service."""
    from serve_sessions import serve as run  # noqa: PLC0415
    from session_service import Limits, Service  # noqa: PLC0415

    ferrnn.set_num_threads(1)
    _, states = make(engine, units, sessions)
    run(Service(states, FEATURES, "float32", Limits()), "127.0.0.1", 0, None)


async def one(port: int, name: int, until: float, taken: list[float]) -> None:
    """A client: steps one after the other, and the seconds of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    random = np.random.default_rng(name)
    while time.perf_counter() < until:
        body = json.dumps({"values": random.normal(size=FEATURES).tolist()}).encode()
        head = f"POST /sessions/{name}/steps HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
        start = time.perf_counter()
        writer.write(head.encode() + b"\r\n\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", answer)[1])
        text = await reader.readexactly(length)
        taken.append(time.perf_counter() - start)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the service answered {text!r}")
    writer.close()


async def load(port: int, sessions: int, seconds: float) -> list[float]:
    """The seconds of each request of all clients."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(one(port, name, until, taken) for name in range(sessions)))
    return taken


async def health(port: int) -> dict[str, int]:
    """The service's report on itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def processor(process: int) -> float:
    """Seconds of the processor that a process has taken, on Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(engine: str, given: argparse.Namespace) -> None:
    """One turn of an engine: prints a line."""
    command = [sys.executable, __file__, "--serve", engine]
    command += ["--units", str(given.units), "--sessions", str(given.sessions)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
            port = next(int(found[1]) for line in lines if (found := address.search(line)))
            asyncio.run(load(port, given.sessions, 1.0))
            before = asyncio.run(health(port))
            start, used = time.perf_counter(), processor(process.pid)
            taken = asyncio.run(load(port, given.sessions, given.seconds))
            passed = time.perf_counter() - start
            used = processor(process.pid) - used
            after = asyncio.run(health(port))
        finally:
            process.terminate()
            process.communicate()
    half, most = np.percentile(taken, [50, 99]) * 1e3
    rows = (after["steps"] - before["steps"]) / (after["batches"] - before["batches"])
    print(
        f"{engine:8} {len(taken) / passed:6.0f} requests/s, median {half:.0f} ms, 99th percentile "
        f"{most:.0f} ms, {rows:.0f} rows a batch, "
        f"{1e6 * used / len(taken):.0f} us of a processor each"
    )


def calls(given: argparse.Namespace) -> None:
    """The step of all sessions without HTTP, in turns: minima, and the largest difference."""
    ferrnn.set_num_threads(1)
    random = np.random.default_rng(1)
    engines = {e: make(e, given.units, given.sessions)[1] for e in ("ferrnn", "onnx")}
    for count in (1, 8, 32, given.sessions):
        ids, best = [f"s{n}" for n in range(count)], dict.fromkeys(engines, np.inf)
        for _ in range(300):
            x = random.normal(size=(count, FEATURES)).astype("float32")
            outputs = []
            for engine, states in engines.items():
                start = time.perf_counter()
                outputs.append(states.step(ids, x))
                best[engine] = min(best[engine], time.perf_counter() - start)
            np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
        print(f"{count:4} rows: " + ", ".join(f"{e} {1e6 * t:.0f} us" for e, t in best.items()))


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=["ferrnn", "onnx"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.units, given.sessions)
        return
    calls(given)
    for _ in range(given.rounds):
        for engine in ("ferrnn", "onnx"):
            measured(engine, given)


if __name__ == "__main__":
    main()
