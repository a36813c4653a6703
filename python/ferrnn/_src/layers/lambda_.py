"""A function as a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.objects import plain
from ferrnn._src.layer.calling import outputs_by_probe, outputs_by_shape
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.signatures import parameters_of
from ferrnn._src.symbolic.shapes import is_shape, map_shapes, shapes_of
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.types import Mask


class Lambda(Layer):
    """Outputs `function(inputs, **arguments)`, for a function of `ops` and Python's operators.

    The function gets `mask` and `training` if it has arguments of these names. `output_shape`, a
    shape without the batch or a function of the inputs' shapes, is found by a trial call unless
    given; `mask`, a mask or a function of inputs and mask, is that of the outputs; by default
    there is none.

    >>> Lambda(lambda x: x[:, -1] * 2)(np.array([[1.0, 3.0]])).tolist()
    [6.0]
    """

    supports_masking = False

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(
                f"`function` of layer {self.name!r} must be a callable, received {function!r}"
            )
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        self.built = True

    def call(self, inputs: Any, mask: Mask | None = None, training: bool | None = None) -> Any:
        """The outputs of the function."""
        known, _ = parameters_of(self.function)
        options = {"mask": mask, "training": training}
        chosen = {key: value for key, value in options.items() if key in known}
        return self.function(inputs, **{**self.arguments, **chosen})

    def symbolic_outputs(self, inputs: Any) -> Any:
        if self._output_shape is None:
            return outputs_by_probe(self, inputs)
        return outputs_by_shape(self, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        given = self._output_shape
        if given is None:
            tensors = map_shapes(lambda shape: SymbolicTensor(shape, self.dtype), input_shape)
            return shapes_of(outputs_by_probe(self, tensors))
        if callable(given):
            return given(input_shape)
        batch = input_shape[0] if is_shape(input_shape) else input_shape[0][0]
        return map_shapes(lambda shape: (batch, *shape), given)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask given for the outputs, or the result of the function given for it."""
        if callable(self.mask):
            return self.mask(inputs, mask)
        return None if self.mask is None else np.asarray(self.mask)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": self.function, "arguments": self.arguments}
        if self._output_shape is not None:
            config["output_shape"] = self._output_shape
        if self.mask is not None:
            config["mask"] = self.mask
        return plain(config)  # type: ignore[no-any-return]

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
        safe_mode: bool | None = None,  # noqa: ARG003 - Keras' argument
    ) -> Any:
        """A new layer from what `get_config` returned; refuses code, whatever `safe_mode` is."""
        with custom_object_scope(custom_objects):
            return super().from_config(config)
