"""`compile`, `fit`, `evaluate` and `predict`, for any differentiable model."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ferrnn._src.configs.caps import capped
from ferrnn._src.faces import later
from ferrnn._src.training import optimizers, predicting
from ferrnn._src.training.batches import (
    Batches,
    GivenBatches,
    Source,
    gives_batches,
    source_of,
    validation_source,
)
from ferrnn._src.training.callback_list import hooks_of, listed
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.compiled import CompiledLoss
from ferrnn._src.training.compiled_metrics import CompiledMetrics
from ferrnn._src.training.ending import Ending, refuse_endless
from ferrnn._src.training.measuring import CompileMetrics
from ferrnn._src.training.metrics import Mean
from ferrnn._src.training.on_batch import OnBatch
from ferrnn._src.training.planning import PlanKeeper
from ferrnn._src.training.samples import Samples, checked_count, checked_inputs, split_off_last
from ferrnn._src.training.work import Work, finished

if TYPE_CHECKING:
    from ferrnn._src.training import loop as loops
    from ferrnn._src.training import validation as validations
    from ferrnn._src.training.resuming import keeper, place
else:
    loops = later("ferrnn._src.training.loop")
    keeper = later("ferrnn._src.training.resuming.keeper")
    place = later("ferrnn._src.training.resuming.place")
    validations = later("ferrnn._src.training.validation")


class Trainer(OnBatch):
    """Training for any class with `outputs_and_mask`, `prepare_inputs` and `trainable_weights`."""

    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False
    steps_per_execution: int = 1
    _initial_epoch: int = 0
    history: History | None = None

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
        """Configures training: optimizer, loss and metrics, by name or as objects.

        Hooks of callbacks are called once for `steps_per_execution` batches. With `run_eagerly`,
        there are no plans: Python runs each layer and all code of users in each step. `jit_compile`
        and `auto_scale_loss` are accepted for compatibility and have no effect.

        >>> from ferrnn._src.models.sequential import Sequential
        >>> model = Sequential()
        >>> model.compile("adam", loss="mse", metrics=["mae"])
        >>> float(model.optimizer.learning_rate)
        0.001
        """
        self.steps_per_execution = checked_count(steps_per_execution, "steps_per_execution")
        self.optimizer = optimizers.get(optimizer)
        self._loss = CompiledLoss(loss, loss_weights)
        self._metrics = CompiledMetrics(metrics, weighted_metrics)
        self._loss_mean, self._loss_means = Mean(name="loss"), []
        self._compile_metrics = CompileMetrics(self, self._metrics)
        self._compile_config = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self._prepared, self._own_logs, self._plans = None, None, PlanKeeper()
        self.loss = loss
        self.run_eagerly, self.jit_compile = run_eagerly, jit_compile
        self.stop_training = False

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
        validation_data: Any = None,
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

        Both may be arrays, frames, or lists and dicts of them by the names of inputs and outputs;
        or `x` yields batches `(x, y)` or `(x, y, sample_weight)`: a generator, a `PyDataset`, any
        object that can be iterated repeatedly.

        `validation_split` takes that part of the samples from the end, before shuffling;
        `validation_data` is `(x, y)`, `(x, y, sample_weight)` or yields batches. `sample_weight` is
        `[samples]` or one weight per step, `[samples, time]`; `class_weight` maps labels to
        weights, for class numbers (of samples or of steps) and one-hot targets. `verbose` is 0
        (silent), 1 or "auto" (a bar), 2 (a line per epoch).

        >>> import ferrnn as keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile("sgd", loss="mse")
        >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=3, verbose=0)
        >>> history.epoch, len(history.history["loss"])
        ([0, 1, 2], 3)
        """
        turns = self.training_turns(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )
        return finished(turns)

    def training_turns(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Iterable[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> Generator[Work, None, History]:
        """As `fit`, but yields its work for the caller to do, with that of other models."""
        self._require_compiled("fit")
        epochs = capped("epochs", checked_count(epochs, "epochs", least=0)) or 0
        steps_per_epoch = capped("steps_per_epoch", steps_per_epoch)
        initial_epoch = checked_count(initial_epoch, "initial_epoch", least=0)
        if validation_split and validation_data is None:
            if gives_batches(x):
                raise ValueError(
                    "`validation_split` is only supported for tensors or NumPy arrays, received "
                    f"`x` of type {type(x).__name__}"
                )
            samples, validation_data = split_off_last(
                Samples.of(x, y, sample_weight), validation_split
            )
            x, y, sample_weight = samples.arrays
        source = source_of(
            x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, class_weight=class_weight
        )
        callbacks = listed(callbacks)
        kept = any(isinstance(each, keeper.Keeper) for each in callbacks)
        at = place.Place(source) if kept else None  # before the first batch is used
        self._prepare_training(source)
        if class_weight is not None:
            source.weigh(class_weight, self._shape_of_outputs)
        history = History()
        steps = steps_per_epoch or source.count
        hooks = hooks_of(self, callbacks, history, verbose=verbose, epochs=epochs, steps=steps)
        check = None
        if validation_data is not None:
            size = batch_size
            if validation_batch_size is not None:
                size = checked_count(validation_batch_size, "validation_batch_size")
            parts = validation_source(validation_data, size)
            check = validations.Validation(
                parts, validation_steps, validation_freq, "validation_steps"
            )
        loop = loops.EpochLoop(self, source, hooks, steps_per_epoch, check, at)
        yield from loop.turns(initial_epoch, epochs)
        self._plans = PlanKeeper()  # so that others can use its memory
        return history

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
        """The loss, or a list of it and the metrics, on `x` and `y`; a dict with `return_dict`.

        The list has the loss, the losses of several outputs, then metrics in the order of
        `compile`; those of several outputs by their names.
        """
        self._require_compiled("evaluate")
        source = source_of(x, y, sample_weight, batch_size=batch_size, purpose="evaluate")
        self._prepare_testing()
        check = validations.Validation(source, capped("steps_per_epoch", steps))
        hooks = hooks_of(self, callbacks, None, verbose=verbose, epochs=1, steps=check.steps)
        return self._told(check.run(self, hooks), return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
    ) -> Any:
        """The outputs for `x` `[samples, ...]`, computed batch by batch, as plain arrays."""
        if gives_batches(x):
            source: Source = GivenBatches(x, "x")
            inputs = None
        else:
            inputs = checked_inputs(x)
            samples = Samples(inputs)
            samples.check_cardinality()
            size = 32 if batch_size is None else batch_size
            if verbose == 0 and not callbacks and steps is None and samples.count <= size:
                return self.predict_on_batch(inputs)
            source = Batches(samples, batch_size=size)
        return self._predict_batches(source, inputs, steps, callbacks, verbose)

    def _predict_batches(
        self, source: Source, inputs: Any, steps: int | None, callbacks: Any, verbose: Any
    ) -> Any:
        count, steps = source.count, capped("steps_per_epoch", steps)
        refuse_endless(source, "steps", steps)
        if steps is not None:
            steps = checked_count(steps, "steps")
            count = steps if count is None else min(steps, count)
        hooks = hooks_of(self, callbacks, None, verbose=verbose, epochs=1, steps=count)
        hooks.tell("on_predict_begin", {})
        self.stop_predicting = False
        results, done = predicting.predicted(self, source, hooks, count)
        hooks.tell("on_predict_end", {})
        if results or inputs is None:
            if not self.stop_predicting:
                Ending(source, "steps", steps).note(done, filled=bool(results))
            return predicting.joined(results)
        return self.predict_on_batch(inputs)

    def predicting_plan(self, batches: int) -> Any:
        """The plan for computing that many batches, or None."""
        return None
