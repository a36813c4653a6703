"""Objects from names, classes and configurations, and back: one mechanism for every kind.

Names are looked up in `custom_objects` and scopes, among registered classes, then among the public
names of ferrnn. Nothing is imported or run because a configuration names it.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ferrnn._src.configs.custom_objects import (
    custom_object,
    custom_object_scope,
    registered_name,
    registered_without_package,
    scoped_object,
)
from ferrnn._src.configs.plain import READERS, Written, plain_value
from ferrnn._src.faces import public
from ferrnn._src.files.errors import within

# The public modules whose classes configurations may name.
_PLACES = (
    "layers",
    "models",
    "initializers",
    "regularizers",
    "constraints",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "random",
)
_FUNCTION_PLACES = ("activations", "losses")
_NO_FUNCTIONS = frozenset(("get", "serialize", "deserialize"))
_kinds: list[Kind] = []


class Kind:
    """A kind of object, such as losses: how such objects are found, read and written.

    `noun` names the kind in errors, `place` is the public module of its classes, `base` the class
    of its objects. With `functions`, plain functions are accepted as well. `names` adds names.
    """

    def __init__(
        self,
        noun: str,
        place: str,
        base: type,
        names: Mapping[str, Any] | None = None,
        *,
        functions: bool = True,
    ) -> None:
        self.noun, self.place, self.base = noun, place, base
        self.names = dict(names or {})
        self.functions = functions
        _kinds.append(self)

    def get(self, identifier: Any) -> Any:
        """The object for a name, class, configuration or object; None stays None."""
        if identifier is None:
            return None
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier)
        found = self.named(identifier) if isinstance(identifier, str) else identifier
        return self._checked(found() if isinstance(found, type) else found, identifier)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object for a configuration or name; `custom_objects` come first."""
        with custom_object_scope(custom_objects):
            if not isinstance(config, Mapping):
                return self.get(config)
            return self._checked(object_of(config, self), config)

    def serialize(self, obj: Any) -> Any:
        """The configuration of an object, as plain data that Keras reads too."""
        return written(obj)

    def named(self, name: str) -> Any:
        """The class or function of a name, or None."""
        found = custom_object(name) or self.names.get(name) or built_in(self.place, name)
        return found or registered_without_package(name)

    def function(self, name: str) -> Any:
        """The function under one of the kind's additional names, or None."""
        found = self.names.get(name)
        return None if isinstance(found, type) else found

    def refusal(self, identifier: Any, why: str = "") -> Exception:
        """The error for an identifier that names no object of this kind."""
        return ValueError(
            f"Could not interpret {self.noun} identifier: {reprlib.repr(identifier)}{why}"
        )

    def _checked(self, found: Any, identifier: Any) -> Any:
        if isinstance(found, self.base) or (self.functions and callable(found)):
            return found
        raise self.refusal(identifier)


def built_in(place: str, name: object) -> Any:
    """The class that a public module has under a name, or None.

    >>> built_in("layers", "LSTM").__name__, built_in("layers", "Input")
    ('LSTM', None)
    """
    return _class_in(place, name) if isinstance(name, str) and place in _PLACES else None


@functools.lru_cache(maxsize=256)
def _class_in(place: str, name: str) -> Any:
    found = public(place, name)
    return found if isinstance(found, type) else None


def written(obj: Any) -> Any:
    """An object or function as plain data; any other value unchanged."""
    if hasattr(obj, "get_config") and not isinstance(obj, type):
        return obj.as_data() if isinstance(obj, Configured) else class_data(obj)
    if callable(obj) and not isinstance(obj, type):
        return function_data(obj)
    return obj


def function_data(function: Any) -> dict[str, Any]:
    """A function as plain data: by its name, or by that of its type if it has no name."""
    name = registered_name(function)
    if not hasattr(function, "__name__"):
        name = type(function).__name__
    data = {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": "function",
    }
    return data if _own_function(name) is function else Written(data, function)


def class_data(obj: Any) -> dict[str, Any]:
    """The class of an object and its configuration."""
    kind = type(obj)
    module = _module_of(kind)
    data = {
        "module": module,
        "class_name": kind.__name__,
        "config": plain(obj.get_config()),
        "registered_name": registered_name(kind) if module is None else None,
    }
    return data if str(module).startswith("keras.") else Written(data, kind)


