"""The state of an optimizer: slots, moving averages, accumulated gradients, own variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx
from ferrnn._src.configs.notices import warn
from ferrnn._src.training.optimizers.setting import Setting
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import initializers
from ferrnn._src.weights.parameter import Parameter, WritingAll


class State:
    """The variables of an optimizer, made for given weights.

    >>> state = State("adam", use_ema=True, accumulates=False)
    >>> state.build([Parameter([1.0], "w")], [("momentum", "velocity")], {"velocity": 0.5})
    >>> [variable.path for variable in state.variables]
    ['adam/w_average', 'adam/w_momentum', 'adam/w_velocity']
    """

    def __init__(self, owner: str, *, use_ema: bool, accumulates: bool) -> None:
        self.owner = owner
        self.use_ema = use_ema
        self.accumulates = accumulates
        self.weights: list[Parameter] = []
        self.index: dict[Parameter, int] = {}
        self.averages: list[Parameter] = []
        self.gathered: list[Parameter] = []
        self.slots: dict[Parameter, tuple[Parameter, ...]] = {}
        self.variables: list[Parameter] = []

    def build(
        self,
        weights: Sequence[Parameter],
        groups: Sequence[Sequence[str]],
        starts: Mapping[str, float],
    ) -> None:
        """Makes the variables, slots group by group, in the order of Keras' files."""
        self.weights = list(weights)
        self.index = {weight: at for at, weight in enumerate(weights)}
        if self.use_ema:
            self.averages = [self.like(weight, "average") for weight in weights]
        if self.accumulates:
            self.gathered = [self.like(weight, "gradient_accumulator") for weight in weights]
        made: dict[Parameter, list[Parameter]] = {weight: [] for weight in weights}
        for group in groups:
            for weight in weights:
                for name in group:
                    made[weight].append(self.like(weight, name, starts.get(name, 0.0)))
        self.slots = {weight: tuple(slots) for weight, slots in made.items()}

    def like(self, weight: Parameter, name: str, start: float | Array = 0.0) -> Parameter:
        """A new variable of a weight's shape and dtype."""
        value = np.full(weight.shape, start, weight.dtype)
        return self.track(value, name, f"{weight.path.replace('/', '_')}_{name}")

    def track(self, value: Array, name: str, path: str) -> Parameter:
        """A new variable of the optimizer."""
        variable = Parameter(value, name, path=f"{self.owner}/{path}", trainable=False)
        self.variables.append(variable)
        return variable

    def gather(self, weights: Sequence[Parameter], gradients: Sequence[Array]) -> None:
        """Adds gradients to the accumulated ones."""
        targets = [self.gathered[self.index[weight]] for weight in weights]
        with WritingAll(targets) as arrays:
            for array, gradient in zip(arrays, gradients, strict=True):
                np.add(array, gradient, out=array)

    def take(
        self, weights: Sequence[Parameter], gradients: Sequence[Array], steps: int
    ) -> list[Array]:
        """The means of the accumulated gradients and these; resets the accumulators."""
        means = [
            np.asarray((gradient + self.gathered[self.index[weight]].value) / steps, weight.dtype)
            for weight, gradient in zip(weights, gradients, strict=True)
        ]
        with WritingAll(self.gathered) as arrays:
            for array in arrays:
                array.fill(0)
        return means

    def average(self, momentum: float) -> None:
        """Moves the averages towards the weights."""
        with WritingAll(self.averages) as arrays:
            for array, weight in zip(arrays, self.weights, strict=True):
                np.multiply(array, momentum, out=array)
                np.add(array, (1.0 - momentum) * weight.value, out=array)

    def overwrite(self) -> None:
        """Sets the weights to their averages."""
        with WritingAll(self.weights) as arrays:
            for array, average in zip(arrays, self.averages, strict=True):
                np.copyto(array, average.value)


