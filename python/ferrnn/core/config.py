"""The settings that hold for a whole session: the default dtype and the fuzz factor."""

from typing import Any

import numpy as np

_FLOATS = ("float32", "float64")
_settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7}


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
