"""Optimizers by name and by configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.identifiers import configuration
from ferrnn._src.training.optimizers import schedules
from ferrnn._src.training.optimizers.adam import Adam, AdamW
from ferrnn._src.training.optimizers.descent import SGD
from ferrnn._src.training.optimizers.ftrl import Ftrl
from ferrnn._src.training.optimizers.moments import Adamax, Lion, Nadam
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.squares import Adadelta, Adagrad, RMSprop

_CLASSES: dict[str, type[Optimizer]] = {
    cls.__name__: cls
    for cls in (SGD, RMSprop, Adam, AdamW, Nadam, Adamax, Adagrad, Adadelta, Ftrl, Lion)
}
_BY_NAME = {name.lower(): cls for name, cls in _CLASSES.items()}
_KERAS_ONLY = frozenset(
    ("adafactor", "lamb", "lossscaleoptimizer", "multioptimizer", "muon", "schedulefreeadamw")
)


def serialize(optimizer: Any) -> Any:
    """The configuration of an optimizer, as plain data that Keras reads too.

    >>> serialize(SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    return configuration(optimizer, "keras.optimizers", _CLASSES)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer of a configuration; `custom_objects` are looked at first.

    >>> deserialize(serialize(SGD(0.5, momentum=0.25))).momentum
    0.25
    """
    if not isinstance(config, Mapping):
        return get(config)
    own = custom_objects or {}
    for key in ("registered_name", "class_name"):
        full = str(config.get(key))
        name = full.rpartition(">")[2]
        found = own.get(full) or own.get(name) or _BY_NAME.get(name.lower())
        if found is not None:
            settings = dict(config.get("config") or {})
            if isinstance(settings.get("learning_rate"), Mapping):
                rate = schedules.deserialize(settings["learning_rate"], custom_objects)
                settings["learning_rate"] = rate
            return found.from_config(settings)
    raise _unknown(config, str(config.get("class_name")))


def get(identifier: Any) -> Any:
    """An `Optimizer` from a name (in any case), a configuration, or itself.

    >>> float(get("Adam").learning_rate)
    0.001
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        return _BY_NAME[identifier.lower()]()  # type: ignore[call-arg]
    raise _unknown(identifier, identifier)


def _unknown(identifier: Any, name: Any) -> Exception:
    if isinstance(name, str) and name.lower() in _KERAS_ONLY:
        return NotImplementedError(
            f"the optimizer {name!r} is not available yet; available: {sorted(_CLASSES)}"
        )
    return ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Expected an `Optimizer` or one "
        f"of {sorted(_CLASSES)}"
    )
