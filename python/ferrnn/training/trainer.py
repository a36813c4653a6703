"""`compile`, `fit`, `evaluate`, `predict` and their steps, for any differentiable model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn.core import tracing
from ferrnn.core.layer import Call, Vjp
from ferrnn.core.parameter import Gradients, Parameter, structure_version
from ferrnn.core.penalties import add_weight_penalties, regularized, weight_penalties
from ferrnn.core.types import Array, Mask
from ferrnn.training import optimizers
from ferrnn.training.batches import Batches, Samples, as_samples, checked_count, split_off_last
from ferrnn.training.callbacks import CallbackList, History, ProgbarLogger
from ferrnn.training.compiled import CompiledLoss, CompiledMetrics
from ferrnn.training.loop import EpochLoop, Validation
from ferrnn.training.metrics import Mean, Metric

_INFERENCE = Call()
_TRAINING = Call(training=True, differentiable=True, inputs_need_gradient=False, consume=True)


class Trainer:
    """What a model gets for `outputs_and_mask`, `prepare_inputs` and `trainable_weights`."""

    name: str
    built: bool
    stop_training: bool = False
    _initial_epoch: int = 0
    history: History | None = None
    optimizer: Any = None
    _loss: CompiledLoss | None = None
    _metrics: CompiledMetrics | None = None
    _trained: tuple[Parameter, ...] = ()
    _regularized: tuple[Parameter, ...] | None = None
    _collects: bool = False
    _prepared: tuple[int, int] | None = None  # for which weights and optimizer `_trained` holds

    # What a model defines.

    def outputs_and_mask(self, inputs: Array, call: Call) -> tuple[Any, Mask | None, Vjp | None]:
        """Outputs for prepared inputs, the mask that goes with them, and the vjp."""
        raise NotImplementedError(f"{type(self).__name__} must define `outputs_and_mask`")

    def prepare_inputs(self, inputs: Any) -> Array:
        """`inputs` in the model's dtype; builds the model if it is not built yet."""
        raise NotImplementedError(f"{type(self).__name__} must define `prepare_inputs`")

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""
        raise NotImplementedError(f"{type(self).__name__} must define `trainable_weights`")

    def adds_losses(self) -> bool:
        """Whether a layer puts a penalty on what it gives out."""
        raise NotImplementedError(f"{type(self).__name__} must define `adds_losses`")

    # Compiling.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how to train: optimizer, loss and metrics, by name or as objects.

        `run_eagerly`, `steps_per_execution`, `jit_compile` and `auto_scale_loss` are taken for
        Keras' sake and have nothing to change here.

        >>> from ferrnn.models.sequential import Sequential
        >>> model = Sequential()
        >>> model.compile("adam", loss="mse", metrics=["mae"])
        >>> float(model.optimizer.learning_rate)
        0.001
        """
        self.optimizer = optimizers.get(optimizer)
        self._loss = CompiledLoss(loss, loss_weights)
        self._metrics = CompiledMetrics(metrics, weighted_metrics)
        self._loss_mean = Mean(name="loss")
        self.loss = loss
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._loss is not None

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, then the metrics (none before the first batch)."""
        return [self._loss_mean, *self._metrics.metrics] if self._metrics is not None else []

    @property
    def metrics_names(self) -> list[str]:
        """The names in the order of what `evaluate` gives."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forgets the batches that metrics have gathered."""
        if self._metrics is not None:
            self._loss_mean.reset_state()
            self._metrics.reset()

    def metrics_result(self) -> dict[str, float]:
        """The values gathered so far, the loss first."""
        compiled = self._require_compiled("metrics_result")[1]
        return {"loss": self._loss_mean.result(), **compiled.result()}

    def _require_compiled(self, method: str) -> tuple[CompiledLoss, CompiledMetrics]:
        if self._loss is None or self._metrics is None:
            raise ValueError(f"You must call `compile()` before calling `{method}()`.")
        return self._loss, self._metrics

    # Steps.

    def train_step(self, x: Array, y: Array | None, sample_weight: Array | None) -> float:
        """One update from one batch; gives its loss."""
        call = replace(_TRAINING, losses=[]) if self._collects else _TRAINING
        outputs, mask, vjp = self.outputs_and_mask(self.prepare_inputs(x), call)
        grads = Gradients()
        added = add_weight_penalties(self._regularized or (), grads) + sum(call.losses or ())
        value, loss_vjp = self._loss_of(y, outputs, sample_weight, mask, added)
        if self._trained and vjp is not None:
            vjp(loss_vjp(1.0, grads), grads)
            self.optimizer.apply(grads, self._trained)
        return value

    def test_step(self, x: Array, y: Array | None, sample_weight: Array | None) -> float:
        """The loss of one batch."""
        call = Call(losses=[]) if self._collects else _INFERENCE
        outputs, mask, _ = self.outputs_and_mask(self.prepare_inputs(x), call)
        if self._regularized is None:
            self._regularized = regularized(self.trainable_weights)
        added = sum(weight_penalties(self._regularized)) + sum(call.losses or ())
        compiled, _ = self._require_compiled("evaluate")
        true, pred = self._targets(y), self._single(outputs)
        loss = compiled.resolve(true, pred)
        value = loss.evaluate(true, pred, sample_weight=sample_weight, mask=mask)
        total = float(value) * compiled.weight + added
        return self._gathered(total, true, pred, sample_weight, mask)

    def _loss_of(
        self,
        y: Array | None,
        outputs: Any,
        sample_weight: Array | None,
        mask: Mask | None,
        added: float,
    ) -> tuple[float, Any]:
        compiled, _ = self._require_compiled("fit")
        true, pred = self._targets(y), self._single(outputs)
        loss = compiled.resolve(true, pred)
        value, vjp = loss.forward(true, pred, sample_weight=sample_weight, mask=mask)
        if np.ndim(value):
            raise ValueError(
                f"the loss {loss.name!r} gives one value per sample, for its `reduction` is "
                f"{loss.reduction!r}: training needs one number"
            )
        weight = compiled.weight
        result = self._gathered(float(value) * weight + added, true, pred, sample_weight, mask)
        if weight == 1.0:
            return result, vjp
        return result, lambda d_loss, grads: vjp(d_loss * weight, grads)

    def _gathered(
        self,
        value: float,
        true: Array,
        pred: Array,
        sample_weight: Array | None,
        mask: Mask | None,
    ) -> float:
        self._loss_mean.add(value, float(len(pred)))
        self._require_compiled("fit")[1].update(true, pred, sample_weight, mask)
        return value

    def _targets(self, y: Array | None) -> Array:
        if y is None:
            raise ValueError(f"the loss of the model {self.name!r} needs targets: `y` is None")
        return y

    def _single(self, outputs: Any) -> Array:
        if isinstance(outputs, tuple | list):
            raise NotImplementedError(
                f"the model {self.name!r} has {len(outputs)} outputs: losses for several outputs "
                "are not available yet"
            )
        return outputs  # type: ignore[no-any-return]

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

    # Training.

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Iterable[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> History:
        """Trains for `epochs` passes over `x` `[samples, ...]` and `y` `[samples, ...]`.

        `validation_split` takes that part of the samples from the end, before shuffling;
        `validation_data` is `(x, y)` or `(x, y, sample_weight)`. `sample_weight` is `[samples]` or
        one weight per step, `[samples, time]`; `class_weight` maps labels to weights. `verbose` is
        0 (silent), 1 or "auto" (a bar), 2 (a line per epoch).

        >>> import ferrnn as keras
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile("sgd", loss="mse")
        >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=3, verbose=0)
        >>> history.epoch, len(history.history["loss"])
        ([0, 1, 2], 3)
        """
        self._require_compiled("fit")
        epochs = checked_count(epochs, "epochs", least=0)
        initial_epoch = checked_count(initial_epoch, "initial_epoch", least=0)
        samples = Samples.of(x, y, sample_weight)
        samples.require_some("fit")
        validation = _validation_samples(validation_data)
        if validation_split and validation is None:
            samples, validation = split_off_last(samples, validation_split)
        batches = Batches(samples.weighted(class_weight), batch_size=batch_size, shuffle=shuffle)
        self._prepare_training(samples.x[: batches.batch_size])
        history = History()
        hooks = self._hooks(
            callbacks,
            history,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch or len(batches),
        )
        check = None
        if validation is not None:
            validation.require_some("fit")
            size = batch_size
            if validation_batch_size is not None:
                size = checked_count(validation_batch_size, "validation_batch_size")
            parts = Batches(validation, batch_size=size)
            check = Validation(parts, validation_steps, validation_freq, "validation_steps")
        EpochLoop(self, batches, hooks, steps_per_epoch, check).run(initial_epoch, epochs)
        return history

    def _prepare_training(self, first_batch: Array) -> None:
        """Builds the model and the optimizer's slots, before the first callback hears of it."""
        if not self.built:
            self.prepare_inputs(first_batch)
        key = (structure_version(), id(self.optimizer))
        if key == self._prepared:
            return
        weights = self.trainable_weights
        if not weights:
            warnings.warn("The model does not have any trainable weights.", stacklevel=3)
        elif self.optimizer is None:
            raise ValueError("`fit` needs an optimizer: `compile` received optimizer=None")
        else:
            self.optimizer.build(weights)
        self._trained = tuple(weights)
        self._regularized, self._collects = regularized(weights), self.adds_losses()
        self._prepared = (structure_version(), id(self.optimizer))

    def _prepare_testing(self) -> None:
        """Looks for what adds to the loss; weights may be made by the first batch only."""
        self._regularized, self._collects, self._prepared = None, self.adds_losses(), None

    def _hooks(
        self,
        callbacks: Iterable[Any] | None,
        history: History | None,
        *,
        verbose: str | int,
        epochs: int,
        steps: int,
    ) -> CallbackList:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2, received {verbose!r}")
        given = list(callbacks or ()) if isinstance(callbacks, Iterable | None) else [callbacks]
        added: list[Any] = [history] if history is not None else []
        if verbose:
            added.append(ProgbarLogger())
        params = {"verbose": verbose, "epochs": epochs, "steps": steps}
        return CallbackList([*given, *added], model=self, params=params)

    # Testing and predicting.

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or a list of it and the metrics, on `x` and `y`; a dict with `return_dict`."""
        self._require_compiled("evaluate")
        samples = Samples.of(x, y, sample_weight)
        samples.require_some("evaluate")
        self._prepare_testing()
        batches = Batches(samples, batch_size=batch_size)
        count = _count(steps, batches)
        hooks = self._hooks(callbacks, None, verbose=verbose, epochs=1, steps=count)
        return _returned(Validation(batches, steps).run(self, hooks), return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
    ) -> Any:
        """The outputs for `x` `[samples, ...]`, computed batch by batch, as plain arrays."""
        inputs = as_samples(x, "x")
        if inputs is None:
            raise ValueError("`x` must be an array of samples, received None")
        size = 32 if batch_size is None else batch_size
        if verbose == 0 and not callbacks and steps is None and len(inputs) <= size:
            return self.predict_on_batch(inputs)
        batches = Batches(Samples(inputs), batch_size=size)
        count = _count(steps, batches)
        hooks = self._hooks(callbacks, None, verbose=verbose, epochs=1, steps=count)
        hooks.tell("on_predict_begin", {})
        results = []
        for step, (part, _, _) in zip(range(count), batches, strict=False):
            hooks.tell("on_predict_batch_begin", step, {})
            results.append(self.predict_on_batch(part))
            hooks.tell("on_predict_batch_end", step, {"outputs": results[-1]})
        hooks.tell("on_predict_end", {})
        return _joined(results) if results else self.predict_on_batch(inputs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch `x` `[batch, ...]`, as plain arrays."""
        inputs = self.prepare_inputs(x)
        outputs, _, _ = self.outputs_and_mask(inputs, _INFERENCE)
        if isinstance(outputs, np.ndarray) and np.may_share_memory(outputs, inputs):
            return outputs.copy()  # a model that passes its inputs through must not hand them out
        return outputs

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update from one batch `x` `[batch, ...]`, `y` `[batch, ...]`; gives loss and metrics.

        As in Keras they are gathered over calls, until `reset_metrics` is called: call it before
        each batch to see the values of that batch alone.

        >>> import ferrnn as keras
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", loss="mse")
        >>> model.train_on_batch(np.ones((1, 2)), np.array([4.0]))
        16.0
        >>> model.reset_metrics()
        """
        self._require_compiled("train_on_batch")
        batch = Samples.of(x, y, sample_weight).weighted(class_weight)
        batch.require_some("train_on_batch")
        self._prepare_training(batch.x)
        self.train_step(batch.x, batch.y, batch.sample_weight)
        return _returned(self.metrics_result(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch, gathered since `reset_metrics` as by `train_on_batch`."""
        self._require_compiled("test_on_batch")
        batch = Samples.of(x, y, sample_weight)
        batch.require_some("test_on_batch")
        self._prepare_testing()
        self.test_step(batch.x, batch.y, batch.sample_weight)
        return _returned(self.metrics_result(), return_dict)


def _validation_samples(data: Sequence[Any] | None) -> Samples | None:
    if data is None:
        return None
    if not isinstance(data, tuple | list) or not 2 <= len(data) <= 3:
        raise ValueError(
            "`validation_data` must be a tuple (x, y) or (x, y, sample_weight), "
            f"received {type(data).__name__}"
        )
    return Samples.of(*data)


def _count(steps: int | None, batches: Batches) -> int:
    """The number of batches that are used: all unless `steps` says fewer."""
    return len(batches) if steps is None else min(checked_count(steps, "steps"), len(batches))


def _returned(logs: dict[str, float], return_dict: bool) -> Any:
    values = list(logs.values())
    return logs if return_dict else values if len(values) > 1 else values[0]


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple | list):
        return type(parts[0])(_joined(list(column)) for column in zip(*parts, strict=True))
    return np.concatenate(parts)
