"""Caps on the length of training, for runs that only try a program out."""

from __future__ import annotations

from ferrnn._src.configs.notices import warn

_caps: dict[str, int | None] = {"epochs": None, "steps_per_epoch": None}


def max_epochs() -> int | None:
    """The most epochs that `fit` trains; None for no limit.

    >>> max_epochs() is None
    True
    """
    return _caps["epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Limits the epochs that `fit` trains, whatever its arguments say; None for no limit.

    >>> set_max_epochs(None)
    """
    _caps["epochs"] = _checked("max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The most batches of an epoch, of `evaluate` and of `predict`; None for no limit.

    >>> max_steps_per_epoch() is None
    True
    """
    return _caps["steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limits the batches of an epoch, of `evaluate` and of `predict`; None for no limit.

    >>> set_max_steps_per_epoch(None)
    """
    _caps["steps_per_epoch"] = _checked("max_steps_per_epoch", max_steps_per_epoch)


def capped(what: str, asked: int | None) -> int | None:
    """A number of "epochs" or "steps_per_epoch" under its cap, with a warning if that is less.

    >>> capped("epochs", 3)
    3
    """
    cap = _caps[what]
    if cap is None or (asked is not None and asked <= cap):
        return asked
    warn(f"Limiting {what} to {cap}: `keras.config.set_max_{what}` was called")
    return cap


def _checked(argument: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
        raise TypeError(f"`{argument}` must be a positive integer or None, received {value!r}")
    if value is not None and value < 1:
        raise ValueError(f"`{argument}` must be a positive integer or None, received {value!r}")
    return value
