"""Callbacks that write logs to a table, or send them to a server."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback, Logs


class CSVLogger(Callback):
    """Writes a row for each epoch to the file `filename`: its number, then the logs by name.

    If the first epoch has no validation, its columns are written with "NA". `append` continues an
    existing file. Rows are written as epochs end and flushed at once: a process that is
    killed leaves the rows of all finished epochs.

    >>> logger = CSVLogger("history.csv")
    >>> logger.on_train_begin()
    >>> logger.on_epoch_end(0, {"loss": 0.5})
    >>> logger.on_train_end()
    >>> Path("history.csv").read_text().split()
    ['epoch,loss,val_loss', '0,0.5,NA']
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"`separator` must be one character, received {separator!r}")
        self.sep = separator
        self.append = append
        self.append_header = True
        self.keys: list[str] | None = None
        self.writer: Any = None
        self.csv_file: IO[str] | None = None
        self._anew = False  # whether the first row replaces the contents of the file

    def __getstate__(self) -> dict[str, Any]:
        # A copy opens the file itself, and appends to it.
        begun = self.keys is not None
        header = self.append_header and not begun
        return {**vars(self), "csv_file": None, "writer": None, "append_header": header}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the file."""
        path = Path(self.filename)
        if self.append and path.exists():
            self.append_header = path.stat().st_size == 0
        self._close()
        self._open()
        self.keys, self._anew = None, not self.append

    def get_state(self) -> dict[str, Any]:
        """The columns, and the length of the file."""
        return {"keys": self.keys, "size": Path(self.filename).stat().st_size}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues after the saved rows; later rows, whose epochs are repeated, are removed."""
        self.keys = state["keys"]
        if self.keys is not None:
            file, self._anew = self._open(), False
            file.truncate(min(state["size"], Path(self.filename).stat().st_size))
            self.append_header = Path(self.filename).stat().st_size == 0

    def _open(self) -> IO[str]:
        """The file, opened for appending."""
        self._close()
        self.csv_file = Path(self.filename).open("a", encoding="utf-8", newline="")  # noqa: SIM115
        return self.csv_file

    def _empty(self, csv_file: IO[str]) -> None:
        """Removes the rows of earlier training, once."""
        if self._anew:
            csv_file.truncate(0)
            self._anew = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes a row, and flushes it to the disk."""
        csv_file = self.csv_file or self._open()
        self._empty(csv_file)
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        if self.writer is None:
            self.writer = csv.writer(csv_file, delimiter=self.sep)
            if self.append_header:
                self.writer.writerow(["epoch", *self.keys])
        self.writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        csv_file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the file."""
        if self.csv_file is not None:
            self._empty(self.csv_file)
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
            self.csv_file = None
        self.writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class RemoteMonitor(Callback):
    """Posts the logs of each epoch to the address `root + path`; needs the package `requests`.

    They go as JSON in the form field `field`, or with `send_as_json` as the whole body.

    >>> RemoteMonitor(root="http://localhost:9000").path
    '/publish/epoch/end/'
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        _requests()  # raises early if the package is missing
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Posts the logs; warns if there is no answer."""
        requests = _requests()
        send: dict[str, Any] = {"epoch": epoch}
        for name, value in (logs or {}).items():
            send[name] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        body: dict[str, Any] = {"data": {self.field: json.dumps(send)}}
        if self.send_as_json:
            body = {"json": send}
        try:
            requests.post(self.root + self.path, headers=self.headers, **body)
        except requests.exceptions.RequestException:
            warn(f"Could not reach RemoteMonitor root server at {self.root}")


def _requests() -> Any:
    try:
        import requests  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    except ImportError:
        raise ImportError(
            "RemoteMonitor requires the `requests` library: pip install requests"
        ) from None
    return requests
