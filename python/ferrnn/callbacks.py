"""Callbacks, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn._src.faces import not_yet
from ferrnn._src.training.averages import SwapEMAWeights
from ferrnn._src.training.callbacks import (
    Callback,
    CallbackList,
    History,
    LambdaCallback,
    ProgbarLogger,
)
from ferrnn._src.training.checkpoints import BackupAndRestore, ModelCheckpoint
from ferrnn._src.training.monitor import MonitorCallback
from ferrnn._src.training.rates import LearningRateScheduler, ReduceLROnPlateau
from ferrnn._src.training.reports import CSVLogger, RemoteMonitor
from ferrnn._src.training.stopping import EarlyStopping, TerminateOnNaN
from ferrnn._src.training.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
