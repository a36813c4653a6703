"""What every optimizer does: learning rate, clipping, weight decay, slots, and one `apply`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ferrnn.core.names import snake_case, unique_name
from ferrnn.core.native import squared_norms
from ferrnn.core.parameter import Gradients, Parameter
from ferrnn.core.types import Array


class Setting(Parameter, NDArrayOperatorsMixin):
    """One number of an optimizer: a `Parameter`, so that it can be stored, that acts as a number.

    >>> rate = Setting(0.5, "learning_rate")
    >>> rate.assign(0.25)
    >>> float(rate), float(rate * 2), f"{rate:.3f}"
    (0.25, 0.5, '0.250')
    """

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [part.value if isinstance(part, Setting) else part for part in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, format_spec: str) -> str:
        return format(self.value.item(), format_spec)


class Optimizer:
    """The base of optimizers: a subclass names its slots and writes `update`.

    A slot is an array per weight, such as a momentum, and starts at zero. In one `apply`:
    gradients are clipped, weights decay (`w -= learning_rate * weight_decay * w`), then `update`
    runs for each weight. `clipnorm` bounds the norm of each gradient, `global_clipnorm` that of
    all together, `clipvalue` each entry.

    >>> class Halving(Optimizer):
    ...     def update(self, weight, gradient, slots, scratch, learning_rate):
    ...         weight *= 0.5
    >>> weight, grads = Parameter([4.0], "weight"), Gradients()
    >>> grads.add(weight, np.ones(1))
    >>> Halving(0.1).apply(grads, [weight])
    >>> weight.numpy().tolist()
    [2.0]
    """

    def __init__(
        self,
        learning_rate: float | Callable[[], float],
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
        if unknown:
            raise ValueError(f"Argument(s) not recognized: {unknown}")
        later = {
            "use_ema": use_ema or None,
            "ema_overwrite_frequency": ema_overwrite_frequency,
            "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": gradient_accumulation_steps,
        }
        asked = [argument for argument, value in later.items() if value is not None]
        if asked:
            raise NotImplementedError(f"the optimizer arguments {asked} are not available yet")
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        _check_clips(clips)
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clips.values()
        self.ema_momentum = ema_momentum
        self.iterations = Setting(0, "iteration", path=f"{self.name}/iteration", dtype=np.int64)
        self._learning_rate: Setting | Callable[[], float] = self._rate(learning_rate)
        self.built = False
        self._slots: dict[Parameter, tuple[Parameter, ...]] = {}
        self._scratch: dict[Parameter, Array] = {}
        self._seen: tuple[Parameter, ...] = ()
        self._warned = False

    # The learning rate.

    def _rate(self, value: Any) -> Setting | Callable[[], float]:
        if isinstance(value, Setting):
            value = float(value)
        if callable(value):
            return value  # type: ignore[no-any-return]
        if isinstance(value, bool) or not isinstance(value, float | np.floating):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "Argument `learning_rate` should be float, or a callable without arguments that "
                f"gives one. Received instead: learning_rate={value!r}"
            )
        return Setting(value, "learning_rate", path=f"{self.name}/learning_rate", dtype=np.float64)

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a number that can be assigned; what the callable gives if it is one.

        >>> from ferrnn.training.optimizers import SGD
        >>> optimizer = SGD(learning_rate=0.5)
        >>> optimizer.learning_rate = 0.25
        >>> float(optimizer.learning_rate)
        0.25
        """
        rate = self._learning_rate
        return rate if isinstance(rate, Setting) else rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._learning_rate, Setting) and not callable(value):
            self._learning_rate.assign(value)
        else:
            self._learning_rate = self._rate(value)

    # Slots.

    def slot_names(self) -> tuple[str, ...]:
        """What this optimizer keeps for each weight, by name."""
        return ()

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the slots for these weights."""
        if self.built:
            self._check_known(variables)
            return
        largest = max((variable.size for variable in variables), default=0)
        shared: dict[Any, Array] = {}
        for variable in variables:
            prefix = f"{self.name}/{variable.path.replace('/', '_')}"
            self._slots[variable] = tuple(
                Parameter(np.zeros_like(variable.value), slot, path=f"{prefix}_{slot}")
                for slot in self.slot_names()
            )
            # One buffer serves all weights of a dtype: they are updated one after the other.
            buffer = shared.setdefault(variable.dtype, np.empty(largest, variable.dtype))
            self._scratch[variable] = buffer[: variable.size].reshape(variable.shape)
        self.built = True

    def _check_known(self, variables: Iterable[Parameter]) -> None:
        for variable in variables:
            if variable not in self._slots:
                raise ValueError(
                    f"Unknown variable: {variable!r}. This optimizer can only be called for the "
                    "variables it was originally built with. When working with a new set of "
                    "variables, you should recreate a new optimizer instance."
                )

    @property
    def variables(self) -> list[Parameter]:
        """All that the optimizer remembers: iteration, learning rate, then the slots."""
        rate = [self._learning_rate] if isinstance(self._learning_rate, Setting) else []
        return [self.iterations, *rate, *self._ordered_slots()]

    def _ordered_slots(self) -> list[Parameter]:
        """The slots in the order of Keras' files: the first of all weights, then the second."""
        return [slot for kind in zip(*self._slots.values(), strict=True) for slot in kind]

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
        if trainable_variables is None:
            if not self.built:
                if not isinstance(grads, Gradients):
                    raise ValueError(
                        "When passing `grads` without `variables`, the optimizer must already be "
                        "built on a list of variables. Call `optimizer.build(variables)` first."
                    )
                self.build(list(grads))
            trainable_variables = self._slots
        variables = self._checked(trainable_variables)
        if not isinstance(grads, Gradients):
            grads = _paired(grads, variables)
        if not all(variable in grads for variable in variables):
            variables = self._with_gradient(variables, grads)
        gradients, scales = self._clipped([grads[variable] for variable in variables])
        self._update_all(variables, gradients, scales, float(self.learning_rate))
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        with self.iterations.writing() as count:
            np.add(count, 1, out=count)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Array | None, Parameter]]) -> Setting:
        """Updates weights from pairs of gradient and weight; gives the number of updates."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        self.apply(gradients, variables)
        return self.iterations

    def _checked(self, variables: Iterable[Parameter]) -> Sequence[Parameter]:
        """The weights as a sequence, known to the optimizer; a tuple that was seen is not read."""
        if variables is self._seen:
            return self._seen
        checked = tuple(variables)
        self.build(checked)
        self._seen = checked
        return checked

    def _update_all(
        self,
        variables: Sequence[Parameter],
        gradients: Sequence[Array],
        scales: Sequence[float] | None,
        rate: float,
    ) -> None:
        """Updates all weights; `scales` clip the gradients."""
        for at, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            scaled = gradient if scales is None else gradient * scales[at]
            scratch = self._scratch[variable]
            with variable.writing() as weight:
                if self.weight_decay is not None:
                    np.multiply(weight, rate * self.weight_decay, out=scratch)
                    np.subtract(weight, scratch, out=weight)
                self._update_with(self._slots[variable], weight, scaled, scratch, rate)

    def _update_with(
        self,
        slots: tuple[Parameter, ...],
        weight: Array,
        gradient: Array,
        scratch: Array,
        rate: float,
        *opened: Array,
    ) -> None:
        """Opens the slots for writing, one after the other, then updates."""
        if not slots:
            self.update(weight, gradient, opened, scratch, rate)
            return
        with slots[0].writing() as array:
            self._update_with(slots[1:], weight, gradient, scratch, rate, *opened, array)

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
        raise NotImplementedError(f"the optimizer {type(self).__name__} must write `update`")

    def _with_gradient(self, variables: Sequence[Parameter], grads: Gradients) -> list[Parameter]:
        """The weights that have a gradient; warns of the others once."""
        found = [variable for variable in variables if variable in grads]
        if not found:
            raise ValueError("No gradients provided for any variable.")
        if not self._warned:
            self._warned = True
            missing = [variable.path for variable in variables if variable not in grads]
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss.",
                stacklevel=3,
            )
        return found

    def _clipped(self, gradients: list[Array]) -> tuple[list[Array], list[float] | None]:
        """The gradients, and what each is to be multiplied by, None for 1."""
        if self.clipvalue is not None:
            bound = self.clipvalue
            return [np.asarray(np.clip(each, -bound, bound)) for each in gradients], None
        if self.clipnorm is not None:
            norms = map(math.sqrt, squared_norms(gradients))
            return gradients, [_share(norm, self.clipnorm) for norm in norms]
        if self.global_clipnorm is not None:
            share = _share(math.sqrt(sum(squared_norms(gradients))), self.global_clipnorm)
            return gradients, None if share == 1 else [share] * len(gradients)
        return gradients, None

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Setting) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": False,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """A new optimizer of the given configuration, without what it remembered."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} iterations={int(self.iterations)}>"


def _check_clips(clips: dict[str, float | None]) -> None:
    given = {argument: value for argument, value in clips.items() if value is not None}
    if len(given) > 1:
        raise ValueError(
            "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
            + ", ".join(f"{argument}={value}" for argument, value in clips.items())
        )
    for argument, value in given.items():
        if not value > 0:
            raise ValueError(f"`{argument}` must be a positive number, received {value}")


def _paired(grads: Sequence[Array | None], variables: Sequence[Parameter]) -> Gradients:
    if len(grads) != len(variables):
        raise ValueError(
            "When passing `grads` as a list of arrays, they must match the variables one to one. "
            f"Received {len(grads)} gradients for {len(variables)} variables."
        )
    paired = Gradients()
    for variable, gradient in zip(variables, grads, strict=True):
        if gradient is not None:
            paired.add(variable, np.asarray(gradient, variable.dtype))
    return paired


def _share(norm: float, bound: float) -> float:
    return bound / norm if norm > bound else 1.0
