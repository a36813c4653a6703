"""What `compile` was given, turned into one loss and a list of metrics once shapes are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ferrnn.core.names import snake_case
from ferrnn.core.types import Array, Mask
from ferrnn.training import losses, metrics
from ferrnn.training.loss import Loss
from ferrnn.training.metrics import MeanMetricWrapper, Metric, plain


def classification_kind(y_true: Array, y_pred: Array) -> str:
    """How labels are coded: "binary", "sparse" (class numbers) or "categorical" (one-hot).

    >>> classification_kind(np.zeros(3), np.zeros((3, 5)))
    'sparse'
    """
    if y_pred.shape[-1] == 1:
        return "binary"
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return "sparse"
    return "categorical"


def only(value: Any, argument: str) -> Any:
    """The single entry of a list or dict; anything else is given back."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise NotImplementedError(
                f"`{argument}` has {len(value)} entries: models with several outputs are not "
                "available yet"
            )
        return value[0]
    return value


class CompiledLoss:
    """The loss of a model with one output, and its weight; "crossentropy" is chosen by shapes.

    >>> compiled = CompiledLoss("crossentropy", None)
    >>> compiled.resolve(np.zeros((3, 1)), np.zeros((3, 5))).name
    'crossentropy'
    """

    def __init__(self, loss: Any, loss_weights: Any) -> None:
        self.given = only(loss, "loss")
        weight = only(loss_weights, "loss_weights")
        self.weight = 1.0 if weight is None else float(weight)
        self._resolved: Loss | None = None
        if not self._by_shapes and self.given is not None:
            self._resolved = losses.as_loss(self.given)

    @property
    def _by_shapes(self) -> bool:
        return str(self.given).lower() in ("crossentropy", "ce")

    def resolve(self, y_true: Array, y_pred: Array) -> Loss:
        """The loss for arrays of these shapes."""
        if self._resolved is None:
            if self.given is None:
                raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
            kind = classification_kind(y_true, y_pred)
            prefix = {"binary": "binary", "sparse": "sparse_categorical"}.get(kind, kind)
            self._resolved = losses.as_loss(f"{prefix}_crossentropy")
            self._resolved.name = str(self.given)
        return self._resolved


class CompiledMetrics:
    """The metrics of a model with one output: "accuracy" is chosen by shapes, names are unique.

    >>> compiled = CompiledMetrics(["accuracy", "mae"], None)
    >>> compiled.update(np.array([[1.0]]), np.array([[0.75]]), None, None)
    >>> compiled.result()
    {'accuracy': 1.0, 'mae': 0.25}
    """

    def __init__(self, given: Any, weighted: Any) -> None:
        self._given = _flat(given, "metrics")
        self._given_weighted = _flat(weighted, "weighted_metrics")
        self._plain: list[Metric] | None = None
        self._weighted: list[Metric] = []
        for identifier in [*self._given, *self._given_weighted]:
            if not _is_accuracy(identifier):
                metrics.get(identifier)  # so that a misspelled name is found by `compile`

    @property
    def metrics(self) -> list[Metric]:
        """The metrics; none before the first batch."""
        return [*(self._plain or []), *self._weighted]

    def update(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None, mask: Mask | None
    ) -> None:
        """Takes a batch in."""
        if self._plain is None:
            self._plain = [_metric(each, y_true, y_pred) for each in self._given]
            self._weighted = [_metric(each, y_true, y_pred) for each in self._given_weighted]
        if not self._plain and not self._weighted:
            return
        if mask is not None and y_pred.shape[-1] == 1 and y_pred.ndim == y_true.ndim + 1:
            y_true = y_true[..., None]  # else metrics would average over time, masked steps too
        counted = None if mask is None else np.asarray(mask, y_pred.dtype)
        for metric in self._plain:
            _update(metric, y_true, y_pred, counted)
        weight = _product(sample_weight, counted)
        for metric in self._weighted:
            _update(metric, y_true, y_pred, weight)

    def reset(self) -> None:
        """Forgets all batches."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, float]:
        """The values, in the order of `compile`, a repeated name counted up."""
        results: dict[str, float] = {}
        counts: dict[str, int] = {}
        for metric in self._plain or []:
            _put(results, counts, metric.name, metric)
        for metric in self._weighted:
            taken = metric.name in counts
            _put(results, counts, f"weighted_{metric.name}" if taken else metric.name, metric)
        return results


def _flat(given: Any, argument: str) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list | tuple | Mapping):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Expected `{argument}` argument to be a list, tuple, or dict. "
            f"Received instead: {argument}={given!r} of type {type(given).__name__}"
        )
    parts = list(given.values()) if isinstance(given, Mapping) else list(given)
    flat: list[Any] = []
    for part in parts:
        flat.extend(part if isinstance(part, list | tuple) else [part])
    return flat


def _is_accuracy(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc")


def _metric(identifier: Any, y_true: Array, y_pred: Array) -> Metric:
    """The metric called as the user called it."""
    if _is_accuracy(identifier):
        kind = classification_kind(y_true, y_pred)
        prefix = {"binary": "binary", "sparse": "sparse_categorical"}.get(kind, kind)
        found = metrics.get(f"{prefix}_accuracy")
    else:
        found = metrics.get(identifier)
    name = identifier if isinstance(identifier, str) else getattr(found, "name", None)
    if isinstance(found, Loss):
        found = MeanMetricWrapper(found.values, name=found.name)
    if not isinstance(found, Metric):
        name = name or snake_case(getattr(found, "__name__", type(found).__name__))
        found = MeanMetricWrapper(found, name=name)
    metric: Metric = found
    metric.name = str(name)
    return metric


def _update(metric: Metric, y_true: Array, y_pred: Array, weight: Array | None) -> None:
    if weight is None:
        metric.update_state(y_true, y_pred)
    else:
        metric.update_state(y_true, y_pred, weight)


def _product(first: Array | None, second: Array | None) -> Array | None:
    if first is None or second is None:
        return second if first is None else first
    if first.ndim < second.ndim:
        first = first.reshape(first.shape + (1,) * (second.ndim - first.ndim))
    return first * second


def _put(results: dict[str, float], counts: dict[str, int], name: str, metric: Metric) -> None:
    count = counts.get(name, 0)
    counts[name] = count + 1
    results[f"{name}_{count}" if count else name] = plain(metric.result())
