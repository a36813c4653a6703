"""`Sequential`: layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core.layer import Call, Layer, Vjp
from ferrnn.core.masked import mask_of
from ferrnn.core.parameter import Gradients
from ferrnn.core.symbolic import SymbolicTensor
from ferrnn.core.types import Array, Mask, Shape
from ferrnn.models.summary import summarize
from ferrnn.training.progress import write
from ferrnn.training.trainer import Trainer


class Sequential(Layer, Trainer):
    """A stack of layers, each fed with what the one before gives: `[batch, ...] -> [batch, ...]`.

    With an `Input` first (or the `input_shape=` of Keras 2 on the first layer) the weights are made
    at once, otherwise when data or `build` first tell the shape.

    >>> import ferrnn as keras
    >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 133)
    >>> model.predict(np.zeros((2, 5, 3)), verbose=0).shape
    (2, 1)
    """

    def __init__(
        self,
        layers: Iterable[Layer | SymbolicTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self._input: SymbolicTensor | None = None
        self._shapes: list[Any] = []
        self._one_dtype = True
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()
        if not trainable:
            self.trainable = False

    # The stack.

    def add(self, layer: Layer | SymbolicTensor, rebuild: bool = True) -> None:
        """Puts a layer on top; an `Input` may only come first.

        >>> from ferrnn.layers import Dense
        >>> model = Sequential()
        >>> model.add(Dense(2, name="hidden"))
        >>> [layer.name for layer in model.layers]
        ['hidden']
        """
        if isinstance(layer, SymbolicTensor):
            self._add_input(layer)
        elif not isinstance(layer, Layer):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "Only instances of `Layer` can be added to a Sequential model. "
                f"Received: {layer!r} (of type {type(layer).__name__})"
            )
        elif any(known.name == layer.name for known in self._layers):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"{layer.name!r} is already the name of a layer in this model. Update the `name` "
                "argument to pass a unique name."
            )
        else:
            shape = layer.input_shape_argument
            if shape is not None and self._input is None and not self._layers:
                self._add_input(SymbolicTensor((None, *shape), layer.dtype))
            self._layers.append(layer)
            self.dtype = self._layers[0].dtype
        self.built = False
        if rebuild:
            self._rebuild()

    def _add_input(self, tensor: SymbolicTensor) -> None:
        if self._input is not None:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape "
                f"{self._input.shape}. You cannot add a different Input layer to it."
            )
        if self._layers:
            raise ValueError(
                f"An Input must come first in the Sequential model {self.name!r}, received one "
                f"after {len(self._layers)} layers"
            )
        self._input = tensor

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer off and gives it."""
        if not self._layers:
            raise IndexError(f"Sequential model {self.name!r} has no layers to take off")
        layer = self._layers.pop()
        self.built = False
        if rebuild:
            self._rebuild()
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last (a new list; `add` and `pop` change the model)."""
        return list(self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place."""
        if (name is None) == (index is None):
            raise ValueError(
                f"Provide either a layer name or layer index at `get_layer`, received {name=!r} "
                f"and {index=!r}"
            )
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self._layers)} layers."
                )
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name!r}. Existing layers are: {[each.name for each in self._layers]}."
        )

    # Shapes.

    def _rebuild(self) -> None:
        first = self._layers[0] if self._layers else None
        if first is not None and self._input is not None:
            self.build(self._input.shape)
        elif isinstance(first, Sequential) and first.built:
            self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers for inputs of `input_shape`, batch (None) included."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name!r} cannot be built because it has no layers. "
                "Call `model.add(layer)`."
            )
        if input_shape is None:
            raise ValueError(f"`build` of the model {self.name!r} needs a shape, received None")
        shape: Any = tuple(input_shape)
        if self._input is None:
            self._input = SymbolicTensor(shape, self._layers[0].dtype)
        elif self._input.shape != shape:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape "
                f"{self._input.shape}. You cannot build it with input_shape {shape}"
            )
        shapes = [shape]
        for layer in self._layers:
            if isinstance(shape, list):
                raise TypeError(_several_outputs(self, layer, len(shape)))
            if not layer.built:
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
            shape = list(shape) if isinstance(shape[0], tuple | list) else tuple(shape)
            shapes.append(shape)
        self._shapes = shapes
        self._one_dtype = len(self._dtypes()) == 1

    def _dtypes(self) -> set[str]:
        inner = [each._dtypes() for each in self._layers if isinstance(each, Sequential)]
        return {layer.dtype for layer in self._layers}.union(*inner)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of the given shape."""
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def input_shape(self) -> Shape:
        """The shape of the inputs, None for the batch."""
        if self._input is None:
            raise AttributeError(f"Sequential model {self.name!r} has no defined input shape yet.")
        return self._input.shape

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs, None for the batch."""
        if not self.built:
            raise AttributeError(f"Sequential model {self.name!r} has no defined output shape yet.")
        return self._shapes[-1]

    # Calling.

    def prepare_inputs(self, inputs: Any) -> Array:
        """`inputs` in the dtype of the first layer; builds the model if it is not built yet."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name!r} has no layers to call. Call `model.add(layer)`."
            )
        array = self._layers[0].cast_inputs(inputs)
        if not self.built:
            self._build_for(array)
        elif self._input is not None and array.shape[1:] != self._input.shape[1:]:
            self._check_shape(array.shape, self._input.shape)
        return array

    cast_inputs = prepare_inputs

    def _build_for(self, array: Array) -> None:
        # Any batch and any number of steps may come later, unless a layer keeps a state per sample.
        if self._input is None and not any(_stateful(layer) for layer in self._layers):
            free = min(array.ndim - 1, 2)
            self.build((*(None,) * free, *array.shape[free:]))
        else:
            self.build(array.shape if self._input is None else self._input.shape)

    def _check_shape(self, received: Sequence[int], expected: Shape) -> None:
        same_rank = len(received) == len(expected)
        pairs = zip(received, expected, strict=False)
        if not same_rank or any(want not in (None, have) for have, want in pairs):
            raise ValueError(
                f"the inputs of the model {self.name!r} must have the shape {tuple(expected)} "
                f"(None: any length), received {tuple(received)}"
            )

    def __call__(
        self, inputs: Any, *, training: bool | None = None, mask: ArrayLike | None = None
    ) -> Any:
        """Outputs for an array `[batch, ...]`; dropout is on if `training`."""
        mask = mask_of(inputs) if mask is None else np.asarray(mask)
        call = Call(training=bool(training), mask=mask)
        outputs, out_mask, _ = self.outputs_and_mask(self.prepare_inputs(inputs), call)
        return self._with_mask(outputs, out_mask)

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs for prepared inputs, and the function that takes gradients back."""
        outputs, _, vjp = self.outputs_and_mask(inputs, call)
        return outputs, vjp

    def compute_mask(self, inputs: Any, mask: Mask | None) -> Any:
        """The mask of the outputs, given that of the inputs."""
        return self.outputs_and_mask(self.prepare_inputs(inputs), Call(mask=mask))[1]

    def outputs_and_mask(self, inputs: Array, call: Call) -> tuple[Any, Mask | None, Vjp | None]:
        """Outputs for prepared inputs, their mask, and the vjp, None unless differentiable."""
        if not call.differentiable:
            outputs, mask = self._evaluate(inputs, call)
            return outputs, mask, None
        return self._record(inputs, call)

    def _evaluate(self, outputs: Any, call: Call) -> tuple[Any, Mask | None]:
        mask = call.mask
        for layer in self._layers:
            if not self._one_dtype:
                outputs = layer.cast_inputs(outputs)
            outputs, mask, _ = _step(layer, outputs, call, mask)
        return outputs, mask

    def _record(self, outputs: Any, call: Call) -> tuple[Any, Mask | None, Vjp]:
        # Below the first layer with something to train, no gradient is computed unless asked for.
        first = 0 if call.inputs_need_gradient else self._first_trained()
        below = Call(call.training, inputs_need_gradient=False, mask=call.mask, losses=call.losses)
        above = call if call.inputs_need_gradient else _asking_for_inputs(call)
        mask, vjps = call.mask, []
        for place, layer in enumerate(self._layers):
            if not self._one_dtype:
                vjps.append(_cast_back(outputs.dtype))
                outputs = layer.cast_inputs(outputs)
            layer_call = below if place < first else call if place == first else above
            outputs, mask, vjp = _step(layer, outputs, layer_call, mask)
            if vjp is not None and place >= first:
                vjps.append(vjp)

        def backward(d_outputs: Any, grads: Gradients) -> Any:
            for vjp in reversed(vjps):
                d_outputs = vjp(d_outputs, grads)
            return d_outputs

        return outputs, mask, backward

    def _first_trained(self) -> int:
        trained = (at for at, layer in enumerate(self._layers) if layer.trainable_weights)
        return next(trained, len(self._layers))

    # Description, and states carried from batch to batch.

    def get_config(self) -> dict[str, Any]:
        """Not available yet: models cannot be saved."""
        raise NotImplementedError(
            f"the configuration of the model {self.name!r}: saving models is not available yet; "
            "`get_weights` and `set_weights` keep what was learnt"
        )

    def reset_states(self, states: Any = None) -> None:
        """Sets the states that stateful layers carry from batch to batch back to zero.

        `states` (one entry for each stateful layer) are taken instead of zeros.
        """
        stateful = [layer for layer in self._layers if _stateful(layer)]
        if states is None:
            for layer in stateful:
                layer.reset_states()  # type: ignore[attr-defined]
            return
        if len(states) != len(stateful):
            raise ValueError(
                f"`states` must have one entry for each of the {len(stateful)} stateful layers, "
                f"received {len(states)}"
            )
        for layer, state in zip(stateful, states, strict=True):
            layer.reset_states(state)  # type: ignore[attr-defined]

    reset_state = reset_states

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints the layers, their output shapes and the numbers of their parameters as a table."""
        optimizer = self.optimizer if self.compiled else None
        shapes = self._shapes[1:] if self.built else [None] * len(self._layers)
        text = summarize(
            self,
            list(zip(self._layers, shapes, strict=True)),
            optimizer.variables if optimizer is not None and optimizer.built else None,
            line_length=line_length,
            positions=positions,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )
        if print_fn is None:
            write(text)
        else:
            print_fn(text)


def _step(
    layer: Layer, inputs: Any, call: Call, mask: Mask | None
) -> tuple[Any, Mask | None, Vjp | None]:
    """One layer's outputs, their mask and its vjp."""
    if isinstance(inputs, tuple | list):
        raise TypeError(_several_outputs(None, layer, len(inputs)))
    if mask is not call.mask:
        call = replace(call, mask=mask)
    if isinstance(layer, Sequential):
        return layer.outputs_and_mask(inputs, call)
    outputs, vjp = layer.forward_with_losses(inputs, call)
    # The rule of the base class needs no call where there is no mask.
    if mask is not None or type(layer).compute_mask is not Layer.compute_mask:
        mask = layer.compute_mask(inputs, mask)
        if isinstance(mask, list | tuple):
            mask = mask[0] if mask else None
    return outputs, mask, vjp


def _asking_for_inputs(call: Call) -> Call:
    # `dataclasses.replace` takes five times as long, in every step of training.
    return Call(call.training, call.differentiable, True, call.mask, call.consume, call.losses)


def _several_outputs(model: Sequential | None, layer: Layer, count: int) -> str:
    where = "a Sequential model" if model is None else f"the Sequential model {model.name!r}"
    return (
        f"layer {layer.name!r} of {where} would receive {count} arrays: a layer with several "
        "outputs (return_state=True) may only come last"
    )


def _cast_back(dtype: np.dtype[Any]) -> Vjp:
    def vjp(d_outputs: Any, grads: Gradients) -> Any:
        return None if d_outputs is None else d_outputs.astype(dtype, copy=False)

    return vjp


def _stateful(layer: Layer) -> bool:
    if isinstance(layer, Sequential):
        return any(_stateful(inner) for inner in layer.layers)
    return bool(getattr(layer, "stateful", False))
