"""Callbacks, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.core.missing import not_yet
from ferrnn.training.callbacks import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from ferrnn.training.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "ProgbarLogger",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