class OwnVariables:
    """Methods for users' optimizers to make and change variables, as in Keras."""

    name: str
    _state: State
    _iterations: Setting
    _learning_rate: Any
    _last: Sequence[Parameter] = ()

    @property
    def variables(self) -> list[Parameter]:
        """All variables of the optimizer: iteration, learning rate, then the others."""
        rate = [self._learning_rate] if isinstance(self._learning_rate, Setting) else []
        return [self._iterations, *rate, *self._state.variables, *self._last]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Parameter:
        """A new variable of the optimizer."""
        dtype = floatx() if dtype is None else dtype
        value = initializers.get(initializer)(tuple(shape), dtype=str(np.dtype(dtype)))
        return self._state.track(np.asarray(value, dtype), name or "variable", name or "variable")

    def add_variable_from_reference(
        self, reference_variable: Parameter, name: str | None = None, initializer: Any = "zeros"
    ) -> Parameter:
        """A new variable of the shape and dtype of a weight.

        >>> from ferrnn.optimizers import SGD
        >>> SGD().add_variable_from_reference(Parameter([1.0], "w"), "momentum").path
        'sgd/w_momentum'
        """
        start = initializers.get(initializer)
        shape, dtype = reference_variable.shape, str(reference_variable.dtype)
        return self._state.like(
            reference_variable, name or "var", np.asarray(start(shape, dtype=dtype))
        )

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Parameter], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """A list of variables, one for each weight; for several names a tuple of lists."""
        names = [name] if isinstance(name, str) else list(name)
        starts = (
            initializer if isinstance(initializer, list | tuple) else [initializer] * len(names)
        )
        if len(names) != len(starts):
            raise ValueError(
                "The number of provided names must match the number of provided initializers. "
                f"Received name={name!r}, initializer={initializer!r}"
            )
        lists: tuple[list[Parameter], ...] = tuple([] for _ in names)
        for weight in trainable_variables:
            for made, each, start in zip(lists, names, starts, strict=True):
                made.append(self.add_variable_from_reference(weight, each, start))
        return lists[0] if isinstance(name, str) else lists

    def _get_variable_index(self, variable: Parameter) -> int:
        return self._state.index[variable]

    def assign(self, variable: Parameter, value: Any) -> None:
        """`variable = value`."""
        variable.assign(value)

    def assign_add(self, variable: Parameter, value: Any) -> None:
        """`variable += value`."""
        variable.assign_add(value)

    def assign_sub(self, variable: Parameter, value: Any) -> None:
        """`variable -= value`."""
        variable.assign_sub(value)

    # Storing.

    # Slots that hold squares, their sums or norms.
    _never_negative: frozenset[str] = frozenset()

    def check_variable(self, variable: Parameter, value: Array) -> None:
        """Raises ValueError for a value that the variable cannot have had when it was saved.

        >>> from ferrnn.optimizers import SGD
        >>> sgd = SGD(name="sgd")
        >>> sgd.check_variable(sgd.variables[0], np.array(-1))
        Traceback (most recent call last):
        ValueError: 'iteration' of the optimizer 'sgd' must be a non-negative integer, received -1
        """
        what = f"{variable.name!r} of the optimizer {self.name!r}"
        if variable is self._iterations:
            limit = np.iinfo(np.int64).max
            if value.dtype.kind not in "iu" or not 0 <= int(value) <= limit:
                raise ValueError(f"{what} must be a non-negative integer, received {value}")
        elif variable is self._learning_rate:
            if value.dtype.kind not in "fiu" or not 0 <= float(value) < np.inf:
                raise ValueError(f"{what} must be a non-negative number, received {value}")
        elif variable.name in self._never_negative and bool(np.any(value < 0)):
            raise ValueError(f"{what} must not be negative, received {value.min()}")

    @property
    def _trainable_variables(self) -> list[Parameter]:
        return self._state.weights

    @property
    def _model_variables_moving_average(self) -> list[Parameter]:
        return self._state.averages

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all variables, in the order of `variables`."""
        known = self.variables
        if len(weights) != len(known):
            raise ValueError(
                "You are calling `optimizer.set_weights()` with a list that does not fit: "
                f"`weights` must have one entry for each of the {len(known)} variables of the "
                f"optimizer {self.name!r}, received {len(weights)}; is it built?"
            )
        for variable, weight in zip(known, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Puts the variables into `store` under "0", "1", ..."""
        for at, variable in enumerate(self.variables):
            store[str(at)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Takes the variables from `store`; warns and takes none if their number differs."""
        known = self.variables
        if len(store) != len(known):
            warn(
                f"Skipping variable loading for optimizer {self.name!r}, because it has "
                f"{len(known)} variables whereas the saved optimizer has {len(store)} variables."
            )
            return
        for at, variable in enumerate(known):
            variable.assign(np.asarray(store[str(at)]))
