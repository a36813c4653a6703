"""What is gathered over the batches of a pass: the means of losses, and the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.layer.masked import carried_mask, with_masks
from ferrnn._src.training.compiled import CompiledLoss, by_output
from ferrnn._src.training.compiled_metrics import CompiledMetrics
from ferrnn._src.training.metrics import Mean, Metric, plain
from ferrnn._src.tree.tree import CONTAINERS, flatten
from ferrnn._src.weights.parameter import Parameter, structure_version

# Targets, predictions, weights and masks, an entry for each output.
Columns: TypeAlias = "tuple[list[Any], list[Any], list[Any] | None, list[Any] | None]"

# Attributes of a model that hold what `compile` was given and made of it.
_COMPILED = frozenset(("_loss_mean", "_loss_means", "_compile_metrics", "_compile_config"))

# The methods that make logs.
LOGGING = ("compute_metrics", "get_metrics_result", "metrics", "metrics_result", "reset_metrics")


class Measuring:
    """The metrics of a model, and its outputs side by side."""

    name: str
    _loss: CompiledLoss | None = None
    _metrics: CompiledMetrics | None = None
    _loss_mean: Mean
    _loss_means: Sequence[Mean] = ()
    _compile_metrics: CompileMetrics
    _held: tuple[tuple[int, int], tuple[Metric, ...]] | None = None  # as of which structure
    _own_logs: dict[str, Any] | None = None

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order."""
        return []

    def sublayers(self) -> Iterator[Any]:
        """The layers that the model holds."""
        raise NotImplementedError(f"{type(self).__name__} must define `sublayers`")

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._loss is not None

    def _require_compiled(self, method: str) -> tuple[CompiledLoss, CompiledMetrics]:
        if self._loss is None or self._metrics is None:
            raise ValueError(f"You must call `compile()` before calling `{method}()`.")
        return self._loss, self._metrics

    # Metrics.

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, the metrics of `compile` as one, the losses of several outputs.

        Then the metrics that the model and its layers hold as attributes.
        """
        compiled: list[Metric] = []
        if self._metrics is not None:
            compiled.append(self._loss_mean)
            if not self._metrics.empty:
                compiled.append(self._compile_metrics)
            compiled += self._loss_means
        return [*compiled, *self._held_metrics()]

    def _held_metrics(self) -> tuple[Metric, ...]:
        """The metrics of attributes; those of a model inside count for its own training only."""
        held, known = self._held, (structure_version(), len(vars(self)))
        if held is None or held[0] != known:
            self._held = None  # the attribute is there, and counts
            known = (structure_version(), len(vars(self)))
            layers = (layer for layer in _below(self) if not isinstance(layer, Measuring))
            found = [*_own(vars(self)), *(each for layer in layers for each in _own(vars(layer)))]
            held = self._held = known, tuple({id(metric): metric for metric in found}.values())
        return held[1]

    @property
    def metrics_variables(self) -> list[Parameter]:
        """The variables of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forgets the batches that metrics have gathered."""
        for metric in self.metrics:
            metric.reset_state()
        self._own_logs = None

    def get_metrics_result(self) -> dict[str, Any]:
        """The values gathered so far by name, the loss first."""
        compiled = self._require_compiled("get_metrics_result")[1]
        results: dict[str, Any] = {self._loss_mean.name: float(self._loss_mean._mean)}
        for mean in self._loss_means:
            results[mean.name] = float(mean._mean)
        results.update(compiled.result())
        default = type(self).metrics is Measuring.metrics
        for metric in self._held_metrics() if default else self.metrics:
            if metric.name not in results and not isinstance(metric, CompileMetrics):
                value = metric.result()
                if isinstance(value, Mapping):
                    results.update({name: plain(each) for name, each in value.items()})
                else:
                    results[metric.name] = plain(value)
        return results

    def metrics_result(self) -> dict[str, Any]:
        """What is logged, by name: the gathered values, or what a custom `train_step` returned."""
        logs = self.get_metrics_result() if self._own_logs is None else self._own_logs
        return dict(sorted(logs.items()))

    def _logged(self, logs: Any) -> float:
        if not isinstance(logs, Mapping):
            raise TypeError(
                f"`train_step` and `test_step` must return a dict of logs, received {logs!r}"
            )
        own: dict[str, Any] = {}
        for name, value in logs.items():
            if isinstance(value, Mapping):
                own.update({key: plain(each) for key, each in value.items()})
            else:
                own[name] = plain(value)
        self._own_logs = own
        loss = self._own_logs.get("loss", 0.0)
        return loss if isinstance(loss, float) else 0.0

    def _sums_in_order(self) -> list[Any] | None:
        """As `_values_in_order`, where there is one output and nothing is logged but sums.

        None if there are equal names, of which the order is another.
        """
        assert self._metrics is not None, "there are sums"
        names, values = {self._loss_mean.name}, [float(self._loss_mean._mean)]
        for metric in self._metrics.only:
            names.add(metric.name)
            values.append(plain(metric.result()))
        return values if len(names) == len(values) else None

    def _values_in_order(self, logs: Mapping[str, Any]) -> list[Any]:
        """The values of `evaluate`: those of `metrics` in their order, the others by their names.

        Metrics of several outputs are among the others: their names have the output's before them.
        """
        names: dict[str, None] = {}
        for metric in self.metrics:
            for part in metric.metrics if isinstance(metric, CompileMetrics) else (metric,):
                names[part.name] = None
        values = [logs[name] for name in names if name in logs]
        if len(values) < len(logs):
            values += [logs[name] for name in sorted(logs.keys() - names.keys())]
        return values

    @property
    def measures_as_compiled(self) -> bool:
        """Whether metrics are those of `compile`, updated by no code of the user's."""
        return type(self).compute_metrics is Measuring.compute_metrics

    @property
    def logs_sums(self) -> bool:
        """Whether what is logged follows from sums of losses and metrics of `compile` alone."""
        same = (getattr(type(self), name) is getattr(Measuring, name) for name in LOGGING)
        return all(same) and not self._held_metrics()

    def _measure(self, x: Any, y: Any, outputs: Any, weight: Any, mask: Any) -> None:
        """Lets the metrics see a batch."""
        if not self.measures_as_compiled:
            self._logged(self.compute_metrics(x, y, with_masks(outputs, mask), weight))
            return
        compiled = self._require_compiled("fit")[1]
        if compiled.empty:
            return
        if weight is mask is None and type(outputs) is type(y) is np.ndarray and compiled.only:
            for metric in compiled.only:
                metric.update_state(y, outputs)
        else:
            trues, preds, weights, masks = self._columns(y, outputs, weight, mask)
            compiled.bind(self._names(outputs, preds))
            compiled.update(trues, preds, weights, masks)

    def compute_metrics(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of `compile` with a batch, and gives all results."""
        self._update_compiled(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_compiled(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        compiled = self._require_compiled("compute_metrics")[1]
        mask = carried_mask(y_pred)
        trues, preds, weights, masks = self._columns(y, y_pred, sample_weight, mask)
        compiled.bind(self._names(y_pred, preds))
        compiled.update(trues, preds, weights, masks)

    def bind_output(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Lets the loss and the metrics know of the only output, by the shapes of a batch."""
        loss, compiled = self._loss, self._metrics
        names = self.output_names
        if loss is None or loss.given is None or compiled is None or len(names) != 1:
            return
        if loss.names is None:
            loss.bind(names, np.broadcast_to(np.float32(0), pred))
        if compiled.to_come:
            compiled.bind(names)
            compiled.resolve([(true, pred)])

    def bind_outputs(self) -> Sequence[int]:
        """Lets the loss know of several outputs; gives the places of those that have one."""
        names, loss = self.output_names, self._loss
        if loss is None or not names:
            return ()
        try:
            loss.bind(names, self.structured([np.zeros(())] * len(names)), required=False)
        except ValueError:  # the first batch tells of it
            return range(len(names))
        return loss.needed

    def structured(self, outputs: list[Any]) -> Any:
        """Outputs as a call of the model gives them."""
        return outputs[0]

    def arranged_targets(self, y: Any) -> Sequence[Any] | None:
        """What stands for each output, None where that is better said elsewhere."""
        names = self.output_names
        if len(names) == 1:
            return [y]
        try:
            return self._targets(y, names, self.structured([np.zeros(())] * len(names)))
        except ValueError:
            return None

    def arranged_weights(self, weight: Any) -> Sequence[Any] | None:
        """What weighs each output's samples, None where that is better said elsewhere."""
        names = self.output_names
        if weight is None or len(names) == 1:
            return [weight] * len(names)
        try:
            return _weights(weight, names, self.structured([np.zeros(())] * len(names)))
        except ValueError:
            return None

    def _gather(self, compiled: CompiledLoss, parts: Sequence[float], preds: Any) -> None:
        """Keeps the losses of several outputs, each under its output's name."""
        if len(parts) < 2:
            return
        if not self._loss_means:
            self._loss_means = [Mean(name=f"{name}_loss") for name in compiled.told_names]
        size = float(batch_size(preds))
        for mean, at in zip(self._loss_means, compiled.told, strict=True):
            mean.add(parts[at], size)

    # Outputs side by side.

    def _names(self, outputs: Any, preds: Sequence[Any]) -> list[str]:
        """The names of the outputs; the keys, where the code of a subclass gives a dict."""
        names = self.output_names
        if len(names) == len(preds):
            return names
        if isinstance(outputs, Mapping) and len(outputs) == len(preds):
            return sorted(outputs)
        return [f"output_{at + 1}" for at in range(len(preds))]

    def _columns(self, y: Any, outputs: Any, weight: Any, mask: Any) -> Columns:
        """Targets, predictions, weights and masks, an entry for each output."""
        if isinstance(outputs, np.ndarray):
            true = y if y is None or isinstance(y, np.ndarray) else flatten(y)[0]
            weights = None if weight is None else [weight]
            masks = None if mask is None else [mask]
            return [true], [outputs], weights, masks
        preds = flatten(outputs)
        names = self._names(outputs, preds)
        trues = [None] * len(preds) if y is None else self._targets(y, names, outputs)
        return trues, preds, _weights(weight, names, outputs), mask

    def _targets(self, y: Any, names: Sequence[str], outputs: Any) -> list[Any]:
        """Targets for each output; there may be some for those alone that have a loss."""
        losses = None if self._loss is None else self._loss.given
        leaves, has = flatten(y), flatten(losses)
        wanted = [at for at, loss in enumerate(has) if loss is not None]
        if isinstance(y, Mapping) or not len(leaves) == len(wanted) < len(has) == len(names):
            return _matching(y, names, "y", outputs)
        given = dict(zip(wanted, leaves, strict=True))
        return [given.get(at) for at in range(len(names))]


class CompileMetrics(Metric):
    """The metrics of `compile`, with the face of one metric whose result is a dict."""

    def __init__(self, model: Measuring, compiled: CompiledMetrics) -> None:
        super().__init__(name="compile_metrics")
        self._model = model
        self._compiled = compiled

    @property
    def metrics(self) -> list[Metric]:
        """The metrics one by one; none before the first batch, whose shapes choose some."""
        return self._compiled.metrics

    @property
    def built(self) -> bool:
        """Whether a batch has chosen the metrics."""
        return not self._compiled.to_come

    @property
    def variables(self) -> list[Parameter]:
        """The arrays of all of them."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch in, all outputs of it."""
        self._model._update_compiled(y_true, y_pred, sample_weight)

    def result(self) -> dict[str, Any]:
        """The values by name."""
        return self._compiled.result()

    def reset_state(self) -> None:
        """Resets to the state without batches."""
        self._compiled.reset()


def _own(attributes: Mapping[str, Any]) -> Iterator[Metric]:
    for name, value in attributes.items():
        if name in _COMPILED:
            continue
        if isinstance(value, Metric):
            yield value
        elif isinstance(value, CONTAINERS) and value:
            yield from (leaf for leaf in flatten(value) if isinstance(leaf, Metric))


def _below(layer: Any) -> Iterable[Any]:
    """All layers inside, each once."""
    found: dict[int, Any] = {}
    waiting = list(layer.sublayers())
    while waiting:
        each = waiting.pop(0)
        if id(each) not in found:
            found[id(each)] = each
            waiting += each.sublayers()
    return found.values()


def batch_size(outputs: Any) -> int:
    """How many samples the outputs, an array or a structure of them, are for."""
    return len(outputs if isinstance(outputs, np.ndarray) else flatten(outputs)[0])


def _matching(given: Any, names: Sequence[str], argument: str, outputs: Any) -> list[Any]:
    """Arrays for each output, from a structure or from a dict by the outputs' names."""
    parts = flatten(given)
    if isinstance(given, Mapping):
        same = isinstance(outputs, Mapping) and given.keys() == outputs.keys()
        return parts if same and len(parts) == len(names) else by_output(given, names, argument)
    if len(parts) != len(names):
        raise ValueError(
            f"`{argument}` must have an array for each of the {len(names)} outputs "
            f"({', '.join(names)}), received {len(parts)}"
        )
    return parts


def _weights(given: Any, names: Sequence[str], outputs: Any) -> list[Any] | None:
    if given is None:
        return None
    if isinstance(given, np.ndarray):  # one weight for each sample holds for all outputs
        if given.ndim > 1:
            raise ValueError(
                "For a model with multiple outputs, when providing a single `sample_weight` array, "
                f"it should only have one scalar score per sample. Received the shape {given.shape}"
            )
        return [given] * len(names)
    return _matching(given, names, "sample_weight", outputs)
