"""Callbacks, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.core.missing import not_yet
from ferrnn.training.averages import SwapEMAWeights
from ferrnn.training.callbacks import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from ferrnn.training.checkpoints import BackupAndRestore, ModelCheckpoint
from ferrnn.training.monitor import MonitorCallback
from ferrnn.training.rates import LearningRateScheduler, ReduceLROnPlateau
from ferrnn.training.reports import CSVLogger, RemoteMonitor
from ferrnn.training.stopping import EarlyStopping, TerminateOnNaN
from ferrnn.training.tensorboard import TensorBoard

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
