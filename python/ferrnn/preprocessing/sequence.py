"""Sequences made ready, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn._src.data.sequences import pad_sequences
from ferrnn._src.data.windows import TimeseriesGenerator
from ferrnn._src.faces import not_yet

__all__ = ["TimeseriesGenerator", "pad_sequences"]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
