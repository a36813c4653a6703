"""What holds weights: its own and those of what it holds; how they are made, read and set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core import constraints, initializers, regularizers, tracing
from ferrnn.core.parameter import Parameter, note_change
from ferrnn.core.penalties import traced_penalties, weight_penalties
from ferrnn.core.tree import flatten
from ferrnn.core.types import Array


class Weighted:
    """The weights of a layer; `Layer` adds what it computes with them."""

    name: str
    dtype: str
    built: bool
    activity_regularizer: Any = None
    _activity_losses: tuple[float, ...] = ()
    _trainable: bool
    _own_weights: list[Parameter]
    _added_losses: list[Any]

    def add_weight(
        self,
        shape: Sequence[int],
        initializer: Any = None,
        name: str = "variable",
        *,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Parameter:
        """Makes a weight of the layer's dtype and tracks it.

        The penalty of a regularizer joins the loss; a constraint is applied after each update.
        """
        initializer = initializers.get("glorot_uniform" if initializer is None else initializer)
        value = np.asarray(initializer(tuple(shape), dtype=self.dtype))
        if value.shape != tuple(shape):
            raise ValueError(
                f"the initializer of the weight {name!r} of layer {self.name!r} must give the "
                f"shape {tuple(shape)}, received {value.shape}"
            )
        parameter = Parameter(
            value,
            name,
            trainable=trainable,
            dtype=self.dtype,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )
        self._own_weights.append(parameter)
        return parameter

    def sublayers(self) -> Iterator[Any]:
        """The layers that this one holds as attributes, alone or in lists, tuples and dicts."""
        for value in vars(self).values():
            if isinstance(value, Weighted):
                yield value
            elif isinstance(value, list | tuple | dict):
                yield from (part for part in flatten(value) if isinstance(part, Weighted))

    def _all_weights(self) -> list[Parameter]:
        own = self._own_parameters()
        own.sort(key=lambda parameter: not parameter.trainable)
        for layer in self.sublayers():
            own += layer._all_weights()
        return list(dict.fromkeys(own))

    def _own_parameters(self) -> list[Parameter]:
        """What `add_weight` made, then parameters that are plain attributes."""
        assigned = [value for value in vars(self).values() if isinstance(value, Parameter)]
        return list(dict.fromkeys([*self._own_weights, *assigned]))

    @property
    def weights(self) -> list[Parameter]:
        """All weights: the layer's own, then those of the layers it holds."""
        return self._all_weights()

    variables = weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer; setting it holds for the layers inside as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        note_change()
        for layer in self.sublayers():
            layer.trainable = value

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""
        if not self._trainable:
            return []
        own = [parameter for parameter in self._own_parameters() if parameter.trainable]
        for layer in self.sublayers():
            own += layer.trainable_weights
        return list(dict.fromkeys(own))

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The weights that training leaves alone."""
        changing = set(self.trainable_weights)
        return [parameter for parameter in self.weights if parameter not in changing]

    non_trainable_variables = non_trainable_weights

    @property
    def losses(self) -> list[float]:
        """What the layer adds to the loss: penalties on the last outputs, then those on weights."""
        weights = self.trainable_weights
        traced = tracing.current.get() is not None
        penalties = traced_penalties(weights) if traced else weight_penalties(weights)
        return [*self._activity_penalties(), *penalties]

    def _activity_penalties(self) -> list[Any]:
        traced = tracing.current.get() is not None
        added = (
            self._added_losses
            if traced
            else [float(tracing.plain(each)) for each in self._added_losses]
        )
        inner = (penalty for layer in self.sublayers() for penalty in layer._activity_penalties())
        return [*added, *self._activity_losses, *inner]

    def adds_losses(self) -> bool:
        """Whether the layer, or one inside, puts a penalty on what it gives out."""
        if self.activity_regularizer is not None:
            return True
        return any(layer.adds_losses() for layer in self.sublayers())

    def get_weights(self) -> list[Array]:
        """Copies of the weights, in the order of `weights`."""
        return [parameter.numpy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order of `weights`; nothing changes if one does not fit."""
        known = self.weights
        if len(known) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(known)} weights."
            )
        for parameter, value in zip(known, weights, strict=True):
            if np.shape(value) != parameter.shape:
                raise ValueError(
                    f"Layer {self.name!r} weight shape {parameter.shape} of {parameter.path!r} is "
                    f"not compatible with provided weight shape {np.shape(value)}."
                )
        for parameter, value in zip(known, weights, strict=True):
            parameter.assign(value)

    def count_params(self) -> int:
        """The number of entries of all weights."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't "
                f"built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(parameter.size for parameter in self.weights)
