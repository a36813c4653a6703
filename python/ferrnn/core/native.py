"""The engine's names that are not recurrent: Dense, and the settings of a process.

The number of threads may be set at any time and changes no bit of a result; buffers that calls
keep for each other are given back on request.

>>> before = num_threads()
>>> set_num_threads(2)
>>> num_threads()
2
>>> set_num_threads(before)
>>> simd_level() in ("portable", "avx2", "avx512")
True
>>> clear_buffers()
"""

from ferrnn._core import (
    DenseWeights,
    clear_buffers,
    dense_backward,
    dense_forward,
    limits,
    machine,
    num_threads,
    set_num_threads,
    simd_level,
)

__all__ = [
    "DenseWeights",
    "clear_buffers",
    "dense_backward",
    "dense_forward",
    "limits",
    "machine",
    "num_threads",
    "set_num_threads",
    "simd_level",
]
