"""A layer applied to every time step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.layer.serialization import parts_inside
from ferrnn._src.layers.recurrent import Recurrent
from ferrnn._src.layers.wrapper import Wrapper
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

_OURS = ("ferrnn._src.layers.", "ferrnn._src.cells.", "ferrnn._src.models.")
# Layers that do not, or may not, treat each row of a batch independently.
_MIXING = ("BatchNormalization", "Lambda")


class TimeDistributed(Wrapper):
    """Applies the inner layer to each step: `[batch, time, ...]` to `[batch, time, ...]`.

    Layers that treat every row independently get all steps in one call, as rows; others (custom
    layers, batch statistics, stored states) are called step by step. A mask `[batch, time]` is
    passed on to the layers that follow.

    >>> from ferrnn._src.layers.dense import Dense
    >>> TimeDistributed(Dense(4))(np.ones((2, 3, 6))).shape
    (2, 3, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "Please initialize `TimeDistributed` layer with a `keras.layers.Layer` instance. "
                f"Received: {layer!r}"
            )
        super().__init__(layer, **kwargs)
        self._in_one_call = False

    def build(self, input_shape: Any = None) -> None:
        shape = _of_one_step(input_shape)
        self._in_one_call = _rows_stand_alone(self.layer)
        super().build((None, *shape[1:]) if self._in_one_call else shape)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, time, ...]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        _of_one_step(inputs.shape)
        if call.mask is not None:
            call = replace(call, mask=self._checked(call.mask, inputs))
        return (self._in_one if self._in_one_call else self._in_steps)(inputs, call)

    def _checked(self, mask: Mask, inputs: Array) -> Mask:
        """The mask `[batch, time]`, or `[batch, time, ...]` if it also masks parts of a step."""
        if mask.shape[:2] != inputs.shape[:2]:
            raise ValueError(
                "The `mask` passed to the `TimeDistributed` layer has a shape "
                f"{mask.shape} that is incompatible with the input shape {inputs.shape}. The first "
                "two dimensions of the mask (batch size and timesteps) must match the input's "
                f"first two dimensions. Expected mask shape prefix: {inputs.shape[:2]} (in layer "
                f"{self.name!r})."
            )
        one_entry = mask.shape[2:] == (1,) != inputs.shape[2:3]
        return mask[..., 0] if one_entry else mask

    def _in_one(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """All steps as rows of one batch."""
        lead, mask = inputs.shape[:2], call.mask
        if mask is not None:
            inner = mask.reshape(-1, *mask.shape[2:]) if mask.ndim > 2 else None
            call = replace(call, mask=inner)
        rows = inputs.reshape(-1, *inputs.shape[2:])
        given, inner_vjp = self.layer.forward(self.layer.cast_inputs(rows), call)
        outputs = self._single(given)
        returned = outputs.reshape(*lead, *outputs.shape[1:])
        if inner_vjp is None:
            return returned, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_rows = inner_vjp(np.asarray(d_outputs).reshape(outputs.shape), grads)
            return None if d_rows is None else d_rows.reshape(inputs.shape)

        return returned, vjp

    def _in_steps(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """One call of the inner layer for each step."""
        outputs: list[Array] = []
        vjps: list[Vjp | None] = []
        for t in range(inputs.shape[1]):
            step = np.ascontiguousarray(inputs[:, t])
            given, vjp = self.layer.forward(
                self.layer.cast_inputs(step), replace(call, mask=self._mask_at(call.mask, t))
            )
            outputs.append(self._single(given))
            vjps.append(vjp)
        if not outputs:
            raise ValueError(
                f"layer {self.name!r} must be given at least one time step, as its inner layer "
                f"{self.layer.name!r} is called step by step, received the shape {inputs.shape}"
            )
        returned = np.stack(outputs, axis=1)
        if not call.differentiable:
            return returned, None

        def backward(d_outputs: Array, grads: Gradients) -> Array | None:
            d_steps = [
                vjp(np.ascontiguousarray(d_outputs[:, t]), grads) if vjp is not None else None
                for t, vjp in reversed(list(enumerate(vjps)))
            ]
            known = [np.zeros_like(inputs[:, 0]) if d is None else d for d in reversed(d_steps)]
            return np.stack(known, axis=1) if call.inputs_need_gradient else None

        return returned, backward

    def _mask_at(self, mask: Mask | None, t: int) -> Mask | None:
        # A mask over steps does not apply inside a step.
        built_in = isinstance(self.layer, Recurrent) or hasattr(self.layer, "outputs_and_mask")
        if mask is None or (mask.ndim == 2 and built_in):
            return None
        return mask[:, t]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask `[batch, time]`, with more axes if the inner layer's outputs have them."""
        if mask is None or isinstance(mask, SymbolicTensor) or np.ndim(mask) < 3:
            return mask
        known = self._checked(np.asarray(mask), inputs)
        if known.ndim < 3:
            return known
        if not self.layer.supports_masking:
            inner = None
        elif hasattr(self.layer, "outputs_and_mask"):
            inner = self._mask_by_shape(inputs.shape, known)
        else:
            rows, steps = (each.reshape(-1, *each.shape[2:]) for each in (inputs, known))
            inner = self.layer.compute_mask(rows, steps)
        if inner is None:
            return of_axes(known, 2)
        return np.reshape(inner, (*known.shape[:2], *np.shape(inner)[1:]))

    def _mask_by_shape(self, shape: Any, mask: Mask) -> Mask | None:
        """The mask if the outputs still have its axes; a model's own is known only when it runs."""
        outputs = self.compute_output_shape(shape)
        kept = len(outputs) > mask.ndim and tuple(outputs[: mask.ndim]) == mask.shape
        return mask.reshape(-1, *mask.shape[2:]) if kept else None

    def _single(self, outputs: Any) -> Array:
        if isinstance(outputs, tuple | list | dict):
            raise ValueError(  # noqa: TRY004 - a matter of settings
                f"the inner layer {self.layer.name!r} of {self.name!r} must return one array, "
                f"received {len(outputs)}"
            )
        return np.asarray(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        inner = self.layer.compute_output_shape(_of_one_step(input_shape))
        return (inner[0], input_shape[1], *inner[1:])


def _of_one_step(shape: Any) -> tuple[int | None, ...]:
    """The shape without the axis of time."""
    if not isinstance(shape, tuple | list) or len(shape) < 3:
        raise ValueError(
            "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 dimensions, "
            f"received: {shape}"
        )
    return (shape[0], *shape[2:])


def _rows_stand_alone(layer: Any) -> bool:
    """Whether the output of each row of a batch depends on that row alone."""
    return all(
        type(part).__module__.startswith(_OURS)
        and type(part).__name__ not in _MIXING
        and not getattr(part, "stateful", False)
        for part in parts_inside(layer)
    )
