"""The arguments of `compile` as plain data in Keras' form, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ferrnn._src.configs.plain import data_alone
from ferrnn._src.faces import later

if TYPE_CHECKING:
    from ferrnn._src.training import losses, metrics, optimizers
else:
    losses = later("ferrnn._src.training.losses")
    metrics = later("ferrnn._src.training.metrics")
    optimizers = later("ferrnn._src.training.optimizers")


def compile_config(model: Any) -> dict[str, Any]:
    """The arguments of `compile` as plain data.

    A function without a name is written nevertheless, so that the model can be saved: its file
    loads with `compile=False`.
    """
    return data_alone(compile_data(model))  # type: ignore[no-any-return]


def compile_data(model: Any) -> dict[str, Any]:
    """As `compile_config`, with references to functions for use in this process."""
    given = dict(model._compile_config)
    jit = given.pop("jit_compile")
    written = {
        "optimizer": optimizers.serialize(model.optimizer),
        **{key: _written(given[key], losses.serialize) for key in ("loss", "loss_weights")},
        **{key: _written(given[key], metrics.serialize) for key in ("metrics", "weighted_metrics")},
    }
    rest = {key: given[key] for key in ("run_eagerly", "steps_per_execution")}
    return {**written, **rest, "jit_compile": jit is True or jit == "auto"}


def _written(given: Any, write: Callable[[Any], Any]) -> Any:
    if isinstance(given, Mapping):
        return {key: _written(part, write) for key, part in given.items()}
    if isinstance(given, list | tuple):
        return [_written(part, write) for part in given]
    if given is None or isinstance(given, str | int | float):
        return given
    if callable(given) or hasattr(given, "get_config"):
        return write(given)
    return float(given)


def compile_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile` from those in a file, without those that only Keras has.

    >>> compile_arguments({"optimizer": "adam", "loss": "mse", "auto_scale_loss": True})["loss"]
    'mse'
    """
    made = {
        "optimizer": optimizers.get(config.get("optimizer", "rmsprop")),
        "loss": _read(config.get("loss"), losses.deserialize),
        "loss_weights": config.get("loss_weights"),
        "metrics": _read(config.get("metrics"), metrics.deserialize),
        "weighted_metrics": _read(config.get("weighted_metrics"), metrics.deserialize),
    }
    rest = ("run_eagerly", "steps_per_execution", "jit_compile")
    return {**made, **{key: config[key] for key in rest if key in config}}


def _read(given: Any, read: Callable[[Any], Any]) -> Any:
    """Objects for configurations; names are left to `compile`."""
    if isinstance(given, Mapping):
        if "class_name" in given and "config" in given:
            return read(given)
        return {key: _read(part, read) for key, part in given.items()}
    if isinstance(given, list | tuple):
        return [_read(part, read) for part in given]
    return given
