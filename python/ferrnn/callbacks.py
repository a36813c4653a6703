"""Callbacks, under Keras' names."""

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
