"""The engine's names that are not recurrent: Dense, and the settings of a process."""

from ferrnn._core import (
    DenseWeights,
    clear_buffers,
    dense_backward,
    dense_forward,
    num_threads,
    set_num_threads,
    simd_level,
)

__all__ = [
    "DenseWeights",
    "clear_buffers",
    "dense_backward",
    "dense_forward",
    "num_threads",
    "set_num_threads",
    "simd_level",
]
