"""Optimizers, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.core.missing import not_yet
from ferrnn.training.optimizer import Optimizer
from ferrnn.training.optimizers import SGD, Adam, RMSprop, get

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
