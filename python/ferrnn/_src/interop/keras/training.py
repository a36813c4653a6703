"""The compile settings of models of earlier versions of Keras, and their optimizers' variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.interop.keras.configs import modern_settings
from ferrnn._src.models.compiling import compile_arguments
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter

# Settings of optimizers without effect, or without effect here.
_IGNORED = frozenset({"is_legacy_optimizer", "jit_compile", "name"})
_KEPT = ("loss", "metrics", "weighted_metrics", "loss_weights")


def compile_as_saved(
    model: Any, training: Mapping[str, Any], version: str, values: Sequence[Array] | None
) -> None:
    """Compiles a model as stored in a file, with its optimizer's variables; warns if it cannot.

    `values` are the arrays of the optimizer, in the file's order.
    """
    try:
        config = modern_compile_config(training, version)
        model.compile(**compile_arguments(config))
    except (ValueError, TypeError, NotImplementedError, KeyError) as error:
        warn(f"The model {model.name!r} could not be compiled as it was: {error}")
        return
    optimizer = model.optimizer
    if optimizer is None or not model.trainable_weights:
        return
    optimizer.build(model.trainable_weights)
    pairs = _slots(optimizer, values or (), by_weight=_is_new(training, version))
    if pairs is None:
        warn(
            f"The optimizer {optimizer.name!r} starts afresh: the file has {len(values or ())} "
            f"variables of it, which do not match its {len(optimizer.variables)} variables here."
        )
        return
    with one_version():
        for variable, value in pairs:
            variable.assign(value)


def modern_compile_config(training: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The arguments of `compile`, in the form of Keras 3."""
    written = training.get("optimizer_config") or training.get("optimizer")
    made = {key: modern_settings(training.get(key), version) for key in _KEPT}
    made = {key: _plain(value) for key, value in made.items()}
    return {**made, "optimizer": _optimizer(modern_settings(written, version), version)}


def _is_new(training: Mapping[str, Any], version: str) -> bool:
    """Whether an optimizer is of the kind that Keras has had since 2.11."""
    written = training.get("optimizer_config") or {}
    legacy = (written.get("config") or {}).get("is_legacy_optimizer", version.startswith("2."))
    return not legacy and not version.startswith("1")


def _plain(value: Any) -> Any:
    """Losses and metrics as plain data; those that wrap a function as its name."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    config = value.get("config")
    if "class_name" in value and isinstance(config, Mapping):
        kind = value["class_name"]
        if kind in ("MeanMetricWrapper", "LossFunctionWrapper") and isinstance(
            config.get("fn"), str
        ):
            return config["fn"]
        kept = {key: part for key, part in config.items() if key != "fn"}
        if kept.get("reduction") == "auto":
            kept["reduction"] = "sum_over_batch_size"
        return {**value, "config": kept}
    return {key: _plain(part) for key, part in value.items()}


def _optimizer(data: Mapping[str, Any], version: str) -> dict[str, Any]:
    """An optimizer by its class and settings in today's form."""
    config = {key: value for key, value in data["config"].items() if key not in _IGNORED}
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    for key in ("rho", "beta_1", "beta_2", "schedule_decay", "epsilon"):
        if config.get(key, 0) is None:
            del config[key]
    config.pop("schedule_decay", None)  # Nadam has a fixed one
    decay = config.pop("decay", 0.0)
    if decay and data["class_name"].lower() != "nadam":  # which has no effect on its rate
        rate = {"initial_learning_rate": config["learning_rate"], "decay_steps": 1}
        config["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {**rate, "decay_rate": decay},
        }
    kind = data["class_name"]
    names = {each.lower(): each for each in ("SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adamax")}
    return {
        "module": "keras.optimizers",
        "class_name": names.get(kind.lower(), kind),
        "config": config,
    }


def _slots(
    optimizer: Any, values: Sequence[Array], *, by_weight: bool
) -> list[tuple[Parameter, Array]] | None:
    """The variables of an optimizer and their values, or None if these belong to another one.

    Keras 1 to 2.10 wrote slot by slot, each for all weights, and some optimizers without the number
    of updates; later versions write in our order (`by_weight`).
    """
    counter, *others = optimizer.variables
    slots = [each for each in others if not each.path.endswith("/learning_rate")]
    pairs: list[tuple[Parameter, Array]] = []
    left = list(values)
    if left and left[0].shape == ():
        pairs.append((counter, left.pop(0)))
    if left and left[0].shape == () and by_weight and len(slots) < len(others):
        left.pop(0)  # the learning rate, which is also in the configuration
    if len(left) > len(slots):  # empty placeholders for `amsgrad`
        left = [value for value in left if value.shape != (1,)]
    if not left:
        return pairs
    order = range(len(slots)) if by_weight else slot_by_slot(optimizer, len(slots))
    ordered = [slots[at] for at in order]
    if [slot.shape for slot in ordered] != [value.shape for value in left]:
        return None
    return [*pairs, *zip(ordered, left, strict=True)]


def slot_by_slot(optimizer: Any, count: int) -> list[int]:
    """The indices among our slots of slots written one after the other, for all weights."""
    groups = [len(group) for group in optimizer._slot_groups()]
    weights = count // max(sum(groups), 1)
    found: list[int] = []
    start = 0
    for size in groups:
        found += [start + weight * size + at for at in range(size) for weight in range(weights)]
        start += size * weights
    return found
