"""Writes checkpoints in the background, so that training does not wait for the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ferrnn._src.files.writing import whole_file
from ferrnn._src.training.resuming.container import Packed


class Writer:
    """Writes whole files one after the other; of those that wait, only the newest.

    An error of the disk is raised by the next call.

    >>> writer = Writer([Path("0.checkpoint"), Path("1.checkpoint")])
    >>> writer.put(Packed([1, 2, 3]))
    >>> writer.settle()
    >>> Path("0.checkpoint").stat().st_size > 9
    True
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)  # written alternately
        self._changed = threading.Condition()
        self._waiting: Packed | None = None
        self._ends = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.seconds = 0.0  # seconds of work so far, without waiting for the disk

    def put(self, content: Packed) -> None:
        """Queues the content, replacing one that still waits."""
        self._raise()
        with self._changed:
            self._waiting = content
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ferrnn-checkpoints")
            self._thread.start()

    def settle(self) -> None:
        """Waits until everything is written."""
        if self._thread is not None:
            with self._changed:
                self._ends = True
                self._changed.notify()
            self._thread.join()
            self._thread, self._ends = None, False
        self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._ends:
                    self._changed.wait()
                content, self._waiting = self._waiting, None
            if content is None:
                return
            try:
                self._write(content)
            except Exception as error:  # noqa: BLE001 - raised by the next call
                self._failure = error

    def _write(self, content: Packed) -> None:
        path = self.paths[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.thread_time()
        with whole_file(path) as file:
            for part in content.parts():
                file.write(part)
        self.seconds += time.thread_time() - began
        self.paths.append(self.paths.pop(0))
