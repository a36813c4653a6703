"""Elements fetched on a thread while earlier ones are used."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any


class Ahead(Iterator[Any]):
    """The elements of a source, up to `size` of them fetched ahead.

    The thread starts when the first element is requested. Errors of the source are raised where
    its next element would have come. The thread ends with the source, or after the current element
    when the iterator is dropped.

    >>> list(Ahead(range(4), 2))
    [0, 1, 2, 3]
    """

    def __init__(self, source: Iterable[Any], size: int) -> None:
        self._source: Iterable[Any] | None = source
        self._shared = _Shared(size)
        self._close = weakref.finalize(self, self._shared.close)

    def __next__(self) -> Any:
        if self._source is not None:
            # The thread refers only to the shared state, not to keep the iterator alive.
            arguments = (self._source, self._shared)
            self._source = None
            threading.Thread(target=_fetch, args=arguments, name="prefetch", daemon=True).start()
        return self._shared.take()


class _Shared:
    """The state that the thread and the iterator share: waiting elements, and the source's end."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting: deque[Any] = deque()
        self.changed = threading.Condition()
        self.closed = self.ended = False
        self.error: BaseException | None = None

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.waiting.clear()
            self.changed.notify_all()

    def put(self, element: Any) -> bool:
        """Adds an element when there is room; returns whether more are wanted."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.waiting) < self.size)
            if not self.closed:
                self.waiting.append(element)
                self.changed.notify_all()
            return not self.closed

    def end(self, error: BaseException | None) -> None:
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def take(self) -> Any:
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended)
            if self.waiting:
                element = self.waiting.popleft()
                self.changed.notify_all()
                return element
            error, self.error = self.error, None
        if error is not None:
            raise error
        raise StopIteration


def _fetch(source: Iterable[Any], shared: _Shared) -> None:
    error: BaseException | None = None
    try:
        for element in source:
            if not shared.put(element):
                break
    except BaseException as raised:  # noqa: BLE001 - raised again in the iterator
        error = raised
    shared.end(error)
