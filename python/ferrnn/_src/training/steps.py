"""One batch of training, testing or predicting, for any differentiable model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import PLAIN_CALLS, Call, Vjp
from ferrnn._src.symbolic import tracing
from ferrnn._src.training.batches import unpack_batch
from ferrnn._src.training.compiled import CompiledLoss, by_output
from ferrnn._src.training.compiled_metrics import CompiledMetrics
from ferrnn._src.training.metrics import Mean, Metric, plain
from ferrnn._src.training.optimizers import Optimizer
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.penalties import add_weight_penalties, regularized, weight_penalties

_TRAINING = Call(training=True, differentiable=True, inputs_need_gradient=False, consume=True)


class Steps:
    """What a model that defines `outputs_and_mask` and `prepare_inputs` does with a batch."""

    name: str
    built: bool
    optimizer: Any = None
    _loss: CompiledLoss | None = None
    _metrics: CompiledMetrics | None = None
    _loss_mean: Mean
    _loss_means: Sequence[Mean] = ()
    _trained: tuple[Parameter, ...] = ()
    _prepared: tuple[int, int] | None = None  # for which weights and optimizer `_trained` holds
    _regularized: tuple[Parameter, ...] | None = None
    _collects: bool = False
    _own_logs: dict[str, Any] | None = None

    # What a model defines.

    def outputs_and_mask(self, inputs: Any, call: Call) -> tuple[Any, Any, Vjp | None]:
        """Outputs for prepared inputs, the mask that goes with them, and the vjp."""
        raise NotImplementedError(f"{type(self).__name__} must define `outputs_and_mask`")

    def prepare_inputs(self, inputs: Any) -> Any:
        """`inputs` in the model's dtype; builds the model if it is not built yet."""
        raise NotImplementedError(f"{type(self).__name__} must define `prepare_inputs`")

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""
        raise NotImplementedError(f"{type(self).__name__} must define `trainable_weights`")

    def adds_losses(self) -> bool:
        """Whether a layer puts a penalty on what it gives out."""
        raise NotImplementedError(f"{type(self).__name__} must define `adds_losses`")

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order."""
        return []

    def _require_compiled(self, method: str) -> tuple[CompiledLoss, CompiledMetrics]:
        if self._loss is None or self._metrics is None:
            raise ValueError(f"You must call `compile()` before calling `{method}()`.")
        return self._loss, self._metrics

    # Metrics.

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, those of several outputs, the metrics, then those of attributes.

        Before the first batch, the metrics that `compile` was given are there as one.
        """
        own = [value for value in vars(self).values() if isinstance(value, Metric)]
        own = [metric for metric in own if metric is not self.__dict__.get("_loss_mean")]
        if self._metrics is None:
            return own
        compiled: list[Any] = [self._loss_mean, *self._loss_means]
        if self._metrics.to_come:
            compiled.append(_Compiled(self))
        return [*compiled, *self._metrics.metrics, *own]

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
        losses = {mean.name: float(mean.result()) for mean in (self._loss_mean, *self._loss_means)}
        results = {**losses, **compiled.result()}
        if type(self).metrics is Steps.metrics:
            return results
        for metric in self.metrics:
            if metric.name not in results:
                results[metric.name] = plain(metric.result())
        return results

    def metrics_result(self) -> dict[str, Any]:
        """What is logged, by name: the gathered values, or what an own `train_step` gave."""
        logs = self.get_metrics_result() if self._own_logs is None else self._own_logs
        return dict(sorted(logs.items()))

    # Steps of a user's own, or the ones here.

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from a batch `(x, y, sample_weight)`; gives the logs.

        A subclass may write its own, with `value_and_gradients` and `optimizer.apply`.
        """
        self._train(unpack_batch(data))
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """The loss and metrics of a batch `(x, y, sample_weight)`; gives the logs."""
        self._test(unpack_batch(data))
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch `(x,)`."""
        return self._predict(unpack_batch(data)[0])

    def run_train_step(self, batch: Batch) -> float:
        """One update, by an own `train_step` if there is one; gives the loss."""
        if type(self).train_step is Steps.train_step:
            return self._train(batch)
        return self._logged(self.train_step(_given(batch)))

    def run_test_step(self, batch: Batch) -> float:
        """The loss of a batch, by an own `test_step` if there is one."""
        if type(self).test_step is Steps.test_step:
            return self._test(batch)
        return self._logged(self.test_step(_given(batch)))

    def run_predict_step(self, x: Any) -> Any:
        """The outputs for a batch, by an own `predict_step` if there is one."""
        if type(self).predict_step is Steps.predict_step:
            return self._predict(x)
        return self.predict_step(x)

    def _logged(self, logs: Any) -> float:
        if not isinstance(logs, Mapping):
            raise TypeError(
                f"an own `train_step` or `test_step` must give a dict of logs, received {logs!r}"
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

    def value_and_gradients(self, function: Callable[[], Any]) -> tuple[Any, Gradients]:
        """`function()` and its gradients by the trainable weights of the model, for `apply`.

        The function gives one number, or a tuple whose first entry is that number; inside, call the
        model, layers, losses and `ferrnn.ops`.

        >>> import ferrnn as keras
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
        >>> x = np.ones((2, 3), "float32")
        >>> value, grads = model.value_and_gradients(lambda: keras.ops.mean(model(x) ** 2))
        >>> float(value), grads[model.trainable_weights[0]].ravel().tolist()
        (9.0, [6.0, 6.0, 6.0])
        """
        value, found = tracing.value_and_gradients(function)
        grads = Gradients()
        for weight in self.trainable_weights:
            if weight in found:
                grads.add(weight, found[weight])
        return value, grads

    def finish_training(self) -> None:
        """With moving averages (`use_ema` of the optimizer), the weights become them."""
        if isinstance(self.optimizer, Optimizer):
            self.optimizer.finalize_variable_values(self._trained)

    # The steps.

    def _train(self, batch: Batch) -> float:
        x, y, weight = batch
        call = replace(_TRAINING, losses=[]) if self._collects else _TRAINING
        outputs, mask, vjp = self.outputs_and_mask(self.prepare_inputs(x), call)
        grads = Gradients()
        added = add_weight_penalties(self._regularized or (), grads) + sum(call.losses or ())
        value, loss_vjp = self._loss_of(batch, outputs, mask, added)
        # Metrics come next to the loss, whose code and data are in the cache.
        self._measure(x, y, outputs, weight, mask)
        if self._trained and vjp is not None:
            vjp(loss_vjp(grads), grads)
            if getattr(self.optimizer, "loss_scale_factor", None) is not None:
                grads = grads.times(self.optimizer.loss_scale_factor)  # as of the scaled loss
            self.optimizer.apply(grads, self._trained)
        return value

    def _test(self, batch: Batch) -> float:
        x, y, weight = batch
        call = Call(losses=[]) if self._collects else PLAIN_CALLS[False]
        outputs, mask, _ = self.outputs_and_mask(self.prepare_inputs(x), call)
        if self._regularized is None:
            self._regularized = regularized(self.trainable_weights)
        added = sum(weight_penalties(self._regularized)) + sum(call.losses or ())
        if type(self).compute_loss is not Steps.compute_loss:
            value = float(self.compute_loss(x, y, outputs, weight, training=False))
        else:
            value = self._data_loss(y, outputs, weight, mask) + added
        self._loss_mean.add(value, float(_batch_size(outputs)))
        self._measure(x, y, outputs, weight, mask)
        return value

    def _predict(self, x: Any) -> Any:
        inputs = self.prepare_inputs(x)
        outputs, _, _ = self.outputs_and_mask(inputs, PLAIN_CALLS[False])
        if type(outputs) is np.ndarray and type(inputs) is np.ndarray:
            fresh = outputs.base is None and outputs is not inputs  # it may pass them through
            return outputs if fresh else _own(outputs, [inputs])
        given = [leaf for leaf in flatten(inputs) if isinstance(leaf, np.ndarray)]
        return pack_like(outputs, [_own(leaf, given) for leaf in flatten(outputs)])

    def _measure(self, x: Any, y: Any, outputs: Any, weight: Any, mask: Any) -> None:
        """Lets the metrics see a batch."""
        if type(self).compute_metrics is not Steps.compute_metrics:
            self._logged(self.compute_metrics(x, y, outputs, weight))
            return
        compiled = self._require_compiled("fit")[1]
        if compiled.empty:
            return
        if weight is mask is None and type(outputs) is type(y) is np.ndarray and compiled.only:
            for metric in compiled.only:
                metric.update_state(y, outputs)
        else:
            trues, preds, weights, masks = self._columns(y, outputs, weight, mask)
            compiled.bind(self._names(preds))
            compiled.update(trues, preds, weights, masks)

    def compute_metrics(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of `compile` with a batch, and gives all results."""
        compiled = self._require_compiled("compute_metrics")[1]
        trues, preds, weights, masks = self._columns(y, y_pred, sample_weight, None)
        compiled.bind(self._names(preds))
        compiled.update(trues, preds, weights, masks)
        return self.get_metrics_result()

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of `compile`, with what layers added in their last call.

        Inside `value_and_gradients` it takes traced predictions.
        """
        if tracing.current.get() is not None:
            data_loss = self._traced_loss(y, y_pred, sample_weight)
            return sum(self.losses, data_loss)  # type: ignore[attr-defined]
        added = sum(self.losses)  # type: ignore[attr-defined]
        return self._data_loss(y, y_pred, sample_weight, None) + added

    def _traced_loss(self, y: Any, y_pred: Any, weight: Any) -> Any:
        def forward(pred: Any) -> tuple[Any, Vjp]:
            value, _, vjp = self._forward_loss(y, pred, weight, None)

            def back(d_loss: Any, grads: Gradients) -> Any:
                return pack_like(pred, vjp(float(d_loss), grads))

            return np.asarray(value), back

        return tracing.record(forward, y_pred)

    def _data_loss(self, y: Any, outputs: Any, weight: Any, mask: Any) -> float:
        compiled = self._require_compiled("evaluate")[0]
        trues, preds, weights, masks = self._columns(y, outputs, weight, mask)
        compiled.bind(self._names(preds), required=not self._collects)
        self._require_targets(compiled, trues)
        value, parts = compiled.evaluate(trues, preds, weights, masks)
        self._gather(compiled, parts, preds)
        return value

    def _forward_loss(
        self, y: Any, outputs: Any, weight: Any, mask: Any
    ) -> tuple[float, Sequence[float], Callable[[float, Gradients], list[Any]]]:
        compiled = self._require_compiled("fit")[0]
        trues, preds, weights, masks = self._columns(y, outputs, weight, mask)
        compiled.bind(self._names(preds), required=not self._collects)
        self._require_targets(compiled, trues)
        value, parts, vjp = compiled.forward(trues, preds, weights, masks)
        self._gather(compiled, parts, preds)
        return value, parts, vjp

    def _loss_of(
        self, batch: Batch, outputs: Any, mask: Any, added: float
    ) -> tuple[float, Callable[[Gradients], Any]]:
        """The loss of a batch and `vjp(grads) -> d_outputs`."""
        x, y, weight = batch
        if type(self).compute_loss is not Steps.compute_loss:
            value, own_vjp = self._own_loss(x, y, outputs, weight)
            self._loss_mean.add(value, float(_batch_size(outputs)))
            return value, lambda grads: own_vjp(np.asarray(1.0), grads)
        only = None if self._loss is None else self._loss.only
        if only is not None and type(outputs) is type(y) is np.ndarray:
            part, only_vjp = only.forward(y, outputs, sample_weight=weight, mask=mask)
            value = float(part) + added
            self._loss_mean.add(value, float(len(outputs)))
            return value, lambda grads: only_vjp(1.0, grads)
        value, _, vjp = self._forward_loss(y, outputs, weight, mask)
        value += added
        self._loss_mean.add(value, float(_batch_size(outputs)))
        if type(outputs) is np.ndarray and not self._collects:
            return value, lambda grads: vjp(1.0, grads)[0]

        def d_outputs(grads: Gradients) -> Any:
            leaves = vjp(1.0, grads)
            if self._collects:  # layers that add losses want to be reached all the same
                pairs = zip(leaves, flatten(outputs), strict=True)
                leaves = [np.zeros_like(pred) if d is None else d for d, pred in pairs]
            return pack_like(outputs, leaves)

        return value, d_outputs

    def _own_loss(self, x: Any, y: Any, outputs: Any, weight: Any) -> tuple[float, Any]:
        """The value and the vjp of a `compute_loss` that a subclass wrote."""
        value, vjp = tracing.differentiate(
            lambda preds: self.compute_loss(x, y, preds, weight, training=True), outputs
        )
        return float(value), vjp

    def _gather(self, compiled: CompiledLoss, parts: Sequence[float], preds: Any) -> None:
        """Keeps the losses of several outputs, each under its output's name."""
        if len(parts) < 2:
            return
        if not self._loss_means:
            self._loss_means = [Mean(name=f"{name}_loss") for name in compiled.used_names]
        size = float(_batch_size(preds))
        for mean, part in zip(self._loss_means, parts, strict=True):
            mean.add(part, size)

    # Outputs side by side.

    def _names(self, preds: Sequence[Any]) -> list[str]:
        names = self.output_names
        return (
            names if len(names) == len(preds) else [f"output_{at + 1}" for at in range(len(preds))]
        )

    def _columns(
        self, y: Any, outputs: Any, weight: Any, mask: Any
    ) -> tuple[list[Any], list[Any], list[Any] | None, list[Any] | None]:
        """Targets, predictions, weights and masks, an entry for each output."""
        if isinstance(outputs, np.ndarray):
            true = y if y is None or isinstance(y, np.ndarray) else flatten(y)[0]
            weights = None if weight is None else [weight]
            masks = None if mask is None else [mask]
            return [true], [outputs], weights, masks
        preds = flatten(outputs)
        names = self._names(preds)
        trues = [None] * len(preds) if y is None else _matching(y, names, "y")
        return trues, preds, _weights(weight, names), mask

    def _require_targets(self, compiled: CompiledLoss, trues: Sequence[Any]) -> None:
        for at in compiled.needed:
            if trues[at] is None:
                which = "" if len(trues) == 1 else f" for the output {(compiled.names or [])[at]!r}"
                raise ValueError(
                    f"the loss of the model {self.name!r} needs targets{which}: `y` is None"
                )


class _Compiled:
    """The metrics of `compile` before their first batch, with the face of one metric."""

    name = "compile_metrics"

    def __init__(self, model: Steps) -> None:
        self._model = model

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch in."""
        self._model.compute_metrics(None, y_true, y_pred, sample_weight)

    def result(self) -> dict[str, Any]:
        """The values by name."""
        return self._model._require_compiled("fit")[1].result()

    def reset_state(self) -> None:
        """There is nothing to forget yet."""


def _given(batch: Batch) -> Any:
    """A batch as an own step unpacks it: without what was not given."""
    x, y, weight = batch
    return (x, y) if weight is None else (x, y, weight)


def _batch_size(outputs: Any) -> int:
    return len(outputs if isinstance(outputs, np.ndarray) else flatten(outputs)[0])


def _own(array: Any, given: Sequence[Array]) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    shared = any(np.may_share_memory(array, each) for each in given)
    return np.array(array) if shared else np.asarray(array)


def _matching(given: Any, names: Sequence[str], argument: str) -> list[Any]:
    """Arrays for each output, from a structure or from a dict by the outputs' names."""
    if isinstance(given, Mapping):
        return by_output(given, names, argument)
    parts = flatten(given)
    if len(parts) != len(names):
        raise ValueError(
            f"`{argument}` must have an array for each of the {len(names)} outputs "
            f"({', '.join(names)}), received {len(parts)}"
        )
    return parts


def _weights(given: Any, names: Sequence[str]) -> list[Any] | None:
    if given is None:
        return None
    if isinstance(given, np.ndarray):  # one weight for each sample holds for all outputs
        if given.ndim > 1:
            raise ValueError(
                "For a model with multiple outputs, when providing a single `sample_weight` array, "
                f"it should only have one scalar score per sample. Received the shape {given.shape}"
            )
        return [given] * len(names)
    return _matching(given, names, "sample_weight")
