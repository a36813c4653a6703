"""Sessions: sequences by id, of which any may take their next step in one call."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.sequence.states import same_layers, state_bytes, state_of_bytes
from ferrnn._src.sequence.stream import Stream
from ferrnn._src.tree.types import Array


class Sessions:
    """The states of many sequences by id, any of which can take their next step in one call.

    Made by `model.sessions()`. `step(ids, inputs)` advances the named sessions, new ones from zero
    states, and leaves the others alone. Each gives the bits it would give as a separate stream.
    At most `limit` are open at a time; a closed one leaves nothing behind. Only one thread at a
    time may use it.

    >>> import ferrnn
    >>> inputs = ferrnn.Input((None, 2))
    >>> model = ferrnn.Model(inputs, ferrnn.layers.GRU(3, return_sequences=True)(inputs))
    >>> sessions = model.sessions()
    >>> sessions.step(["ann", "bob"], [[1.0, 0.0], [0.0, 1.0]]).shape
    (2, 3)
    >>> _ = sessions.step(["bob"], [[1.0, 1.0]])
    >>> sessions.branch("bob", "what if")
    >>> sessions.close("ann")
    >>> sorted(sessions)
    ['bob', 'what if']
    """

    def __init__(self, stream: Stream, limit: int | None = None) -> None:
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1
        ):
            raise ValueError(f"`limit` must be a positive integer or None, received {limit!r}")
        self.limit = limit
        self._streams = {1: stream.rows_of(1)}  # by their number of rows
        self._zeros = {name: state[0] for name, state in self._streams[1].state.items()}
        self._rows: dict[Hashable, int] = {}
        self._kept = {name: np.array(state[None]) for name, state in self._zeros.items()}
        self._room, self._free = 1, [0]

    # Open sessions.

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._rows)

    def __contains__(self, session: object) -> bool:
        return session in self._rows

    def __repr__(self) -> str:
        return f"<Sessions open={len(self)}, limit={self.limit}>"

    def open(self, session: Hashable, state: Mapping[str, Any] | None = None) -> None:
        """Opens a session, from zero states or from a `state` as `get_state` gives it."""
        if session in self._rows:
            raise ValueError(f"`session` {session!r} must be new, but it is already open")
        own = self._zeros if state is None else self._checked(state)
        self._write(self._taken([session])[0], own)

    def close(self, session: Hashable) -> None:
        """Forgets a session."""
        self._free.append(self._row(session))
        del self._rows[session]

    def branch(self, session: Hashable, other: Hashable) -> None:
        """Opens `other` with the states of `session`."""
        self.open(other, self.get_state(session))

    def reset(self, session: Hashable) -> None:
        """Sets the states of a session to zero."""
        self._write(self._row(session), self._zeros)

    # States as values.

    def get_state(self, session: Hashable) -> dict[str, Array]:
        """The states of a session, `[units]` each, by the names of `Stream.state`."""
        row = self._row(session)
        return {name: np.array(array[row]) for name, array in self._kept.items()}

    def set_state(self, session: Hashable, state: Mapping[str, Any]) -> None:
        """Sets the states of an open session."""
        self._write(self._row(session), self._checked(state))

    def to_bytes(self, session: Hashable) -> bytes:
        """A session as bytes with a version and checksums, for `from_bytes` in any process."""
        return state_bytes({name: array[None] for name, array in self.get_state(session).items()})

    def from_bytes(self, session: Hashable, data: bytes) -> None:
        """Opens a session, or sets its states, from what `to_bytes` returned.

        Raises:
            ValueError: The bytes are damaged, of another version or of another model.
        """
        found = state_of_bytes(data)
        same_layers(found, {name: each.shape for name, each in self._zeros.items()})
        state = {name: each[0] for name, each in found.items()}
        if session in self:
            self.set_state(session, state)
        else:
            self.open(session, state)

    # Steps.

    def step(self, ids: Sequence[Hashable] | Iterable[Hashable], inputs: Any) -> Array:
        """One step of the sessions `ids`, each named once: `[ids, features]` in, outputs out."""
        ids = _listed(ids)
        given = np.asarray(inputs)
        if given.ndim < 1 or len(given) != len(ids):
            raise ValueError(
                f"`inputs` must have a row for each of the {len(ids)} sessions, received the "
                f"shape {given.shape}"
            )
        fresh = [each for each in ids if each not in self._rows]
        for row in self._taken(fresh):
            self._write(row, self._zeros)
        rows = np.array([self._rows[each] for each in ids])
        try:
            return self._advanced(rows, given)
        except Exception:
            for each in fresh:
                self.close(each)
            raise

    def _advanced(self, rows: Array, inputs: Array) -> Array:
        count = len(rows)
        grain = 1 << max((count - 1).bit_length() - 4, 0)
        # Rounded up so that few streams serve all sizes, with at most an eighth of the rows unused.
        size = -(-count // grain) * grain
        stream = self._streams.get(size)
        if stream is None:
            stream = self._streams[size] = self._streams[1].rows_of(size)
        if count < size:
            rows_in = np.concatenate([rows, np.repeat(rows[-1:], size - count)])
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], size - count, axis=0)])
        else:
            rows_in = rows
        stream.state = {name: array[rows_in] for name, array in self._kept.items()}
        outputs = np.asarray(stream(inputs))
        for name, array in stream.state.items():
            self._kept[name][rows] = array[:count]
        return outputs[:count]

    # Rows.

    def _row(self, session: Hashable) -> int:
        try:
            return self._rows[session]
        except KeyError:
            raise KeyError(
                f"`session` must be open, received {session!r}, which is not among the {len(self)} "
                "open ones"
            ) from None

    def _taken(self, sessions: list[Hashable]) -> list[int]:
        """Rows for new sessions."""
        if any(each != each for each in sessions):  # noqa: PLR0124 - as NaN, which is never found again
            raise ValueError("a session's id must equal itself, received NaN")
        if self.limit is not None and len(self) + len(sessions) > self.limit:
            raise ValueError(
                f"{len(sessions)} more sessions would exceed `limit`, {self.limit}: {len(self)} "
                "are open"
            )
        while len(self._free) < len(sessions):
            kept = self._kept
            self._kept = {name: np.concatenate([each, each]) for name, each in kept.items()}
            self._free += range(2 * self._room - 1, self._room - 1, -1)
            self._room *= 2
        rows = [self._free.pop() for _ in sessions]
        self._rows.update(zip(sessions, rows, strict=True))
        return rows

    def _checked(self, state: Mapping[str, Any]) -> dict[str, Array]:
        arrays = {name: np.asarray(each)[None] for name, each in state.items()}
        same_layers(arrays, {name: each.shape for name, each in self._zeros.items()})
        return {name: each[0] for name, each in arrays.items()}

    def _write(self, row: int, state: Mapping[str, Array]) -> None:
        for name, array in state.items():
            self._kept[name][row] = array


def _listed(ids: Any) -> list[Hashable]:
    """The ids of a step, each there once."""
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise TypeError(f"`ids` must be a list of ids, received {ids!r}")
    listed = list(ids)
    if not listed:
        raise ValueError("`ids` must name at least one session, received none")
    try:
        known = len(set(listed))
    except TypeError as error:
        raise TypeError(f"`ids` must hold ids that can be keys of a dict: {error}") from error
    if known < len(listed):
        twice = next(each for each in listed if listed.count(each) > 1)
        raise ValueError(f"`ids` must not name a session twice, received {twice!r} twice")
    return listed
