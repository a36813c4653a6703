"""The settings of a session, such as the default dtype and the fuzz factor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ferrnn._version import __version__

_FLOATS = ("float32", "float64")
_settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "interactive_logging": True}
_settings |= {"traceback_filtering": True, "image_data_format": "channels_last"}


def floatx() -> str:
    """The default dtype of layers.

    >>> floatx()
    'float32'
    """
    return str(_settings["floatx"])


def set_floatx(value: object) -> None:
    """Sets the dtype of layers made from now on: "float32" or "float64".

    >>> set_floatx("float32")
    """
    _settings["floatx"] = standardize_dtype(value)


def epsilon() -> float:
    """The fuzz factor that keeps divisions and logarithms finite.

    >>> epsilon()
    1e-07
    """
    return float(_settings["epsilon"])


def set_epsilon(value: float) -> None:
    """Sets the fuzz factor.

    >>> set_epsilon(1e-7)
    """
    if not value > 0:
        raise ValueError(f"`value` must be a positive number, received {value!r}")
    _settings["epsilon"] = float(value)


def enable_interactive_logging() -> None:
    """Lets the progress bar and callbacks write to standard output, which is the default.

    >>> enable_interactive_logging()
    """
    _settings["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Lets the progress bar and callbacks write to the logger `ferrnn` instead of standard output.

    >>> disable_interactive_logging()
    >>> is_interactive_logging_enabled()
    False
    >>> enable_interactive_logging()
    """
    _settings["interactive_logging"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether the progress bar and callbacks write to standard output.

    >>> is_interactive_logging_enabled()
    True
    """
    return bool(_settings["interactive_logging"])


def backend() -> str:
    """The name of the backend, for code that asks which of Keras' backends it runs on.

    >>> backend()
    'numpy'
    """
    return "numpy"


def version() -> str:
    """The version of the package, as `ferrnn.__version__`.

    >>> import ferrnn
    >>> version() == ferrnn.__version__
    True
    """
    return __version__


@contextmanager
def device(device_name: str) -> Iterator[None]:
    """A scope for computing on "cpu" or "cpu:0", the only devices there are.

    >>> with device("cpu:0"):
    ...     pass
    """
    if str(device_name).strip("/").lower() not in ("cpu", "cpu:0", "device:cpu:0"):
        raise ValueError(
            f"`device_name` must be 'cpu' or 'cpu:0', received {device_name!r}: ferrnn computes on "
            "the CPU alone"
        )
    yield


def image_data_format() -> str:
    """The default `data_format` of layers: where their features are.

    >>> image_data_format()
    'channels_last'
    """
    return str(_settings["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Sets the `data_format` of layers made from now on: "channels_last" or "channels_first".

    >>> set_image_data_format("channels_last")
    """
    known = str(data_format).lower()
    if known not in ("channels_last", "channels_first"):
        raise ValueError(
            f"`data_format` must be 'channels_last' or 'channels_first', received {data_format!r}"
        )
    _settings["image_data_format"] = known


def enable_traceback_filtering() -> None:
    """Has no effect: ferrnn's tracebacks are short and never filtered."""
    _settings["traceback_filtering"] = True


def disable_traceback_filtering() -> None:
    """Has no effect: ferrnn's tracebacks are short and never filtered."""
    _settings["traceback_filtering"] = False


def is_traceback_filtering_enabled() -> bool:
    """Whether filtering was last enabled; it has no effect.

    >>> is_traceback_filtering_enabled()
    True
    """
    return bool(_settings["traceback_filtering"])


def standardize_dtype(value: object) -> str:
    """Gives "float32" or "float64" for any way of naming them (None: the default dtype).

    >>> import numpy as np
    >>> standardize_dtype(np.float64)
    'float64'
    """
    if value is None:
        return floatx()
    if isinstance(value, dict):  # a dtype policy as Keras serializes it
        value = value.get("config", {}).get("name", value)
    name = getattr(value, "name", value)
    if not isinstance(name, str) or name not in _FLOATS:
        try:
            name = np.dtype(value).name  # type: ignore[call-overload]
        except TypeError:
            name = None
    if name not in _FLOATS:
        raise ValueError(f"`dtype` must be 'float32' or 'float64', received {value!r}")
    return str(name)
