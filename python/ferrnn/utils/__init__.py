"""Utilities, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.core.missing import not_yet
from ferrnn.core.names import clear_session
from ferrnn.core.random import set_random_seed
from ferrnn.training.progress import Progbar
from ferrnn.training.py_dataset import PyDataset

__all__ = ["Progbar", "PyDataset", "clear_session", "set_random_seed"]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
