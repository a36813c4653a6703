"""Making data ready, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn._src.data.windows import timeseries_dataset_from_array
from ferrnn._src.faces import not_yet
from ferrnn.preprocessing import sequence, text

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
