"""Optimizers by name and by configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.objects import Kind, built_in
from ferrnn._src.training.optimizers.optimizer import Optimizer

# Each module is loaded when one of its names is used.
_NAMES = (
    "SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adamax", "Adagrad", "Adadelta", "Adafactor",
    "Ftrl", "Lion", "Lamb", "Muon", "ScheduleFreeAdamW",
)  # fmt: skip
_BY_LOWER = {name.lower(): name for name in _NAMES}


class _Optimizers(Kind):
    """The kind of optimizers, whose names are accepted in upper and lower case."""

    def named(self, name: str) -> Any:
        found = super().named(name)
        return found or built_in("optimizers", _BY_LOWER.get(name.lower()))

    def refusal(self, identifier: Any, why: str = "") -> Exception:
        why = why or f". Expected an `Optimizer` or one of {sorted(_NAMES)}"
        return super().refusal(identifier, why)


_KIND = _Optimizers("optimizer", "optimizers", Optimizer, functions=False)


def serialize(optimizer: Any) -> Any:
    """The configuration of an optimizer, as plain data that Keras reads too.

    >>> from ferrnn.optimizers import SGD
    >>> serialize(SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    return _KIND.serialize(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer of a configuration; `custom_objects` come first.

    >>> from ferrnn.optimizers import SGD
    >>> deserialize(serialize(SGD(0.5, momentum=0.25))).momentum
    0.25
    """
    return _KIND.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """An `Optimizer` from a name (in any case), a configuration, or itself.

    >>> float(get("Adam").learning_rate)
    0.001
    """
    return _KIND.get(identifier)
