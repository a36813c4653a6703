"""Training, testing and predicting batch by batch, and what comes before the first batch."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.batches import Source
from ferrnn._src.training.measuring import LOGGING
from ferrnn._src.training.samples import Batch, Samples
from ferrnn._src.training.steps import Steps
from ferrnn._src.training.work import finished
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.weights.parameter import structure_version
from ferrnn._src.weights.penalties import regularized

# The methods that say what a step is, and what it gives.
_methods_of = operator.attrgetter("train_step", "test_step", *LOGGING)
_OURS = _methods_of(Steps)


class OnBatch(Steps):
    """The part of `Trainer` for batches that the user gives one by one."""

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch `x` `[batch, ...]`, as plain arrays."""
        return self.run_predict_step(x)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Trains on one batch `x` `[batch, ...]`, `y` `[batch, ...]`; returns loss and metrics.

        These cover only this batch: metrics are reset at each call.

        >>> import ferrnn as keras
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", loss="mse")
        >>> model.train_on_batch(np.ones((1, 2)), np.array([4.0]))
        16.0
        """
        if class_weight is None and self._taken_again((x, y, sample_weight), trains=True):
            return self._returned(return_dict, by_sums=True)
        self._require_compiled("train_on_batch")
        batch = Samples.of_batch(x, y, sample_weight)
        batch.require_some("train_on_batch")
        self._prepare_training(batch.x, fresh=False)
        if class_weight is not None:
            batch = batch.weighted(class_weight, self._shape_of_outputs)
        self.reset_metrics()
        finished(self.train_turn(batch.arrays))
        return self._returned(return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch only, as in `train_on_batch`."""
        if self._taken_again((x, y, sample_weight), trains=False):
            return self._returned(return_dict, by_sums=True)
        self._require_compiled("test_on_batch")
        batch = Samples.of_batch(x, y, sample_weight)
        batch.require_some("test_on_batch")
        self._prepare_testing()
        self.reset_metrics()
        finished(self.test_turn(batch.arrays))
        return self._returned(return_dict)

    def _taken_again(self, batch: Batch, trains: bool) -> bool:
        """Takes a batch like one before in one call of the engine, if nothing else has changed."""
        if self._loss is None or _methods_of(type(self)) != _OURS or self._held_metrics():
            return False
        plan = self.training_plan() if trains else self.testing_plan(1)
        self._own_logs = None
        return plan is not None and plan.again(batch, trains, anew=True) is not None

    def _returned(self, return_dict: bool, by_sums: bool = False) -> Any:
        """Loss and metrics in the form in which they are returned."""
        values = self._sums_in_order() if by_sums and not return_dict else None
        if values is None:
            return self._told(self.metrics_result(), return_dict)
        return values if len(values) > 1 else values[0]

    def _told(self, logs: dict[str, Any], return_dict: bool) -> Any:
        """Logs, or their values in order."""
        if return_dict:
            return logs
        if len(logs) == 1:
            return next(iter(logs.values()))
        values = self._values_in_order(logs)
        return values if len(values) > 1 else values[0]

    # Preparing.

    def _prepare_training(self, source: Source | Any, *, fresh: bool = True) -> None:
        """Builds the model and the optimizer's slots, before the first callback is called.

        With `fresh`, the plan of a model is made anew.
        """
        if not self.built:
            self._make_weights(source.first() if isinstance(source, Source) else source)
        key = (structure_version(), id(self.optimizer))
        if key == self._prepared:
            if fresh:
                self.training_plan(fresh=True)
            return
        weights = self.trainable_weights
        if not weights:
            warn("The model does not have any trainable weights.")
        elif self.optimizer is None:
            raise ValueError("`fit` requires an optimizer, but `compile` received optimizer=None")
        else:
            self.optimizer.build(weights)
        self._trained = tuple(weights)
        self._regularized, self._collects = regularized(weights), self.adds_losses()
        self._prepared = (structure_version(), id(self.optimizer))
        self.training_plan(fresh=True)

    def _make_weights(self, first_inputs: Any) -> None:
        """Makes all weights, by a call on the inputs of one batch."""
        self.prepare_inputs(first_inputs)

    def _shape_of_outputs(self, inputs: Any) -> Any:
        """The shape of the outputs for a batch of inputs, from `compute_output_shape`."""
        return self.compute_output_shape(map_structure(np.shape, inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of the given shape."""
        raise NotImplementedError(f"{type(self).__name__} must define `compute_output_shape`")

    def _prepare_testing(self) -> None:
        """Finds what adds to the loss; some weights may be made only by the first batch."""
        if self._prepared == (structure_version(), id(self.optimizer)):
            return
        self._regularized, self._collects, self._prepared = None, self.adds_losses(), None
