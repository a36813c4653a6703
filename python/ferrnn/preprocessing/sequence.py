"""Sequences made ready, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.core.missing import not_yet
from ferrnn.data.sequences import pad_sequences
from ferrnn.data.windows import TimeseriesGenerator

__all__ = ["TimeseriesGenerator", "pad_sequences"]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
