"""`Sequential`: layers one after the other."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ferrnn._src.layer.calling import record
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.models.carried import is_stateful
from ferrnn._src.models.model import _PLAIN, Model
from ferrnn._src.models.reading import sequential_from
from ferrnn._src.models.writing import sequential_config
from ferrnn._src.symbolic.shapes import map_shapes
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import map_structure


class Sequential(Model):
    """A stack of layers, each fed the outputs of the previous one: `[batch, ...] -> [batch, ...]`.

    With an `Input` first (or the `input_shape=` of Keras 2 on the first layer) the weights are made
    at once, otherwise when data or `build` first determine the shape.

    >>> import ferrnn as keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 133)
    >>> model.predict(np.zeros((2, 5, 3)), verbose=0).shape
    (2, 1)
    """

    takes_several = False

    def __init__(
        self,
        layers: Iterable[Layer | SymbolicTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self._input: Any = None  # a symbolic tensor, or nested ones
        # The symbolic input of the first layer, then the outputs of each layer.
        self._chain: list[Any] = []
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()
        if not trainable:
            self.trainable = False

    # The stack.

    def add(self, layer: Layer | SymbolicTensor, rebuild: bool = True) -> None:
        """Adds a layer at the end; an `Input` may only come first.

        >>> from ferrnn.layers import Dense
        >>> model = Sequential()
        >>> model.add(Dense(2, name="hidden"))
        >>> [layer.name for layer in model.layers]
        ['hidden']
        """
        if isinstance(layer, InputLayer):
            layer = layer.output
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
                self._add_input(InputLayer(shape, dtype=_read_by(layer)).output)
            self._layers.append(layer)
            self.dtype = self._layers[0].dtype
        self.built, self._graph = False, None
        if rebuild:
            self._rebuild()

    def _add_input(self, tensor: SymbolicTensor) -> None:
        if self._input is not None:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape "
                f"{self._shape_of_input()}. You cannot add a different Input layer to it."
            )
        if self._layers:
            raise ValueError(
                f"An Input must come first in the Sequential model {self.name!r}, received it "
                f"after {len(self._layers)} layers"
            )
        self._input = tensor

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes and returns the last layer."""
        if not self._layers:
            raise IndexError(f"Sequential model {self.name!r} has no layers to remove")
        layer = self._layers.pop()
        del self._chain[len(self._layers) + 1 :]
        self.built, self._graph = False, None
        if rebuild:
            self._rebuild()
        return layer

    def _listed_layers(self) -> list[Layer]:
        return list(self._layers)

    # Shapes.

    def _rebuild(self) -> None:
        first = self._layers[0] if self._layers else None
        if first is not None and self._input is not None:
            self.build(self._shape_of_input())
        elif isinstance(first, Model) and first.built:
            self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers for inputs of `input_shape`, with the batch (None)."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name!r} cannot be built because it has no layers. "
                "Call `model.add(layer)`."
            )
        if input_shape is None:
            raise ValueError(
                f"`input_shape` for `build` of the model {self.name!r} must be a shape, received "
                "None"
            )
        shape = map_shapes(tuple, input_shape)
        if self._input is None:
            dtype = _read_by(self._layers[0])
            self._input = map_shapes(
                lambda each: InputLayer(batch_shape=each, dtype=dtype).output, shape
            )
        elif self._shape_of_input() != shape:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape "
                f"{self._shape_of_input()}. You cannot build it with input_shape {shape}"
            )
        chain = self._chain or [self._input]
        for layer in self._layers[len(chain) - 1 :]:
            if len(chain) > 1 and not isinstance(chain[-1], SymbolicTensor):
                raise TypeError(_several_outputs(self, layer, len(chain[-1])))
            try:
                chain.append(record(layer, (chain[-1],), {}, None, None))
            except TypeError as error:
                _check_arguments(layer, error)
                raise
        self._chain = chain
        self._connect(self._input, chain[-1])

    def _shape_of_input(self) -> Any:
        """The shape of the input, or the shapes of nested inputs."""
        return map_structure(lambda tensor: tensor.shape, self._input)

    def _check_names(self) -> None:
        """Does nothing: names are checked when layers are added."""

    @property
    def input_shape(self) -> Any:
        """The shape of the inputs with None for the batch, or the shapes of nested inputs."""
        if self._input is None:
            raise AttributeError(f"Sequential model {self.name!r} has no defined input shape yet.")
        return self._shape_of_input()

    @property
    def output_shape(self) -> Any:
        """The shape of the outputs, with None for the batch."""
        if not self.built:
            raise AttributeError(f"Sequential model {self.name!r} has no defined output shape yet.")
        return super().output_shape

    def get_config(self) -> dict[str, Any]:
        """The layers in order, as plain data."""
        return sequential_config(self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """A new model of the same layers; `custom_objects` names your own classes.

        >>> from ferrnn.layers import Dense
        >>> Sequential.from_config(Sequential([Dense(1, name="only")]).get_config()).layers[0].name
        'only'
        """
        return sequential_from(cls, config, custom_objects)

    # Calling.

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Outputs for an array `[batch, ...]`; dropout is on if `training`."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name!r} has no layers to call. Call `model.add(layer)`."
            )
        return super().__call__(*args, **options)

    def cast_inputs(self, inputs: Any) -> Any:
        """`inputs` as the model takes them; builds the model if it is not built yet."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name!r} cannot be built because it has no layers. "
                "Call `model.add(layer)`."
            )
        if not self.built:
            self._build_for(self._layers[0].cast_inputs(inputs))
            inputs = self._ends.arrange(inputs, self.name)
        return super().cast_inputs(inputs)

    def _build_for(self, array: Any) -> None:
        if self._input is not None:
            self.build(self._shape_of_input())
            return
        # Later batches may differ in size, unless a layer keeps a state for each sample.
        stateful = any(is_stateful(layer) for layer in self._layers)
        self.build(
            map_structure(lambda each: each.shape if stateful else (None, *each.shape[1:]), array)
        )


def _read_by(layer: Layer) -> str:
    """The dtype of the inputs of a layer, or of the first layer inside a model."""
    if isinstance(layer, Sequential) and layer.layers:
        return _read_by(layer.layers[0])
    return layer.compute_dtype


def _check_arguments(layer: Layer, error: TypeError) -> None:
    """Explains an error if the layer does not take exactly one tensor."""
    taken = type(layer).call if layer.written_with_call else type(layer).gather
    known = [*inspect.signature(taken).parameters.values()][1:]
    places = [
        each for each in known if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    required = [each.name for each in places if each.default is each.empty]
    kind = f"Layer {layer.name!r} ({type(layer).__name__})"
    if not places and not any(each.kind is each.VAR_POSITIONAL for each in known):
        raise ValueError(
            "Layers added to a Sequential model should have a single positional argument, the "
            f"input tensor. {kind} has no positional arguments."
        ) from error
    if len(required) > 1:
        raise ValueError(
            "Layers added to a Sequential model can only have a single required positional "
            f"argument, the input tensor. {kind} has multiple required positional arguments: "
            f"{required}. Call it in a functional model, or give all arguments but the first a "
            "default"
        ) from error


def _several_outputs(model: Sequential, layer: Layer, count: int) -> str:
    return (
        f"layer {layer.name!r} of the Sequential model {model.name!r} would receive {count} "
        "arrays: a layer with several outputs (return_state=True) may only come last"
    )


_PLAIN.add(Sequential)
