"""What `serve_sessions.py` serves, without HTTP: waiting requests take their steps together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
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
LOG = logging.getLogger(__name__)
# Sessions whose states are copied between two batches while they are saved: requests wait for that
# long.
TOGETHER = 256


class SessionStates(Protocol):
    """What the service needs of `model.sessions()`; other engines can be served as well."""

    def __iter__(self) -> Iterator[Hashable]: ...
    def __contains__(self, session: object) -> bool: ...
    def open(self, session: Hashable, state: Mapping[str, Any]) -> None: ...
    def close(self, session: Hashable) -> None: ...
    def get_state(self, session: Hashable) -> dict[str, Array]: ...
    def step(self, ids: Sequence[Hashable], inputs: Array) -> Array: ...


@dataclass(frozen=True)
class Limits:
    """What the service refuses, and when it drops sessions."""

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


@dataclass
class Kept:
    """States of sessions as values, and how many steps each has taken."""

    ids: list[str] = field(default_factory=list)
    states: list[dict[str, Array]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)


class Busy(Exception):  # noqa: N818 - it is a state of the service, not a fault
    """The service is at one of its limits."""


class UnknownError(Exception):
    """No session has that name."""


class Service:
    """Takes requests in, and steps all sessions that have one, batch after batch.

    While a batch is in the thread of the engine, `states` belongs to that thread; all else that
    touches it is done by `run` between two batches.
    """

    def __init__(
        self,
        states: SessionStates,
        features: int,
        dtype: Any,
        limits: Limits,
        taken: Mapping[str, int] | None = None,
    ) -> None:
        self.states, self.features, self.dtype = states, features, np.dtype(dtype)
        self.limits = limits
        self.batches = self.steps = self.count = 0
        self.saved = time.monotonic()  # the sessions of that time are in the file, if there is one
        self._taken = {str(session): 0 for session in states} | dict(taken or {})  # steps
        self._changes = 0  # steps, and sessions that were forgotten
        self._between: deque[Job] = deque()  # what `save_at_times` asks for
        self._jobs: dict[str, deque[Job]] = {}  # of each session that waits, oldest first
        self._used: OrderedDict[str, float] = OrderedDict()  # when last, oldest first
        self._dropped: list[str] = []
        self._wake, self._end = asyncio.Event(), asyncio.Event()
        self._closing = False
        for session in states:
            self._used[str(session)] = time.monotonic()

    def __len__(self) -> int:
        return len(self._used)

    # Accepting requests.

    def step(self, session: str, rows: Array) -> asyncio.Future[Any]:
        """The outputs `[steps, units]` of the next steps of a session, which may be a new one."""
        self._drop_idle()
        if session not in self._used and len(self) >= self.limits.sessions:
            raise Busy(f"{len(self)} sessions are open, which is the limit: close one, or wait")
        return self._take(session, rows=rows)

    def state(self, session: str) -> asyncio.Future[Any]:
        """The states of a session, and how many steps it has taken: those accepted so far."""
        self._find(session)
        return self._take(
            session, act=lambda: (self.states.get_state(session), self._taken[session])
        )

    def close(self, session: str) -> asyncio.Future[Any]:
        """Forgets a session after the steps accepted so far."""
        self._find(session)
        done = self._take(session, act=lambda: self._forget(session))
        del self._used[session]
        return done

    def _forget(self, session: str) -> None:
        self.states.close(session)
        self._taken.pop(session, None)
        self._changes += 1

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
        """Drops the idle sessions; the next batch begins with that."""
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
            while self._jobs or self._between or not self._closing:
                self._wake.clear()
                if not self._jobs and not self._between:
                    await self._wake.wait()
                await asyncio.sleep(0)  # accepts what has arrived together
                await self._batch(thread)
                if self._between:
                    job = self._between.popleft()
                    assert job.act is not None, "these jobs take no steps"
                    job.done.set_result(job.act())

    def finish(self) -> None:
        """Lets `run` end when all is answered."""
        self._closing = True
        self._wake.set()
        self._end.set()

    def _close_dropped(self) -> None:
        for session in self._dropped:
            if session in self.states:
                self._forget(session)
        self._dropped.clear()

    # Files.

    def save(self, path: Path) -> None:
        """Writes all states; only while no batch runs."""
        self._drop_idle()
        self._close_dropped()
        save_states(self._kept(list(self.states)), path)
        self.saved = time.monotonic()

    async def save_at_times(self, path: Path, every: float) -> None:
        """Writes what has changed at regular intervals, until `finish`.

        One save is under way at a time, in a thread; states are copied some at a time, between two
        batches. A file that cannot be written is warned of, and tried again the next time.
        """
        changes, due = self._changes, time.monotonic() + every
        while not self._closing:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._end.wait(), max(due - time.monotonic(), 0.0))
            begun, now = time.monotonic(), self._changes
            due = begun + every
            if now != changes:
                kept = await self._gathered()
                if kept is None:
                    return
                try:
                    await asyncio.to_thread(save_states, kept, path)
                except OSError as error:
                    LOG.warning("the states could not be saved: %s", error)
                    continue
            changes, self.saved = now, begun

    async def _gathered(self) -> Kept | None:
        """The states of all sessions, each as it is between two steps; None after `finish`."""
        kept, waiting = Kept(), [str(session) for session in self._taken]
        while waiting:
            if self._closing:
                return None
            part, waiting = waiting[:TOGETHER], waiting[TOGETHER:]
            done = asyncio.get_running_loop().create_future()
            job = Job(done, act=functools.partial(self._kept, part))
            self._between.append(job)
            self._wake.set()
            some = await job.done
            kept.ids += some.ids
            kept.states += some.states
            kept.taken += some.taken
        return kept

    def _kept(self, sessions: Sequence[Hashable]) -> Kept:
        """Of those that are still open."""
        ids = [str(session) for session in sessions if session in self.states]
        return Kept(
            ids, [self.states.get_state(each) for each in ids], [self._taken[each] for each in ids]
        )

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
        self._changes += len(ids)
        for (session, job), row in zip(heads.items(), outputs, strict=True):
            self._taken[session] = self._taken.get(session, 0) + 1
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


def save_states(kept: Kept, path: Path) -> None:
    """Writes states of sessions, whole or not at all: `[sessions, ...]` by their names."""
    names = kept.states[0] if kept.states else ()
    arrays = {name: np.stack([each[name] for each in kept.states]) for name in names}
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            ids, taken = np.array(kept.ids, np.str_), np.array(kept.taken, np.int64)
            np.savez(file, sessions=ids, steps=taken, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def load_states(states: SessionStates, path: Path) -> dict[str, int]:
    """Opens the sessions that `save_states` wrote; returns how many steps each has taken.

    Raises:
        ValueError: The file is damaged, or of a model of other layers.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        ids, taken = arrays.pop("sessions").tolist(), arrays.pop("steps").tolist()
        for row, session in enumerate(ids):
            states.open(session, {name: array[row] for name, array in arrays.items()})
        return dict(zip(ids, taken, strict=True))
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
    """Serves a model, with the sessions in the file `path`, if it exists."""
    if len(model.input_shape) != 3:
        raise ValueError(f"the model must take [batch, time, features], not {model.input_shape}")
    stream, states = model.stream(), model.sessions()
    taken = load_states(states, path) if path is not None and path.exists() else {}
    service = Service(states, stream.features, stream.dtype, limits, taken)
    if path is not None:
        service.save(path)  # fails now if the file cannot be written
    return service
