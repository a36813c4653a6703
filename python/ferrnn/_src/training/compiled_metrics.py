"""The metrics from `compile` for each output, under Keras' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.names import snake_case
from ferrnn._src.training import metrics
from ferrnn._src.training.compiled import by_output, classification_kind
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.metrics import MeanMetricWrapper, Metric, plain
from ferrnn._src.training.reduction import spread
from ferrnn._src.tree.types import Array, Mask


class CompiledMetrics:
    """The metrics of a model: "accuracy" is chosen by shapes, names are unique.

    >>> compiled = CompiledMetrics(["accuracy", "mae"], None)
    >>> compiled.bind(["output"])
    >>> compiled.update([np.array([[1.0]])], [np.array([[0.75]])], None, None)
    >>> compiled.result()
    {'accuracy': 1.0, 'mae': 0.25}
    """

    def __init__(self, given: Any, weighted: Any) -> None:
        self.given, self.given_weighted = given, weighted
        self.names: list[str] | None = None
        self.only: list[Metric] = []  # if there is one output, its metrics
        self.shapes: list[Any] | None = (
            None  # shapes of targets and outputs, by which metrics were chosen
        )
        self.measured: Any = None  # what plans have let them measure before weights changed
        self._plain: list[list[Metric]] = []
        self._weighted: list[list[Metric]] = []
        for identifier in [*_leaves(given, "metrics"), *_leaves(weighted, "weighted_metrics")]:
            if not _by_shapes(identifier):
                metrics.get(identifier)  # so that a misspelled name is found by `compile`
        self.empty = not _leaves(given, "metrics") and not _leaves(weighted, "weighted_metrics")
        self._resolved = self.empty

    def bind(self, names: Sequence[str]) -> None:
        """Sets the outputs."""
        if self.names != list(names):
            self.names = list(names)
            self._for_outputs = _entries(self.given, names, "metrics")
            self._for_weighted = _entries(self.given_weighted, names, "weighted_metrics")

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, or an empty list before the first batch."""
        found: list[Metric] = []
        for each in (*self._plain, *self._weighted):
            found += each
        return found

    @property
    def to_come(self) -> bool:
        """Whether there are metrics that the first batch has yet to choose."""
        return not self._resolved

    def update(
        self,
        trues: Sequence[Any],
        preds: Sequence[Any],
        weights: Sequence[Any] | None,
        masks: Sequence[Mask | None] | None,
    ) -> None:
        """Adds a batch."""
        if self.empty:
            return
        if not self._resolved:
            self._resolve(trues, preds)
        for at, pred in enumerate(preds):
            if self._plain[at] or self._weighted[at]:
                weight = None if weights is None else weights[at]
                self._update(at, trues[at], pred, weight, None if masks is None else masks[at])

    def resolve(self, shapes: Sequence[Any]) -> None:
        """Makes the metrics that a batch of targets and outputs of these shapes would choose."""
        trues, preds = zip(*shapes, strict=True)
        self._resolve([_of_shape(each) for each in trues], [_of_shape(each) for each in preds])

    def _resolve(self, trues: Sequence[Any], preds: Sequence[Any]) -> None:
        pairs = list(zip(trues, preds, strict=True))
        self.shapes = [[_shape(true), _shape(pred)] for true, pred in pairs]
        for found, wanted in (
            (self._plain, self._for_outputs),
            (self._weighted, self._for_weighted),
        ):
            for (true, pred), given in zip(pairs, wanted, strict=True):
                found.append([_metric(each, true, pred) for each in given])
        self.reset()  # a metric may come from another model, with values from there
        self._resolved = True
        if len(preds) == 1:
            self.only = self.metrics

    def _update(
        self, at: int, true: Array, pred: Array, weight: Array | None, mask: Mask | None
    ) -> None:
        if mask is not None and lacks_axis(true, pred):
            # Otherwise metrics would average over all steps, including masked ones.
            true = true[..., None]
        counted = None if mask is None else np.asarray(mask, pred.dtype)
        for metric in self._plain[at]:
            _update(metric, true, pred, counted)
        sizes = () if weight is None else weight.shape
        per_step = len(sizes) >= true.ndim > 1 and any(size != 1 for size in sizes[1:])
        if per_step and lacks_axis(true, pred):
            true = true[..., None]
        weight = _product(weight, counted)
        for metric in self._weighted[at]:
            _update(metric, true, pred, weight)

    def reset(self) -> None:
        """Resets all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """The values, in the order of `compile`, with repeated names numbered."""
        results = {metric.name: plain(metric.result()) for metric in self.only}
        if len(results) == len(self.metrics):
            return results
        results.clear()
        counts: dict[str, int] = {}
        names = self.names or ()
        prefixes = [f"{name}_" for name in names] if len(names) > 1 else [""]
        for prefix, unweighted in zip(prefixes, self._plain, strict=False):
            for metric in unweighted:
                _put(results, counts, prefix + metric.name, metric)
        for prefix, weighted in zip(prefixes, self._weighted, strict=False):
            for metric in weighted:
                taken = f"{prefix}{metric.name}" in counts
                key = f"{prefix}weighted_{metric.name}" if taken else prefix + metric.name
                _put(results, counts, key, metric)
        return results


def _shape(array: Any) -> list[int] | None:
    return None if array is None else list(np.shape(array))


def _of_shape(shape: Any) -> Any:
    """An array that takes no memory."""
    return None if shape is None else np.broadcast_to(np.float32(0), tuple(shape))


def _leaves(given: Any, argument: str) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list | tuple | Mapping):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Expected `{argument}` argument to be a list, tuple, or dict. "
            f"Received instead: {argument}={given!r} of type {type(given).__name__}"
        )
    parts = list(given.values()) if isinstance(given, Mapping) else list(given)
    return [leaf for part in parts for leaf in _listed(part)]


def _listed(part: Any) -> list[Any]:
    if part is None:
        return []
    return list(part) if isinstance(part, list | tuple) else [part]


def _entries(given: Any, names: Sequence[str], argument: str) -> list[list[Any]]:
    """The metrics for each output."""
    if given is None:
        return [[] for _ in names]
    if len(names) == 1 and not isinstance(given, Mapping):
        return [_leaves(given, argument)]
    return [_listed(part) for part in by_output(given, names, argument)]


def _by_shapes(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc")


def _metric(identifier: Any, y_true: Array, y_pred: Array) -> Metric:
    """The metric, with the name that the user gave."""
    if _by_shapes(identifier):
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


def lacks_axis(true: Array, pred: Array) -> bool:
    return pred.shape[-1] == 1 and pred.ndim == true.ndim + 1


def _product(weight: Array | None, mask: Array | None) -> Array | None:
    """Weights of samples, steps or features, times the mask of the steps."""
    if weight is None or mask is None:
        return mask if weight is None else weight
    more = np.shape(weight)[mask.ndim :]
    if any(size != 1 for size in more):
        return np.asarray(weight * mask.reshape(mask.shape + (1,) * len(more)))
    return np.asarray(spread(np.asarray(weight), mask.shape, "sample_weight") * mask)


def _put(results: dict[str, Any], counts: dict[str, int], name: str, metric: Metric) -> None:
    count = counts.get(name, 0)
    counts[name] = count + 1
    results[f"{name}_{count}" if count else name] = plain(metric.result())