def _module_of(kind: type) -> str | None:
    """Keras' module for a class of ferrnn, or None for any other class."""
    if not kind.__module__.startswith("ferrnn."):
        return None
    name = kind.__name__
    for place in _PLACES:
        if built_in(place, name) is kind:
            return f"keras.{place}"
    known = (each.place for each in _kinds if each.names.get(name) is kind)
    place = next(known, None)  # type: ignore[assignment]
    return f"keras.{place}" if place else kind.__module__


def plain(value: Any) -> Any:
    """Settings as plain data: arrays, named functions and objects in Keras' form, at any depth."""
    if isinstance(value, np.generic):  # first, as np.float64 is also a float
        return value.item()
    if value is None or isinstance(value, bool | int | float | str | Written):
        return value
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [plain(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    made = plain_value(value)
    return written(value) if made is value else made


def revived(value: Any, *, objects: bool = True) -> Any:
    """Settings from plain data: arrays and functions, and objects unless they are to stay data."""
    if isinstance(value, Mapping):
        if "class_name" in value and "config" in value:
            name = value["class_name"]
            data = name in READERS if isinstance(name, str) else False
            if objects or data or name == "function":
                return object_of(value)
            return value
        return {key: revived(part, objects=objects) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [revived(part, objects=objects) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    return value


def object_of(data: Mapping[str, Any], kind: Kind | None = None) -> Any:
    """The object, function or value of a configuration; `kind` says which kind is expected."""
    name, settings = data.get("class_name"), data.get("config")
    read = READERS.get(name) if isinstance(name, str) else None
    if name == "__typespec__":
        _refuse_typespec(settings)
    if read is not None:
        if not isinstance(settings, Mapping):
            raise _unknown(kind, data, f": `config` must be a dict, received {settings!r}")
        return read(settings)
    if name == "function" and not isinstance(settings, str):
        raise TypeError(
            "Expected 'config' to be a non-null str, the name of a function. Received: "
            f"{settings!r}"
        )
    if isinstance(settings, str) and name in (None, "function"):
        found = _carried(data, settings) or _function(settings, kind)
        if found is None:
            unknown = f": the function {settings!r} is not known"
            raise _unknown(kind, data, _LAMBDA if settings == "<lambda>" else unknown)
        _check_registered(data, found, settings, "function")
        return found
    found = _carried(data, name, data.get("registered_name")) or _class(data, kind)
    if found is None:
        raise _unknown(kind, data, f": the class {name!r} is not known")
    if not isinstance(settings or {}, Mapping):
        raise TypeError(
            f"Expected 'config' to be a dict: the arguments of {name!r}. Received: {settings!r}"
        )
    if not isinstance(found, type):
        return found
    _check_registered(data, found, name)
    given = {key: value for key, value in (settings or {}).items() if not _empty(key, value)}
    with within(f"{name} {given.get('name', '')!r}"):
        return _made(found, data, given)


def _refuse_typespec(settings: Any) -> None:
    """Refuses a TensorFlow type spec, which files of Keras on TensorFlow may hold."""
    if not isinstance(settings, list | tuple):
        raise TypeError(
            f"Expected 'config' to be a list or a tuple: a type spec. Received: {settings!r}"
        )
    raise ValueError(f"type specs of TensorFlow are not supported, received {settings!r}")


def _made(kind: Any, data: Mapping[str, Any], given: dict[str, Any]) -> Any:
    """A new object of a class, built by its own `build_from_config` if it has one."""
    make = getattr(kind, "from_config", None)
    if make is None:
        raise TypeError(
            f"Unable to reconstruct an instance of {kind.__name__!r} because the class is missing "
            "a `from_config()` method: derive it from a class of ferrnn, or write "
            "`from_config(cls, config)`"
        )
    try:
        made = make(given)
    except TypeError as error:
        if "explicitly deserialized" in str(error):
            raise  # about a part inside, which the message names
        raise TypeError(
            f"{kind} could not be deserialized properly. Please ensure that components that are "
            "Python object instances (layers, models, etc.) returned by `get_config()` are "
            "explicitly deserialized in the model's `from_config()` method. "
            f"{type(error).__name__}: {error}"
        ) from error
    build = data.get("build_config")
    if build and getattr(kind, "builds_itself", False) and not made.built:
        made.build_from_config(build)
    return made


def _check_registered(data: Mapping[str, Any], found: Any, *names: object) -> None:
    """Refuses a registered name for one of ferrnn's own classes, which are never registered."""
    said = data.get("registered_name")
    own = str(getattr(found, "__module__", "")).startswith("ferrnn.")
    if said and said not in (*names, data.get("class_name")) and own and not custom_object(said):
        raise ValueError(
            f"`registered_name={said!r}` was provided in the config, but {names[0]!r} resolved to "
            "a Keras built-in and does not use registered names. Remove the `registered_name` "
            f"field from the config. Full object config: {reprlib.repr(dict(data))}"
        )


def _carried(data: Mapping[str, Any], *names: object) -> Any:
    """The class or function that was serialized in this process, unless a scope has another."""
    if not isinstance(data, Written):
        return None
    return next(filter(None, map(scoped_object, names)), data.stands_for)


def _empty(key: object, value: Any) -> bool:
    """Whether it is a setting that newer versions of Keras write even where it is not used."""
    return key == "quantization_config" and value is None


def _function(name: str, kind: Kind | None) -> Any:
    found = custom_object(name)
    if found is None and kind is not None:
        found = kind.function(name)
    if found is None:
        found = _own_function(name)
    return registered_without_package(name) if found is None else found


def _own_function(name: str) -> Any:
    """The activation or loss of this name."""
    for place in _FUNCTION_PLACES:
        found = None if name in _NO_FUNCTIONS else public(place, name)
        if callable(found) and not isinstance(found, type):
            return found
    return None


def _class(data: Mapping[str, Any], kind: Kind | None) -> Any:
    name, registered = data.get("class_name"), data.get("registered_name")
    found = custom_object(registered) if registered else None
    found = custom_object(name) if found is None else found
    if found is not None or not isinstance(name, str):
        return found
    stated = built_in(str(data.get("module")).removeprefix("keras."), name)
    if stated is not None:
        return stated
    for place in _places(data, kind):
        found = built_in(place, name)
        if found is not None:
            return found
    if kind is not None and not _foreign(data) and isinstance(kind.named(name), type):
        return kind.named(name)
    return registered_without_package(str(registered or name).rpartition(">")[2])


def _foreign(data: Mapping[str, Any]) -> bool:
    """Whether a configuration says that its class is a user's own."""
    module, registered = data.get("module", "keras"), data.get("registered_name")
    if module is None:
        return registered is not None
    return not str(module).startswith(("keras", "builtins")) or ">" in str(registered)


def _places(data: Mapping[str, Any], kind: Kind | None) -> Iterator[str]:
    """The public modules that may have the class, the likeliest first."""
    if _foreign(data):
        return
    module = str(data.get("module") or "keras")
    place = module.removeprefix("keras.")
    if place in _PLACES:
        yield place
    if kind is not None and not module.startswith("keras.src."):
        yield kind.place
    if module in ("keras", "builtins"):
        yield from _PLACES
    # Earlier files name Keras' own modules, such as keras.src.models.functional.
    parts = module.split(".")
    yield from (each for each in _PLACES if each != place and each.split(".")[0] in parts)


_LAMBDA = (
    ": a lambda has no name, and its code is not loaded, as that would allow arbitrary code "
    "execution: pass a function as '<lambda>' in `custom_objects`, or use a named function"
)


def _unknown(kind: Kind | None, data: Mapping[str, Any], why: str) -> Exception:
    remedy = ": pass it in `custom_objects`, or register it with `register_keras_serializable`"
    why = f"{why}{remedy if why.endswith('is not known') else ''}"
    if kind is not None:
        return kind.refusal(data, why)
    return ValueError(f"Could not interpret the configuration {reprlib.repr(data)}{why}")


class Configured:
    """An object with a configuration: `from_config` takes what `get_config` returns."""

    def as_data(self) -> dict[str, Any]:
        """The class and the configuration, as Keras writes them."""
        return class_data(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new object from what `get_config` returned, with arrays and objects restored."""
        return cls(**{key: revived(value) for key, value in config.items()})
