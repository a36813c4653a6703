"""Utilities, under Keras' names."""

from ferrnn.core.names import clear_session
from ferrnn.core.random import set_random_seed
from ferrnn.training.progress import Progbar

__all__ = ["Progbar", "clear_session", "set_random_seed"]
