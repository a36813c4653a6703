"""Settings of a session, under Keras' names."""

from ferrnn.core.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    epsilon,
    floatx,
    is_interactive_logging_enabled,
    set_epsilon,
    set_floatx,
)
from ferrnn.core.machine import show_config
from ferrnn.core.native import clear_buffers, num_threads, set_num_threads, simd_level

__all__ = [
    "clear_buffers",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "epsilon",
    "floatx",
    "is_interactive_logging_enabled",
    "num_threads",
    "set_epsilon",
    "set_floatx",
    "set_num_threads",
    "show_config",
    "simd_level",
]
