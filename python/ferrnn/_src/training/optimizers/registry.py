"""Optimizers by name and by configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.objects import Kind
from ferrnn._src.training.optimizers.adam import Adam, AdamW
from ferrnn._src.training.optimizers.descent import SGD
from ferrnn._src.training.optimizers.factored import Adafactor
from ferrnn._src.training.optimizers.ftrl import Ftrl
from ferrnn._src.training.optimizers.moments import Adamax, Lamb, Lion, Nadam
from ferrnn._src.training.optimizers.muon import Muon
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.schedule_free import ScheduleFreeAdamW
from ferrnn._src.training.optimizers.squares import Adadelta, Adagrad, RMSprop


class _Optimizers(Kind):
    """Their names are known in any case."""

    def named(self, name: str) -> Any:
        return super().named(name) or self.names.get(name.lower())

    def refusal(self, identifier: Any, why: str = "") -> Exception:
        known = sorted(kind.__name__ for kind in self.names.values())
        why = why or f". Expected an `Optimizer` or one of {known}"
        return super().refusal(identifier, why)


_ALL = (
    SGD, RMSprop, Adam, AdamW, Nadam, Adamax, Adagrad, Adadelta, Adafactor, Ftrl, Lion, Lamb, Muon,
    ScheduleFreeAdamW,
)  # fmt: skip
_KIND = _Optimizers(
    "optimizer",
    "optimizers",
    Optimizer,
    {kind.__name__.lower(): kind for kind in _ALL},
    functions=False,
)


def serialize(optimizer: Any) -> Any:
    """The configuration of an optimizer, as plain data that Keras reads too.

    >>> serialize(SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    return _KIND.serialize(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer of a configuration; `custom_objects` are looked at first.

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
