"""What `serve_sessions.py` serves, without HTTP: what waits takes its steps together."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import zipfile
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class SessionStates(Protocol):
    """What the service asks of `model.sessions()`; other engines can be served as well."""

    def __iter__(self) -> Iterator[Hashable]: ...
    def __contains__(self, session: object) -> bool: ...
    def open(self, session: Hashable, state: Mapping[str, Any]) -> None: ...
    def close(self, session: Hashable) -> None: ...
    def get_state(self, session: Hashable) -> dict[str, Array]: ...
    def step(self, ids: Sequence[Hashable], inputs: Array) -> Array: ...


@dataclass(frozen=True)
class Limits:
    """What the service refuses, and when it forgets."""

    sessions: int = 10_000  # that are open
    waiting: int = 1_000  # requests that are not answered yet
    body: int = 1 << 20  # bytes
    idle: float = 3600.0  # seconds without a request, after which a session is dropped

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"`{name}` must be positive, received {value}")


@dataclass
class Job:
    """A request of a session: steps to take, or something to do between two steps."""

    done: asyncio.Future[Any]
    rows: Array | None = None  # [steps, features]
    act: Callable[[], Any] | None = None
    outputs: list[Array] = field(default_factory=list)


class Busy(Exception):  # noqa: N818 - it is a state of the service, not a fault
    """The service is at one of its limits."""


class UnknownError(Exception):
    """There is no session of that name."""


class Service:
    """Takes requests in, and steps all sessions that have one, batch after batch.

    While a batch is in the thread of the engine, `states` belongs to that thread; all else that
    touches it is done by `run` between two batches.
    """

    def __init__(self, states: SessionStates, features: int, dtype: Any, limits: Limits) -> None:
        self.states, self.features, self.dtype = states, features, np.dtype(dtype)
        self.limits = limits
        self.batches = self.steps = self.count = 0
        self._jobs: dict[str, deque[Job]] = {}  # of each session that waits, oldest first
        self._used: OrderedDict[str, float] = OrderedDict()  # when last, oldest first
        self._dropped: list[str] = []
        self._wake = asyncio.Event()
        self._closing = False
        for session in states:
            self._used[str(session)] = time.monotonic()

    def __len__(self) -> int:
        return len(self._used)

    # Taking in.

    def step(self, session: str, rows: Array) -> asyncio.Future[Any]:
        """The outputs `[steps, units]` of the next steps of a session, which may be a new one."""
        self._drop_idle()
        if session not in self._used and len(self) >= self.limits.sessions:
            raise Busy(f"{len(self)} sessions are open, which is the limit: close one, or wait")
        return self._take(session, rows=rows)

    def state(self, session: str) -> asyncio.Future[Any]:
        """The states of a session after the steps taken in so far."""
        self._find(session)
        return self._take(session, act=lambda: self.states.get_state(session))

    def close(self, session: str) -> asyncio.Future[Any]:
        """Forgets a session after the steps taken in so far."""
        self._find(session)
        done = self._take(session, act=lambda: self.states.close(session))
        del self._used[session]
        return done

    def _find(self, session: str) -> None:
        self._drop_idle()
        if session not in self._used:
            raise UnknownError

    def _take(self, session: str, **what: Any) -> asyncio.Future[Any]:
        if self.count >= self.limits.waiting:
            raise Busy(f"{self.count} requests wait, which is the limit: try again")
        job = Job(asyncio.get_running_loop().create_future(), **what)
        self._jobs.setdefault(session, deque()).append(job)
        self._used[session] = time.monotonic()
        self._used.move_to_end(session)
        self.count += 1
        self._wake.set()
        return job.done

    def _drop_idle(self) -> None:
        """Forgets the sessions that nobody has asked for; the next batch begins with it."""
        until = time.monotonic() - self.limits.idle
        while self._used:
            session, last = next(iter(self._used.items()))
            if last > until:
                return
            if session in self._jobs:  # it waits for its turn
                self._used[session] = time.monotonic()
                self._used.move_to_end(session)
                continue
            del self._used[session]
            self._dropped.append(session)

    # Batches.

    async def run(self) -> None:
        """Works until `finish`, and then until nothing waits."""
        with ThreadPoolExecutor(1, "engine") as thread:
            while self._jobs or not self._closing:
                self._wake.clear()
                if not self._jobs:
                    await self._wake.wait()
                await asyncio.sleep(0)  # takes in what has arrived together
                await self._batch(thread)

    def finish(self) -> None:
        """Lets `run` end when all is answered."""
        self._closing = True
        self._wake.set()

    def forget_idle(self) -> None:
        """Drops what is idle for good; only while no batch runs."""
        self._drop_idle()
        self._close_dropped()

    def _close_dropped(self) -> None:
        for session in self._dropped:
            if session in self.states:
                self.states.close(session)
        self._dropped.clear()

    async def _batch(self, thread: ThreadPoolExecutor) -> None:
        """One step of each session that waits for one."""
        self._close_dropped()
        heads: dict[str, Job] = {}
        for session in list(self._jobs):
            self._act(session)
            if session in self._jobs:
                heads[session] = self._jobs[session][0]
        if not heads:
            return
        ids = list(heads)
        rows = np.stack([job.rows[len(job.outputs)] for job in heads.values()])
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(thread, self.states.step, ids, rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            for session in ids:
                self._answer(session, error=error)
                if session not in self.states and session not in self._jobs:
                    self._used.pop(session, None)
            return
        self.batches += 1
        self.steps += len(ids)
        for (session, job), row in zip(heads.items(), outputs, strict=True):
            job.outputs.append(row)
            if len(job.outputs) == len(job.rows):
                self._answer(session, np.stack(job.outputs))

    def _act(self, session: str) -> None:
        """Does what comes before the next step of a session."""
        while session in self._jobs and (act := self._jobs[session][0].act):
            if session in self.states:
                self._answer(session, act())
            else:  # its first step failed
                self._answer(session, error=UnknownError())

    def _answer(self, session: str, result: Any = None, error: Exception | None = None) -> None:
        jobs = self._jobs[session]
        done = jobs.popleft().done
        self.count -= 1
        if not jobs:
            del self._jobs[session]
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)


def save_states(states: SessionStates, path: Path) -> None:
    """Writes the states of all sessions, whole or not at all: `[sessions, ...]` by their names."""
    ids = [str(session) for session in states]
    kept = [states.get_state(session) for session in ids]
    arrays = {name: np.stack([each[name] for each in kept]) for name in (kept[0] if kept else ())}
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, sessions=np.array(ids, dtype=np.str_), **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def load_states(states: SessionStates, path: Path) -> None:
    """Opens the sessions that `save_states` wrote.

    Raises:
        ValueError: The file is damaged, or of a model of other layers.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        ids = arrays.pop("sessions").tolist()
        for row, session in enumerate(ids):
            states.open(session, {name: array[row] for name, array in arrays.items()})
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f"{path} holds no states that this model can take up: {error}") from error


def service_of(model: Any, limits: Limits, path: Path | None = None) -> Service:
    """Serves a model, with the sessions that the file `path` keeps, if it is there."""
    if len(model.input_shape) != 3:
        raise ValueError(f"the model must take [batch, time, features], not {model.input_shape}")
    stream, states = model.stream(), model.sessions()
    if path is not None:
        if path.exists():
            load_states(states, path)
        save_states(states, path)  # a place that cannot be written is found out now
    return Service(states, stream.features, stream.dtype, limits)
