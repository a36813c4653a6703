"""Values that JSON lacks, such as arrays and slices, as plain data in Keras' form, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.files.limits import spend
from ferrnn._src.tree.types import Array

# A description such as "(9,9)f4" would make an array larger than the data: names alone.
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_DTYPES = frozenset(["bool", "str", "float16", "float32", "float64", *_INTEGERS])


class Written(dict[str, Any]):
    """The configuration of a class or function that is not ferrnn's, which it refers to.

    In this process it is deserialized without a lookup by name. Files hold only the data.
    """

    def __init__(self, data: Mapping[str, Any], stands_for: Any) -> None:
        super().__init__(data)
        self.stands_for = stands_for

    def __reduce__(self) -> Any:
        return Written, (dict(self), self.stands_for)


def array_data(array: Array) -> dict[str, Any]:
    """An array as plain data.

    >>> array_data(np.array([1.5], "float32"))["config"]
    {'value': [1.5], 'dtype': 'float32'}
    """
    dtype = "str" if array.dtype.kind == "U" else array.dtype.name
    return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": dtype}}


def array_of(settings: Mapping[str, Any]) -> Array:
    """The array from what `array_data` puts under `config`.

    >>> array_of({"value": [1.5], "dtype": "float32"})
    array([1.5], dtype=float32)
    """
    dtype = settings.get("dtype")
    if "value" not in settings or not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            "an array in a configuration must have a `value` and, as `dtype`, the name of numbers "
            f"or 'str', received the dtype {dtype!r} and the keys {sorted(map(str, settings))}"
        )
    if dtype == "str":  # each text takes as much memory as the longest
        texts = np.array(settings["value"], object).ravel()
        longest = max((len(str(text)) for text in texts), default=0)
        spend((texts.size, longest), 4, "an array of texts")
    return np.array(settings["value"], dtype)


def _slice_of(settings: Mapping[str, Any]) -> slice:
    ends = [settings.get(end) for end in ("start", "stop", "step")]
    return slice(*(array_of(end["config"]) if isinstance(end, Mapping) else end for end in ends))


def _refused(settings: object) -> Any:
    raise ValueError(
        "the configuration holds a Python lambda, whose code is not loaded, as that would allow "
        "arbitrary code execution. Write the function as a layer, or as a named function and pass "
        "it in `custom_objects`"
    )


# The class names under which Keras' files store values that JSON lacks.
READERS: dict[object, Callable[[Any], Any]] = {
    "__numpy__": array_of,
    "__tensor__": array_of,
    "__slice__": _slice_of,
    "__bytes__": lambda settings: str(settings["value"]).encode(),
    "__ellipsis__": lambda settings: ...,
    "__lambda__": _refused,
    "DTypePolicy": lambda settings: settings.get("name"),
}


def plain_value(value: Any) -> Any:
    """A value that JSON lacks as plain data; any other value unchanged.

    >>> plain_value(np.float32(0.5)), plain_value(slice(1, None))["config"]
    (0.5, {'start': 1, 'stop': None, 'step': None})
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if value is ...:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, slice):
        ends = {"start": value.start, "stop": value.stop, "step": value.step}
        settings = {key: plain_value(each) for key, each in ends.items()}
        return {"class_name": "__slice__", "config": settings}
    if isinstance(value, bytes):
        return {"class_name": "__bytes__", "config": {"value": value.decode()}}
    return _array_data(value) if hasattr(type(value), "__array__") else value


def _array_data(value: Any) -> Any:
    array = np.asarray(value)
    return array_data(array) if array.ndim else array.item()


def data_alone(data: Any) -> Any:
    """Plain data without the references to classes and functions that `Written` keeps.

    >>> type(data_alone(Written({"class_name": "Mine"}, int))).__name__
    'dict'
    """
    if isinstance(data, Mapping):
        return {key: data_alone(part) for key, part in data.items()}
    if isinstance(data, list | tuple):
        return [data_alone(part) for part in data]
    return data


def as_json(data: Any, **options: Any) -> str:
    """Plain data as JSON; refuses what a file cannot name, and says where it is.

    >>> as_json({"units": 3})
    '{"units": 3}'
    """
    _check_writable(data, "config")
    return json.dumps(data, **options)


def nameless(place: str, found: Any) -> str:
    """The message that refuses to write a function, or a callable object, without a name.

    >>> nameless("`obj`", lambda x: x).partition(":")[0]
    '`obj` is a lambda, which has no name that a file could store'
    """
    kind = "lambda" if hasattr(found, "__name__") else type(found).__name__
    return (
        f"{place} is a {kind}, which has no name that a file could store: use a function instead, "
        "registered with `keras.saving.register_keras_serializable()`. Files do not store code, as "
        "loading code would allow arbitrary code execution"
    )


def _check_writable(data: Any, place: str) -> None:
    if data is None or isinstance(data, bool | int | float | str):
        return
    if isinstance(data, Mapping):
        found = data.stands_for if isinstance(data, Written) else _check_writable
        if getattr(found, "__name__", "<lambda>") == "<lambda>":
            raise ValueError(nameless(f"`{place}`", found))
        if data.get("class_name") != "__numpy__":
            for key, part in data.items():
                _check_writable(part, f"{place}.{key}")
    elif isinstance(data, list | tuple):
        for at, part in enumerate(data):
            _check_writable(part, f"{place}[{at}]")
    else:
        raise TypeError(
            f"`{place}` cannot be written to a file: expected plain data, a named function or an "
            f"object with `get_config`, received a {type(data).__name__}: {data!r}"
        )
