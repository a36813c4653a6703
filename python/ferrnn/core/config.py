"""The settings that hold for a whole session: the default dtype and the fuzz factor."""

from typing import Any

import numpy as np

_FLOATS = ("float32", "float64")
_settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "interactive_logging": True}


def floatx() -> str:
    """The dtype that layers take unless told otherwise.

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
    """The progress bar and callbacks write to standard output (as from the start).

    >>> enable_interactive_logging()
    """
    _settings["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """The progress bar and callbacks tell the logger `ferrnn` instead of standard output.

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
