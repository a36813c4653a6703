"""The error for damaged files, and the contexts that add the place of a fault to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class FileError(ValueError):
    """A file is not what it claims to be: damaged, incomplete, or malicious.

    `filename` is its path, `place` the place of the fault in the file, `reason` what is wrong.

    >>> raise FileError("model.keras", "config.json", "the text ends early")
    Traceback (most recent call last):
    ferrnn._src.files.errors.FileError: `model.keras`: config.json: the text ends early
    """

    def __init__(self, filename: str | os.PathLike[str], place: str, reason: str) -> None:
        super().__init__(os.fspath(filename), place, reason)
        self.filename, self.place, self.reason = self.args

    def __str__(self) -> str:
        parts = (f"`{self.filename}`", self.place, self.reason)
        return ": ".join(part for part in parts if part)


class FileTypeError(FileError, TypeError):
    """A file holds a value of a type that a class does not accept."""


@contextmanager
def within(place: str) -> Iterator[None]:
    """Errors raised inside, of whatever kind, get `place` in front of the places they have.

    >>> with reading("model.keras"), within("config.json"), within("LSTM 'first'"):
    ...     {}["units"]
    Traceback (most recent call last):
    ferrnn._src.files.errors.FileError: `model.keras`: config.json, LSTM 'first': KeyError: 'units'
    """
    try:
        yield
    except Exception as error:
        vars(error).setdefault("_places", []).insert(0, place)
        raise


@contextmanager
def reading(filename: str | os.PathLike[str]) -> Iterator[None]:
    """Errors about a file's contents become a `FileError` that names the file and the place.

    Errors that the file did not cause stay as they are: those of the system, too little memory,
    missing packages, warnings turned into errors.
    """
    try:
        yield
    except (FileError, ImportError, MemoryError, Warning):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        plain = isinstance(error, ValueError | NotImplementedError) and str(error)
        reason = str(error) if plain else f"{type(error).__name__}: {error}"
        places = vars(error).get("_places", [])
        if len(places) > 10:
            places = [*places[:5], "...", *places[-4:]]
        place = ", ".join(places)
        kind = FileTypeError if isinstance(error, TypeError) else FileError
        raise kind(filename, place, reason) from error
