"""An optimizer made of several, each for some of the weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from ferrnn._src.configs.objects import Configured, written
from ferrnn._src.training.optimizers.arguments import paired
from ferrnn._src.training.optimizers.loss_scaling import LossScaleOptimizer
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


class OptimizerMap(Configured, MutableMapping[str, Optimizer]):
    """Optimizers by paths of weights, or by regular expressions that match whole paths.

    Weights that no key matches have the `default_optimizer`.

    >>> from ferrnn.optimizers import SGD, Adam
    >>> chosen = OptimizerMap(Adam(), {".*embeddings": SGD()})
    >>> type(chosen["embedding/embeddings"]).__name__, type(chosen["lstm/kernel"]).__name__
    ('SGD', 'Adam')
    """

    def __init__(
        self, default_optimizer: Optimizer, optimizer_map: Mapping[str, Optimizer] | None = None
    ) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                "default_optimizer must be a Keras Optimizer instance. "
                f"Received: {default_optimizer!r}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"optimizer_map must be a dictionary. Received: {optimizer_map!r}")
        self._default = default_optimizer
        self._known: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of weights that no key matches."""
        return self._default

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._known:
            return self._known[key]
        found = [pattern for pattern in self._known if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(
                f"Multiple optimizers assigned to variable {key}, which matches the keys {found}"
            )
        return self._known[found[0]] if found else self._default

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise ValueError(  # noqa: TRY004 - Keras' error
                f"key must be a string. Received: {key!r}"
            )
        if key in self._known:
            raise ValueError(
                f"{key!r} already exists in the OptimizerMap with value {self._known[key]}. Please "
                "make sure to not use duplicated keys."
            )
        _check(optimizer, "optimizer")
        self._known[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._known[key]

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __call__(self, variable: Parameter) -> Optimizer:
        """The optimizer of a weight, by its path."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        known = {key: optimizer.as_data() for key, optimizer in self._known.items()}
        return {"default_optimizer": self._default.as_data(), "optimizer_map": known}


class MultiOptimizer(Optimizer):
    """Updates each weight by the optimizer that an `OptimizerMap`, or a function of it, selects.

    `optimizers` are those in use, each with its own learning rate and settings;
    `loss_scale_factor` replaces theirs.

    >>> from ferrnn.optimizers import SGD
    >>> one, two = Parameter([1.0], "a", path="a"), Parameter([1.0], "b", path="b")
    >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"b": SGD(0.25)}))
    >>> optimizer.apply([one.value, two.value], [one, two])
    >>> float(one.value[0]), float(two.value[0])
    (0.5, 0.75)
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Parameter], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(optimizer_map):
            raise TypeError(
                "`optimizer_map` must be an OptimizerMap, or a function that returns the optimizer "
                f"of a weight, received {optimizer_map!r}"
            )
        self._optimizers: list[Optimizer] = []
        self._owners: dict[Parameter, Optimizer] = {}
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._map = optimizer_map
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._take(optimizer)

    def _take(self, optimizer: Optimizer) -> None:
        if not any(optimizer is known for known in self._optimizers):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._optimizers.append(optimizer)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers in use."""
        return self._optimizers

    @property
    def learning_rate(self) -> Any:
        """Raises AttributeError, as each of `optimizers` has its own."""
        raise AttributeError(
            "Learning rate cannot be accessed on a MultiOptimizer. Access the learning rate on the "
            "individual sub-optimizers instead: `for each in optimizer.optimizers`."
        )

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(
            "Learning rate cannot be set on a MultiOptimizer. Set the learning rate on the "
            "individual sub-optimizers instead: `for each in optimizer.optimizers`."
        )

    @property
    def loss_scale_factor(self) -> float | None:
        """The factor of the loss, by which the optimizers divide the gradients."""
        return self._scale

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._scale = value
        for optimizer in self._optimizers:
            optimizer.loss_scale_factor = value

    @property
    def use_ema(self) -> bool:
        """Whether all optimizers in use keep averages."""
        return bool(self._optimizers) and all(each.use_ema for each in self._optimizers)

    @use_ema.setter
    def use_ema(self, value: bool) -> None:
        """Has no effect: each optimizer has its own setting."""

    @property
    def variables(self) -> list[Parameter]:
        """The iteration and a learning rate of zero, then the variables of each optimizer."""
        return [*super().variables, *(each for part in self._optimizers for each in part.variables)]

    @property
    def _model_variables_moving_average(self) -> list[Parameter]:
        states = [(weight, self._owners[weight]._state) for weight in self._trainable_variables]
        if not all(state.averages for _, state in states):
            return []
        return [state.averages[state.index[weight]] for weight, state in states]

    def check_variable(self, variable: Parameter, value: Array) -> None:
        """Raises ValueError for a value that the variable cannot have had when it was saved."""
        for optimizer in self._optimizers:
            if any(variable is known for known in optimizer.variables):
                optimizer.check_variable(variable, value)
                return
        super().check_variable(variable, value)

    def build(self, variables: Sequence[Parameter]) -> None:
        """Chooses the optimizer of each weight, and builds them."""
        if not self.built:
            for variable in variables:
                chosen = self._map(variable)
                _check(chosen, f"Optimizer for variable {variable.path}")
                self._take(chosen)
                self._owners[variable] = chosen
            for optimizer in self._optimizers:
                own = self._owned(optimizer, variables)
                if own:
                    optimizer.build(own)
        super().build(variables)

    def _owned(self, optimizer: Optimizer, variables: Iterable[Parameter]) -> list[Parameter]:
        return [each for each in variables if self._owners.get(each) is optimizer]

    def apply(
        self,
        grads: Gradients | Sequence[Array | None],
        trainable_variables: Iterable[Parameter] | None = None,
    ) -> None:
        """Updates each weight by its optimizer, except those without a gradient."""
        if not isinstance(grads, Gradients) and not len(grads):
            return
        variables = self._checked(grads, trainable_variables)
        if not isinstance(grads, Gradients):
            grads = paired(grads, variables)
        known = variables
        if any(each not in grads for each in variables):
            known = self._with_gradient(variables, grads)
        for optimizer in self._optimizers:
            own = self._owned(optimizer, known)
            if own:
                optimizer.apply([grads[each] for each in own], own)
        self._iterations.put(self._iterations.item() + 1)

    def finalize_variable_values(self, var_list: Iterable[Parameter]) -> None:
        """Finalizes the optimizers at the end of `fit`."""
        listed = list(var_list)
        for optimizer in self._optimizers:
            own = self._owned(optimizer, listed)
            if own:
                optimizer.finalize_variable_values(own)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        return {
            "optimizer_map": written(self._map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }


def _check(optimizer: Any, what: str) -> None:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"{what} must be a Keras Optimizer instance. Received: {optimizer!r}, which is not an "
            "Optimizer instance"
        )
    for kind in (LossScaleOptimizer, MultiOptimizer):
        if isinstance(optimizer, kind):
            name = kind.__name__
            raise ValueError(  # noqa: TRY004 - Keras' error
                f"{what} cannot be {name}: {name} cannot be used inside an MultiOptimizer."
            )
