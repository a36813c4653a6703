"""The base of all optimizers: clipping, weight decay, averages, and `apply`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.names import snake_case, unique_name
from ferrnn._src.configs.notices import warn, warn_of_no_gradient
from ferrnn._src.configs.objects import Configured, written
from ferrnn._src.training.optimizers.ahead import Ahead
from ferrnn._src.training.optimizers.arguments import check_accumulation, check_averages, paired
from ferrnn._src.training.optimizers.clipping import Clipping
from ferrnn._src.training.optimizers.learning_rate import WithLearningRate
from ferrnn._src.training.optimizers.setting import Setting
from ferrnn._src.training.optimizers.state import OwnVariables, State
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter, WritingAll

# Weights, their gradients, a factor for each, and the share of a weight that decays.
Part: TypeAlias = tuple[Sequence[Parameter], list[Array], "list[float] | None", "float | None"]


class Optimizer(Ahead, WithLearningRate, OwnVariables, Configured):
    """The base of optimizers: a subclass names its slots and writes `update`.

    A slot is an array per weight, such as a momentum, and starts at zero. In one `apply`:
    gradients are divided by `loss_scale_factor`, gathered until there are
    `gradient_accumulation_steps` of them, clipped; weights decay
    (`w -= learning_rate * weight_decay * w`); `update` runs for each weight; moving averages of the
    weights are kept (`use_ema`: `average = ema_momentum * average + (1 - ema_momentum) * w`, which
    replace the weights every `ema_overwrite_frequency` updates and at the end of `fit`); then
    constraints. `clipnorm` bounds the norm of each gradient, `global_clipnorm` that of all
    together, `clipvalue` each entry.

    >>> class Halving(Optimizer):
    ...     def update(self, weight, gradient, slots, scratch, learning_rate):
    ...         weight *= 0.5
    >>> weight, grads = Parameter([4.0], "weight"), Gradients()
    >>> grads.add(weight, np.ones(1))
    >>> Halving(0.1).apply(grads, [weight])
    >>> weight.numpy().tolist()
    [2.0]

    Optimizers written for Keras (`build`, `add_variable_from_reference`, `update_step`) work too.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if unknown.pop("decay", None) is not None:
            warn("Argument `decay` is no longer supported and will be ignored.")
        if unknown:
            raise ValueError(f"Argument(s) not recognized: {unknown}")
        check_averages(use_ema, ema_momentum, ema_overwrite_frequency)
        check_accumulation(gradient_accumulation_steps)
        self._clipping = Clipping(clipnorm, clipvalue, global_clipnorm)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.weight_decay = weight_decay
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._iterations = Setting(0, "iteration", path=f"{self.name}/iteration", dtype=np.int64)
        self._learning_rate = self._rate(learning_rate)
        self.built = False
        accumulates = bool(gradient_accumulation_steps)
        self._state = State(self.name, use_ema=use_ema, accumulates=accumulates)
        self._step = 1  # the number of the update, from 1
        self._scratch: dict[Parameter, Array] = {}
        self._spared: tuple[frozenset[Parameter], re.Pattern[str] | None] = (frozenset(), None)
        self._seen: Sequence[Parameter] = ()
        self._column: tuple[Sequence[Parameter], list[Parameter]] = ((), [])
        self._warned = False

    # The number of updates.

    @property
    def iterations(self) -> Any:
        """The number of updates done; calls of `apply`, unless gradients are accumulated."""
        steps = self.gradient_accumulation_steps
        return self._iterations.item() // steps if steps else self._iterations

    # Slots.

    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots of each weight, in the order in which `update` gets them."""
        return ()

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        """The groups of slots in the order of files: one group of all weights, then the next."""
        return [self.slot_names()]

    def _slot_starts(self) -> Mapping[str, float]:
        """The initial values of slots that do not start from zero."""
        return {}

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the slots for these weights."""
        if self.built:
            self._check_known(variables)
            return
        self._state.build(variables, self._slot_groups(), self._slot_starts())
        self.built = True

    def _check_known(self, variables: Iterable[Parameter]) -> None:
        for variable in variables:
            if variable not in self._state.index:
                raise ValueError(
                    f"Unknown variable: {variable!r}. This optimizer can only be called for the "
                    "variables it was originally built with. When working with a new set of "
                    "variables, you should recreate a new optimizer instance."
                )

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Parameter] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Excludes weights from decay: those listed, and those with names that `var_names` match.

        Called before the optimizer is built.

        >>> from ferrnn.optimizers import AdamW
        >>> AdamW().exclude_from_weight_decay(var_names=["bias"])
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is "
                "built."
            )
        words = sorted(var_names or ())
        self._spared = (frozenset(var_list or ()), re.compile("|".join(words)) if words else None)

    def _decays(self, variable: Parameter) -> bool:
        listed, words = self._spared
        return variable not in listed and not (words and words.search(variable.name))

    # Updating.

    def apply(
        self,
        grads: Gradients | Sequence[Array | None],
        trainable_variables: Iterable[Parameter] | None = None,
    ) -> None:
        """Updates the weights by their gradients; by default those it was built with.

        `grads` are `Gradients`, or arrays (None: no gradient) in the order of the weights. What
        belongs to weights that are not to be updated is left aside.
        """
        if not isinstance(grads, Gradients) and not len(grads):
            return
        variables = self._checked(grads, trainable_variables)
        if not isinstance(grads, Gradients):
            grads = paired(grads, variables)
        gradients = grads.of(variables)
        if gradients is None:
            variables = self._with_gradient(variables, grads)
            gradients = [grads[variable] for variable in variables]
        if self.loss_scale_factor is not None:
            gradients = [np.asarray(each / self.loss_scale_factor) for each in gradients]
        count, steps = self._iterations.item(), self.gradient_accumulation_steps
        if steps and (count + 1) % steps:
            self._state.gather(variables, gradients)
        else:
            if steps:
                gradients = self._state.take(variables, gradients, steps)
            self._step = count // (steps or 1) + 1
            given = self._learning_rate
            rate = given.item() if type(given) is Setting else float(self.learning_rate)
            self._update_all(variables, *self._clipping.applied(gradients), rate)
        if self.use_ema:
            self._average(count // (steps or 1))
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        self._iterations.put(count + 1)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Array | None, Parameter]]) -> Setting:
        """Updates weights from pairs of gradient and weight; returns the number of updates."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        self.apply(gradients, variables)
        return self._iterations

    def _checked(self, grads: Any, variables: Iterable[Parameter] | None) -> Sequence[Parameter]:
        """The weights as a sequence known to the optimizer; a tuple seen before is not checked."""
        if variables is None:
            if not self.built:
                if not isinstance(grads, Gradients):
                    raise ValueError(
                        "When passing `grads` without `variables`, the optimizer must already be "
                        "built on a list of variables. Call `optimizer.build(variables)` first."
                    )
                self.build(list(grads))
            return self._state.weights
        if variables is self._seen:
            return self._seen
        checked = tuple(variables)
        self.build(checked)
        if isinstance(variables, tuple):
            self._seen = checked
        return checked

    def _with_gradient(self, variables: Sequence[Parameter], grads: Gradients) -> list[Parameter]:
        """The weights that have a gradient; warns once about the others."""
        found = [variable for variable in variables if variable in grads]
        if not found:
            raise ValueError("No gradients provided for any variable.")
        if not self._warned:
            self._warned = True
            warn_of_no_gradient([variable for variable in variables if variable not in grads])
        return found

    def _in_engine(self) -> bool:
        """Whether `_update_part` can replace `update`."""
        return False

    def _update_part(self, part: Part, rate: float) -> None:
        """Updates weights in one call of the engine."""
        raise NotImplementedError

    def _with_slots(self, variables: Sequence[Parameter]) -> list[Parameter]:
        """The weights, then the first slots of all, then the second; cached for the next update."""
        if variables is not self._column[0]:
            kinds = zip(*(self._state.slots[variable] for variable in variables), strict=True)
            column = [*variables, *(slot for kind in kinds for slot in kind)]
            self._column = (variables, column)
        return self._column[1]

    def _update_all(
        self,
        variables: Sequence[Parameter],
        gradients: list[Array],
        scales: list[float] | None,
        rate: float,
    ) -> None:
        """Updates all weights; `scales` clip the gradients."""
        parts = self._parts(variables, gradients, scales, rate)
        if self._in_engine():
            for part in parts:
                self._update_part(part, rate)
            return
        by_step = type(self).update_step is not Optimizer.update_step
        for weights, slopes, factors, decay in parts:
            for at, (weight, slope) in enumerate(zip(weights, slopes, strict=True)):
                gradient = slope if factors is None else np.asarray(slope * factors[at])
                if by_step:
                    if decay is not None:
                        weight.assign_sub(weight.value * decay)
                    self.update_step(gradient, weight, rate)
                else:
                    self._update_one(weight, np.asarray(gradient), decay, rate)

    def _parts(
        self,
        variables: Sequence[Parameter],
        gradients: list[Array],
        scales: list[float] | None,
        rate: float,
    ) -> Iterator[Part]:
        """The weights that decay, and those that do not."""
        if self.weight_decay is None:
            yield variables, gradients, scales, None
            return
        decay = rate * self.weight_decay
        if self._spared == (frozenset(), None):
            yield variables, gradients, scales, decay
            return
        decays = [self._decays(variable) for variable in variables]
        for wanted in (True, False):
            places = [at for at, found in enumerate(decays) if found is wanted]
            yield (
                [variables[at] for at in places],
                [gradients[at] for at in places],
                None if scales is None else [scales[at] for at in places],
                decay if wanted else None,
            )

    def _update_one(
        self, variable: Parameter, gradient: Array, decay: float | None, rate: float
    ) -> None:
        scratch = self._scratch.get(variable)
        if scratch is None:
            scratch = self._scratch[variable] = self._scratch_for(variable)
        with WritingAll([variable, *self._state.slots[variable]]) as (weight, *slots):
            if decay is not None:
                np.multiply(weight, decay, out=scratch)
                np.subtract(weight, scratch, out=weight)
            self.update(weight, gradient, tuple(slots), scratch, rate)

    def _scratch_for(self, variable: Parameter) -> Array:
        """A part of one buffer for all weights of a dtype, which are updated in turn."""
        known = (each for each in self._scratch.values() if each.dtype == variable.dtype)
        buffer = next((each.base for each in known if each.base is not None), None)
        if buffer is None or buffer.size < variable.size:
            alike = (each.size for each in self._state.weights if each.dtype == variable.dtype)
            buffer = np.empty(max(alike), variable.dtype)
        return buffer[: variable.size].reshape(variable.shape)

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """Changes `weight` and `slots` in place; `gradient` is read only, `scratch` is free to use.

        All arrays have the weight's shape. `self.iterations` counts the updates done before.
        """
        raise NotImplementedError(f"the optimizer {type(self).__name__} must define `update`")

    def update_step(self, gradient: Array, variable: Parameter, learning_rate: float) -> None:
        """Keras' form of an update: changes one weight with `assign` and the like."""
        raise NotImplementedError(f"the optimizer {type(self).__name__} must define `update`")

    # Averages, and the scale of the loss.

    def _average(self, updates: int) -> None:
        self._state.average(self.ema_momentum if updates else 0.0)
        every = self.ema_overwrite_frequency
        if every and (updates + 1) % every == 0:
            self._state.overwrite()

    def average_step(self) -> None:
        """Updates the averages of the weights after an update that was counted already."""
        self._average(self._iterations.item() - 1)

    def finalize_variable_values(self, var_list: Iterable[Parameter]) -> None:
        """Called at the end of `fit`: with `use_ema`, sets the weights to their averages."""
        if self.use_ema and self.built:
            self._state.overwrite()

    def scale_loss(self, loss: Any) -> Any:
        """The scaled loss, for custom training steps; `apply` divides gradients by the scale."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        rate: Any = self._learning_rate
        rate = float(rate) if isinstance(rate, Setting) else written(rate)
        return {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A new optimizer of the given configuration, without its variables."""
        with custom_object_scope(custom_objects):
            return super().from_config(config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} iterations={int(self.iterations)}>"
