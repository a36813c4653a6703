"""What layers add to the loss: values from `add_loss`, and penalties on their outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import flatten
from ferrnn._src.weights.penalties import activity_penalties

# The values from `add_loss` of layers written with `call`, for the training step.
added_losses: ContextVar[list[Any] | None] = ContextVar("added_losses", default=None)


@contextmanager
def gathering_losses() -> Iterator[list[Any]]:
    """A block with a list for `add_loss` to fill: that of the enclosing block, if there is one.

    >>> with gathering_losses() as gathered:
    ...     added_losses.get() is gathered
    True
    """
    around = added_losses.get()
    if around is not None:
        yield []
        return
    gathered: list[Any] = []
    token = added_losses.set(gathered)
    try:
        yield gathered
    finally:
        added_losses.reset(token)


class AddsLosses:
    """The part of `Layer` that adds to the loss."""

    name: str
    activity_regularizer: Any
    _added_losses: list[Any]
    _activity_losses: tuple[float, ...]

    def add_loss(self, loss: Any) -> None:
        """Adds a number, computed in `call`, to the loss of the model.

        >>> from ferrnn.layers import Layer
        >>> class Small(Layer):
        ...     def call(self, inputs):
        ...         self.add_loss((inputs * inputs).sum())
        ...         return inputs
        >>> layer = Small()
        >>> _ = layer(np.array([[1.0, 2.0]], "float32"))
        >>> layer.losses
        [5.0]
        """
        for value in flatten(loss):
            if np.shape(tracing.plain(value)) != ():
                raise ValueError(
                    f"`loss` added by layer {self.name!r} must be one number, received an array of "
                    f"the shape {np.shape(tracing.plain(value))}"
                )
            self._added_losses.append(value)
            gathered = added_losses.get()
            if gathered is not None:
                gathered.append(value)

    def forward_with_losses(self, inputs: Any, call: Any) -> tuple[Any, Any]:
        """`forward` with the penalty of the activity regularizer; models and wrappers call this.

        The penalty on each output is divided by the batch size.
        """
        outputs, vjp = self.forward(inputs, call)  # type: ignore[attr-defined]
        if self.activity_regularizer is None:
            return outputs, vjp
        penalties, penalized = activity_penalties(self.activity_regularizer, outputs, vjp)
        self._activity_losses = tuple(penalties)
        if call.losses is None:
            return outputs, vjp
        call.losses.extend(penalties)
        return outputs, penalized
