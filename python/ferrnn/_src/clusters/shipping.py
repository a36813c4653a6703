"""Models for workers: sent as bytes, opened once in each process."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cloudpickle

from ferrnn._src.interop.load_model import load_model

# The number of models that a worker keeps open, those used last.
_MOST = 4
_open: OrderedDict[str, tuple[Any, threading.Lock]] = OrderedDict()
_opening = threading.Lock()


@dataclass(frozen=True)
class Shipped:
    """A model as bytes, with a key that identifies it."""

    key: str
    content: bytes

    def opened(self) -> tuple[Any, threading.Lock]:
        """The model, opened once in a process, and the lock to hold while it computes."""
        with _opening:
            if self.key not in _open:
                _open[self.key] = cloudpickle.loads(self.content), threading.Lock()
                while len(_open) > _MOST:
                    _open.popitem(last=False)
            _open.move_to_end(self.key)
            return _open[self.key]


def shipped(model: Any, purpose: str) -> Shipped:
    """A model to send; models sent for different purposes are never the same object."""
    content = cloudpickle.dumps(model)
    return Shipped(f"{purpose}-{hashlib.sha256(content).hexdigest()}", content)


def read_model(model: Any) -> Any:
    """A built model, from itself or from its file."""
    if isinstance(model, str | os.PathLike):
        return load_model(model)
    if not hasattr(model, "predict_on_batch"):
        raise TypeError(
            "`model` must be a model or the path of a saved one, received "
            f"{type(model).__name__}: {model!r}"
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built before it is sent to workers, received {model.name!r} without "
            "weights: start it with an `Input`, or call it once"
        )
    return model
