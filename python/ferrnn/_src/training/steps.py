"""One batch of training, testing or predicting, for any differentiable model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import PLAIN_CALLS, Call, Vjp
from ferrnn._src.layer.masked import carried_mask, with_masks
from ferrnn._src.layer.signatures import parameters_of
from ferrnn._src.programs.lowering import switched_off
from ferrnn._src.symbolic import tracing
from ferrnn._src.training.batches import unpack_batch
from ferrnn._src.training.compiled import CompiledLoss
from ferrnn._src.training.judges import Judges
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.training.measuring import Columns, Measuring, batch_size
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.plan_parts import Lowering, Node, PlanReport, explained
from ferrnn._src.training.planning import PlanKeeper, TrainingPlan
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import Turn, finished
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter, structure_version
from ferrnn._src.weights.penalties import penalties_on, regularized

_TRAINING = Call(training=True, differentiable=True, inputs_need_gradient=False, consume=True)


class Steps(Measuring):
    """Steps on one batch, for a model that defines `outputs_and_mask` and `prepare_inputs`."""

    name: str
    built: bool
    optimizer: Any = None
    run_eagerly: bool = False
    _trained: tuple[Parameter, ...] = ()
    _prepared: tuple[int, int] | None = None  # for which weights and optimizer `_trained` holds
    _regularized: tuple[Parameter, ...] | None = None
    _collects: bool = False
    _plans: PlanKeeper

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

    # Steps of a user's own, or the ones here.

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from a batch `(x, y, sample_weight)`; returns the logs.

        A subclass may write its own, with `value_and_gradients` and `optimizer.apply`.
        """
        finished(self._train(unpack_batch(data)))
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """The loss and metrics of a batch `(x, y, sample_weight)`; gives the logs."""
        finished(self._test(unpack_batch(data)))
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch `(x,)`."""
        return self._predict(unpack_batch(data)[0])

    def train_turn(self, batch: Batch) -> Turn:
        """One update, by the user's `train_step` if there is one; returns the loss."""
        if type(self).train_step is Steps.train_step:
            return (yield from self._train(batch))
        return self._logged(self.train_step(_given(batch)))

    def test_turn(self, batch: Batch) -> Turn:
        """The loss of a batch, by an own `test_step` if there is one."""
        if type(self).test_step is Steps.test_step:
            return (yield from self._test(batch))
        return self._logged(self.test_step(_given(batch)))

    def run_predict_step(self, x: Any) -> Any:
        """The outputs for a batch, by an own `predict_step` if there is one."""
        if type(self).predict_step is Steps.predict_step:
            return self._predict(x)
        return self.predict_step(x)

    def value_and_gradients(self, function: Callable[[], Any]) -> tuple[Any, Gradients]:
        """`function()` and the gradients of the model's trainable weights, for `apply`.

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

    def explain_plan(self) -> PlanReport:
        """Which parts of a training step run in the engine, and why others do not.

        A built and compiled model is lowered to a plan: forward, backward and optimizer are one
        call, and so are many steps if the engine knows losses, metrics and regularizers of weights
        too. A layer that the engine does not know is handed back to Python in its place, a loss or
        metric is computed in Python between two calls; both are listed. If something does not fit
        into a plan, `fit` runs layer by layer, with the same results.

        >>> import ferrnn as keras
        >>> model = keras.Sequential([keras.Input((4, 2)), keras.layers.GRU(3, name="gru")])
        >>> model.compile(keras.optimizers.SGD(name="sgd"), loss="mse")
        >>> model.explain_plan()
        gru  the engine
        sgd  the engine
        """
        lowering = self.lowered()
        return PlanReport([*explained(self, lowering), *Judges(self, lowering).explained()])

    def lowered(self) -> Lowering:
        """The model as parts of the engine, as far as it can be."""
        return Lowering([Node(self.name, f"{type(self).__name__} is written as code")])

    def training_plan(self, fresh: bool = False) -> TrainingPlan | None:
        """The model's plan, or None if a part cannot be in one; `fresh` makes it anew."""
        prepared, kept = (structure_version(), id(self.optimizer)), self._plans
        if kept.prepared == prepared and not (fresh or self.run_eagerly) and kept.holds():
            return kept.plan
        own = type(self).train_step is not Steps.train_step or switched_off() or self.run_eagerly
        if own or not self._trained or not self._still_prepared(prepared):
            return None
        lowering = Lowering() if kept.given_up else self.lowered()
        if not lowering.covered or any(node.why for node in explained(self, lowering)):
            kept.plan = None
        elif kept.plan is None or kept.prepared != prepared or not kept.plan.runs(lowering):
            kept.plan = TrainingPlan(self, lowering, kept.shared)
        else:
            kept.plan.lowering.watched = lowering.watched
        kept.prepared = prepared
        return kept.plan

    def testing_plan(self, batches: int) -> TestingPlan | None:
        """The plan for evaluating that many batches, or None."""
        plan = self.training_plan()
        return None if plan is None or plan.lowering.only_trains else plan

    def arranged_inputs(self, x: Any) -> Sequence[Any] | None:
        """What stands for each input, None where that is better said elsewhere."""
        return [x]

    def _still_prepared(self, now: tuple[int, int]) -> bool:
        """Whether training is of what it was prepared for; what was made since may be another's."""
        if self._prepared == now:
            return True
        if self._prepared is None or self._prepared[1] != now[1]:
            return False
        weights = tuple(self.trainable_weights)
        same = weights == self._trained and regularized(weights) == self._regularized
        if not same or self.adds_losses() != self._collects:
            return False
        self._prepared = now
        return True

    def _train(self, batch: Batch) -> Turn:
        plan = self.training_plan()
        if plan is not None:
            planned = plan.again(batch, trains=True) if plan.alone else None
            if planned is None:
                planned = yield from plan.step(batch)
            if planned is not None:
                return planned
        value, grads = self.loss_and_gradients(batch)
        if grads is not None:
            self._update(grads)
        return value

    def _update(self, grads: Gradients) -> None:
        """Lets the optimizer update the weights."""
        if getattr(self.optimizer, "loss_scale_factor", None) is not None:
            grads = grads.times(self.optimizer.loss_scale_factor)  # as of the scaled loss
        self.optimizer.apply(grads, self._trained)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, Gradients | None]:
        """The loss of a batch and its gradients, penalties included; for a prepared model.

        Nothing is updated but metrics. There are no gradients where nothing can be trained.
        """
        x, y, weight = batch
        call = replace(_TRAINING, losses=[]) if self._collects else _TRAINING
        outputs, mask, vjp = self.outputs_and_mask(self.prepare_inputs(x), call)
        grads = Gradients()
        penalties, add_gradients = penalties_on(self._regularized or ())
        value, loss_vjp = self._loss_of(batch, outputs, mask, penalties + sum(call.losses or ()))
        # Metrics come next to the loss, whose code and data are in the cache.
        self._measure(x, y, outputs, weight, mask)
        if not self._trained or vjp is None:
            return value, None
        vjp(loss_vjp(grads), grads)
        add_gradients(grads)
        return value, grads

    def _test(self, batch: Batch) -> Turn:
        plan = self.testing_plan(1)
        planned = None if plan is None else (yield from plan.test(batch))
        if planned is not None:
            return planned
        call = Call(losses=[]) if self._collects else PLAIN_CALLS[False]
        outputs, mask, _ = self.outputs_and_mask(self.prepare_inputs(batch[0]), call)
        return self._tested(batch, outputs, mask, call.losses or ())

    def _tested(self, batch: Batch, outputs: Any, mask: Any, losses: Sequence[float]) -> float:
        """The loss of a batch by its outputs and by what layers have added."""
        x, y, weight = batch
        if self._regularized is None:
            self._regularized = regularized(self.trainable_weights)
        added = penalties_on(self._regularized)[0] + sum(losses)
        if type(self).compute_loss is not Steps.compute_loss:
            preds = with_masks(outputs, mask)
            value = float(self._as_written(x, y, preds, weight, training=False))
        else:
            value = self._data_loss(y, outputs, weight, mask) + added
        self._loss_mean.add(value, float(batch_size(outputs)))
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
        mask = carried_mask(y_pred)
        added = sum(self.losses)  # type: ignore[attr-defined]
        if tracing.current.get() is None:
            return self._data_loss(y, y_pred, sample_weight, mask) + added

        def forward(pred: Any) -> tuple[Any, Vjp]:
            value, vjp = self._forward_loss(y, pred, sample_weight, mask)

            def back(d_loss: Any, grads: Gradients) -> Any:
                return pack_like(pred, vjp(float(d_loss), grads))

            return np.asarray(value), back

        return tracing.record(forward, y_pred) + added

    def _data_loss(self, y: Any, outputs: Any, weight: Any, mask: Any) -> float:
        compiled, columns = self._bound_loss("evaluate", y, outputs, weight, mask)
        value, parts = compiled.evaluate(*columns)
        self._gather(compiled, parts, columns[1])
        return value

    def _forward_loss(
        self, y: Any, outputs: Any, weight: Any, mask: Any
    ) -> tuple[float, Callable[[float, Gradients], list[Any]]]:
        compiled, columns = self._bound_loss("fit", y, outputs, weight, mask)
        value, parts, vjp = compiled.forward(*columns)
        self._gather(compiled, parts, columns[1])
        return value, vjp

    def _bound_loss(
        self, method: str, y: Any, outputs: Any, weight: Any, mask: Any
    ) -> tuple[CompiledLoss, Columns]:
        """The loss, which knows the outputs' names now, and what it takes for each output."""
        compiled = self._require_compiled(method)[0]
        columns = self._columns(y, outputs, weight, mask)
        named = isinstance(outputs, Mapping) or len(self.output_names) == len(columns[1])
        names, required = self._names(outputs, columns[1]), not self._collects
        compiled.bind(names, outputs, required=required, named=named)
        self._require_targets(compiled, columns[0])
        return compiled, columns

    def _loss_of(
        self, batch: Batch, outputs: Any, mask: Any, added: float
    ) -> tuple[float, Callable[[Gradients], Any]]:
        """The loss of a batch and `vjp(grads) -> d_outputs`."""
        x, y, weight = batch
        if type(self).compute_loss is not Steps.compute_loss:
            value, own_vjp = self._own_loss(x, y, with_masks(outputs, mask), weight)
            self._loss_mean.add(value, float(batch_size(outputs)))
            return value, lambda grads: own_vjp(np.asarray(1.0), grads)
        only = None if self._loss is None else self._loss.only
        if only is not None and type(outputs) is type(y) is np.ndarray:
            part, only_vjp = only.forward(y, outputs, sample_weight=weight, mask=mask)
            value = float(part) + added
            self._loss_mean.add(value, float(len(outputs)))
            return value, lambda grads: only_vjp(1.0, grads)
        value, vjp = self._forward_loss(y, outputs, weight, mask)
        value += added
        self._loss_mean.add(value, float(batch_size(outputs)))
        if type(outputs) is np.ndarray and not self._collects:
            return value, lambda grads: vjp(1.0, grads)[0]

        def d_outputs(grads: Gradients) -> Any:
            leaves = vjp(1.0, grads)
            if self._collects:  # layers that add losses want to be reached all the same
                pairs = zip(leaves, flatten(outputs), strict=True)
                leaves = [np.zeros_like(pred) if d is None else d for d, pred in pairs]
            return pack_like(outputs, leaves)

        return value, d_outputs

    def _as_written(self, x: Any, y: Any, preds: Any, weight: Any, *, training: bool) -> Any:
        """What a subclass's `compute_loss` gives, which may know nothing of `training`."""
        known, takes_any = parameters_of(type(self).compute_loss)
        options = {"training": training} if takes_any or "training" in known else {}
        return self.compute_loss(x, y, preds, weight, **options)

    def _own_loss(self, x: Any, y: Any, outputs: Any, weight: Any) -> tuple[float, Any]:
        """The value and the vjp of a `compute_loss` that a subclass wrote."""
        value, vjp = tracing.differentiate(
            lambda preds: self._as_written(x, y, preds, weight, training=True), outputs
        )
        return float(value), vjp

    def _require_targets(self, compiled: CompiledLoss, trues: Sequence[Any]) -> None:
        for at in compiled.needed:
            if trues[at] is None:
                which = "" if len(trues) == 1 else f" for the output {(compiled.names or [])[at]!r}"
                raise ValueError(
                    f"the loss of the model {self.name!r} needs targets{which}: `y` is None"
                )


def _given(batch: Batch) -> Any:
    """A batch as an own step unpacks it: without what was not given."""
    x, y, weight = batch
    return (x, y) if weight is None else (x, y, weight)


def _own(array: Any, given: Sequence[Array]) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    shared = any(np.may_share_memory(array, each) for each in given)
    return np.array(array) if shared else np.asarray(array)
