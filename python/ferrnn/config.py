"""Settings of a session, under Keras' names."""

from ferrnn._src.configs.config import (
    backend,
    disable_interactive_logging,
    disable_traceback_filtering,
    enable_interactive_logging,
    enable_traceback_filtering,
    epsilon,
    floatx,
    image_data_format,
    is_interactive_logging_enabled,
    is_traceback_filtering_enabled,
    set_dtype_policy,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from ferrnn._src.machine import show_config
from ferrnn._src.native import clear_buffers, num_threads, set_num_threads, simd_level

__all__ = [
    "backend",
    "clear_buffers",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_interactive_logging_enabled",
    "is_traceback_filtering_enabled",
    "num_threads",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_num_threads",
    "show_config",
    "simd_level",
]
