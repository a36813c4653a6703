"""The contract of every layer: `forward(inputs, call) -> (outputs, vjp)`."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core import constraints, initializers, regularizers
from ferrnn.core.config import standardize_dtype
from ferrnn.core.masked import MaskedOutput, attach_mask
from ferrnn.core.names import name_scope, snake_case, unique_name
from ferrnn.core.parameter import Gradients, Parameter
from ferrnn.core.penalties import activity_penalties, weight_penalties
from ferrnn.core.symbolic import SymbolicTensor
from ferrnn.core.types import Array, Mask

Vjp: TypeAlias = Callable[[Any, Gradients], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """How a layer is called: dropout on, residuals kept, gradient by the inputs wanted, mask.

    `consume` promises that the vjp will be called once at most, so that it may reuse the memory of
    what forward kept; a second call then raises RuntimeError. `losses` is where layers put what
    they add to the loss, if anybody wants it: the vjp then gives the gradient of that as well.

    >>> Call(training=True).differentiable
    False
    """

    training: bool = False
    differentiable: bool = False
    inputs_need_gradient: bool = True
    mask: Mask | None = None
    consume: bool = False
    losses: list[float] | None = None


_INFERENCE = Call()
_TRAINING = Call(training=True)


class Layer:
    """Something with weights that maps arrays to arrays and can be differentiated.

    A layer of your own defines `build(input_shape)` to make its weights with `add_weight`, and
    `forward(inputs, call)` to give the outputs and, if `call.differentiable`, a function
    `vjp(d_outputs, grads) -> d_inputs` that adds the gradients by its weights to `grads`.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight((input_shape[-1],), "ones", "scale")
    ...
    ...     def forward(self, inputs, call):
    ...         def vjp(d_outputs, grads):
    ...             grads.add(self.scale, (d_outputs * inputs).sum(axis=0))
    ...             return d_outputs * self.scale.value
    ...
    ...         return inputs * self.scale.value, vjp
    >>> Scale()(np.ones((2, 3))).shape
    (2, 3)
    """

    supports_masking = True
    activity_regularizer: Any = None
    _activity_losses: tuple[float, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in cls.__dict__:
            cls.build = _marking_built(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: object = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        **keras_face: Any,
    ) -> None:
        self.input_shape_argument = _input_shape(keras_face)
        kind = type(self).__name__
        if keras_face:
            raise ValueError(f"Unrecognized keyword arguments passed to {kind}: {keras_face}")
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"`name` must be a string without '/', received {name!r}")
        self.name = unique_name(snake_case(kind)) if name is None else name
        self.dtype = standardize_dtype(dtype)
        self._float = np.dtype(self.dtype)
        self.built = False
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self._own_weights: list[Parameter] = []

    # Building.

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of the given shape (None: a length not known yet)."""
        self.built = True

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

    # Calling.

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs for `inputs`, and the function that takes gradients back (the contract)."""
        keras_call = getattr(self, "call", None)
        if keras_call is None:
            raise NotImplementedError(
                f"layer {self.name!r} defines neither `forward(inputs, call)` nor `call(inputs)`"
            )
        if call.differentiable:
            raise NotImplementedError(
                f"layer {self.name!r} defines only `call`: training such a layer (gradients of "
                "plain Python code) is not supported yet; define `forward(inputs, call)` with a vjp"
            )
        known = inspect.signature(keras_call).parameters
        options = {"training": call.training, "mask": call.mask}
        return keras_call(inputs, **{key: options[key] for key in options if key in known}), None

    def forward_with_losses(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """`forward`, with the penalty of the activity regularizer: what holds the layer calls this.

        The penalty on each output is divided by the batch.
        """
        if self.activity_regularizer is None:
            return self.forward(inputs, call)
        outputs, vjp = self.forward(inputs, call)
        penalties, penalized = activity_penalties(self.activity_regularizer, outputs, vjp)
        self._activity_losses = tuple(penalties)
        if call.losses is None:
            return outputs, vjp
        call.losses.extend(penalties)
        return outputs, penalized

    def __call__(
        self, inputs: Any, *, training: bool | None = None, mask: ArrayLike | None = None
    ) -> Any:
        """Outputs for an array (or what the layer takes), as arrays."""
        array = self.cast_inputs(inputs)
        if mask is None and type(inputs) is MaskedOutput:
            mask = inputs._keras_mask
        if not self.built:
            self.build(array.shape)
        known = None if mask is None else np.asarray(mask)
        if known is None and type(self).compute_mask is Layer.compute_mask:
            return self.forward_with_losses(array, _TRAINING if training else _INFERENCE)[0]
        outputs, _ = self.forward_with_losses(array, Call(training=bool(training), mask=known))
        return self._with_mask(outputs, self.compute_mask(array, known))

    def cast_inputs(self, inputs: Any) -> Array:
        """`inputs` as an array of the layer's dtype; no copy if it is one."""
        # NumPy holds one object for each native dtype.
        if type(inputs) is np.ndarray and inputs.dtype is self._float:
            return inputs
        return self.cast_array(inputs, "inputs")

    def cast_array(self, value: Any, argument: str) -> Array:
        """`value` as an array of the layer's dtype; errors speak of the argument."""
        array = value if type(value) is np.ndarray else self._as_array(value, argument)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"`{argument}` of layer {self.name!r} must hold real numbers, "
                f"received the dtype {array.dtype}"
            )
        return array.astype(self._float, copy=False)

    def _as_array(self, value: Any, argument: str) -> Array:
        if isinstance(value, SymbolicTensor):
            raise NotImplementedError(
                "functional models (calling a layer on an Input) are not supported yet: layer "
                f"{self.name!r} was called on {value!r}; use Sequential, or call it on an array"
            )
        try:
            return np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"`{argument}` of layer {self.name!r} must be one array of real numbers, received "
                f"a {type(value).__name__} that makes none ({error}); the initial states of a "
                "recurrent layer are given as `initial_state=`"
            ) from error

    def _with_mask(self, outputs: Any, mask: Any) -> Any:
        if isinstance(mask, list | tuple):
            mask = mask[0] if mask else None
        if mask is None:
            return outputs
        if isinstance(outputs, tuple):
            return (attach_mask(outputs[0], mask), *outputs[1:])
        return attach_mask(outputs, mask) if isinstance(outputs, np.ndarray) else outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of the given shape."""
        return tuple(input_shape)

    def compute_mask(self, inputs: Any, mask: Mask | None) -> Any:
        """The mask of the outputs, given that of the inputs."""
        if mask is None or self.supports_masking:
            return mask
        warnings.warn(
            f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask "
            "attached to it. However, this layer does not support masking and will therefore "
            "destroy the mask information. Downstream layers will not see the mask.",
            stacklevel=2,
        )
        return None

    # Weights.

    def sublayers(self) -> Iterator[Layer]:
        """The layers that this one holds as attributes, alone or in a list, tuple or dict."""
        for value in vars(self).values():
            if isinstance(value, Layer):
                yield value
            elif isinstance(value, list | tuple):
                yield from (part for part in value if isinstance(part, Layer))
            elif isinstance(value, dict):
                yield from (part for part in value.values() if isinstance(part, Layer))

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
        return [*self._activity_penalties(), *weight_penalties(self.trainable_weights)]

    def _activity_penalties(self) -> list[float]:
        inner = (penalty for layer in self.sublayers() for penalty in layer._activity_penalties())
        return [*self._activity_losses, *inner]

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

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        config = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer of the given configuration, without the weights."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _input_shape(keras_face: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The shape, without the batch, of Keras 2's `input_shape=` or `input_dim=`, taken out."""
    shape, length = keras_face.pop("input_shape", None), keras_face.pop("input_dim", None)
    if shape is None and length is None:
        return None
    warnings.warn(
        "Do not pass an `input_shape`/`input_dim` argument to a layer. When using Sequential "
        "models, prefer using an `Input(shape)` object as the first layer in the model instead.",
        UserWarning,
        stacklevel=4,
    )
    return tuple(shape) if length is None else (length,)


def _marking_built(build: Callable[..., None]) -> Callable[..., None]:
    """`build` under the layer's name scope, after which the layer counts as built."""

    @functools.wraps(build)
    def marking(self: Layer, input_shape: Any = None) -> None:
        with name_scope(self.name, self):
            build(self, input_shape)
        self.built = True

    return marking
