"""Optimizers, under Keras' names."""

from ferrnn.training.optimizer import Optimizer
from ferrnn.training.optimizers import SGD, Adam, RMSprop, get

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]
