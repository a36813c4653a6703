"""The contract of every layer: `forward(inputs, call) -> (outputs, vjp)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.arguments import made_of, remembered
from ferrnn._src.configs.config import standardize_dtype
from ferrnn._src.configs.dtype_policy import DTypePolicy
from ferrnn._src.configs.names import name_scope, snake_case, unique_name
from ferrnn._src.configs.notices import warn
from ferrnn._src.configs.objects import Configured, revived
from ferrnn._src.layer.called import Called
from ferrnn._src.layer.calling import (
    build_by_shapes,
    call_of_forward,
    checked_flag,
    explain_separate,
    legacy_input_shape,
    marking_built,
    outputs_by_probe,
    outputs_by_shape,
    own_copy,
    plain_numbers,
    record,
    resolved_training,
    takes_over,
    training_is,
    without_call,
)
from ferrnn._src.layer.casting import cast_floats, real_array
from ferrnn._src.layer.input_spec import check_inputs
from ferrnn._src.layer.layer_configs import (
    layer_data,
    own_constructor_alone,
    with_remembered,
)
from ferrnn._src.layer.losses import AddsLosses, gathering_losses
from ferrnn._src.layer.masked import carried_mask, given_mask, with_masks
from ferrnn._src.layer.signatures import options_by_name, options_for
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import Arguments, Node, is_symbolic
from ferrnn._src.tree.results import Output, as_output, plain_array
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights import regularizers
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.weighted import Weighted

Vjp: TypeAlias = Callable[[Any, Gradients], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """How a layer is called: for training or not, whether a vjp is wanted, and with which mask.

    `consume` promises that the vjp is called at most once, so it may overwrite what `forward` kept;
    a second call then raises RuntimeError. `losses`, if not None, is a list to which layers append
    what they add to the loss; the vjp then includes its gradient. `training` is None where nothing
    has set it, which means no training.

    >>> Call(training=True).differentiable
    False
    """

    training: bool | None = False
    differentiable: bool = False
    inputs_need_gradient: bool = True
    mask: Mask | None = None
    consume: bool = False
    losses: list[float] | None = None


# Calls without a vjp and without a mask, by `training`.
PLAIN_CALLS = {training: Call(training=training) for training in (None, False, True)}


class Layer(Called, AddsLosses, Weighted, Configured):
    """Something with weights that maps arrays to arrays and can be differentiated.

    A custom layer defines `build(input_shape)`, which makes its weights with `add_weight`, and
    `forward(inputs, call)`, which returns the outputs and, if `call.differentiable`, a function
    `vjp(d_outputs, grads) -> d_inputs` that adds the gradients of its weights to `grads`. A layer
    in Keras' style, with `call(inputs)` in `ferrnn.ops`, gets its gradients automatically.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
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
    takes_several = False  # the names of inputs that are a list
    call: Callable[..., Any] = without_call  # a subclass defines its own, in `ferrnn.ops`

    # Whether instances record their constructor's arguments, as their class has no `get_config`.
    _remembers = False
    _made_of: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        if cls._remembers:
            made._made_of = remembered(cls, args, kwargs)
        return made

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._remembers = own_constructor_alone(cls, Layer)
        cls.builds_itself = cls.build_from_config is not Called.build_from_config
        if "call" in cls.__dict__ and "supports_masking" not in cls.__dict__:
            cls.supports_masking = False  # Keras' default for users' layers
        if "forward" in cls.__dict__ and cls.call is Layer.call:
            cls.call = call_of_forward(cls, Call)
        elif "call" in cls.__dict__ and "forward" not in cls.__dict__:
            takes_over(cls, Layer)
        if "build" in cls.__dict__:
            cls.build = marking_built(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: object = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        **keras_face: Any,
    ) -> None:
        self.input_shape_argument = legacy_input_shape(keras_face)
        kind = type(self).__name__
        if keras_face:
            raise ValueError(f"Unrecognized keyword arguments passed to {kind}: {keras_face}")
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"`name` must be a string without '/', received {name!r}")
        self.name = unique_name(snake_case(kind)) if name is None else name
        self.dtype = standardize_dtype(dtype)
        self._float = np.dtype(self.dtype)
        self.built = False
        self.build_shape: Any = None  # the shape that `build` was given, or a list of several
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = checked_flag("trainable", trainable)
        self._own_weights: list[Parameter] = []
        self._added_losses: list[Any] = []
        self._inbound_nodes: list[Node] = []

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of the given shape (None: a length not known yet)."""
        self.built, self.build_shape = True, input_shape

    # Calling.

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs for `inputs`, and their vjp (the contract of every layer)."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"layer {self.name!r} must define `forward(inputs, call)` or `call(inputs)`"
            )
        if not call.differentiable:
            with gathering_losses() as added:
                outputs = map_structure(plain_array, self._apply_call(inputs, call))
            if call.losses is not None:
                call.losses.extend(float(value) for value in added)
            return outputs, None
        return self._traced_call(inputs, call)

    def _traced_call(self, inputs: Any, call: Call) -> tuple[Any, Vjp]:
        """Outputs of the user's `call` and the vjp, which includes that of added losses."""

        def function(inputs: Any) -> Any:
            with gathering_losses() as added:
                return self._apply_call(inputs, call), added

        (outputs, added), both_vjp = tracing.differentiate(function, inputs)
        if call.losses is not None:
            call.losses.extend(float(value) for value in added)
        weight = 0.0 if call.losses is None else 1.0
        d_added = [np.full(np.shape(value), weight, np.asarray(value).dtype) for value in added]
        return outputs, lambda d_outputs, grads: both_vjp((d_outputs, d_added), grads)

    @property
    def written_with_call(self) -> bool:
        """Whether `forward` traces a user's `call`, which may take any arguments."""
        return type(self).forward is Layer.forward and type(self).call is not Layer.call

    def adds_losses(self) -> bool:
        return self.written_with_call or super().adds_losses()

    def _apply_call(self, inputs: Any, call: Call) -> Any:
        """The outputs of the user's `call`; layers called inside inherit `training`."""
        # A user's code may contain `inputs -= ...`, which must not change the caller's arrays.
        args, kwargs = map_structure(
            own_copy, inputs if type(inputs) is Arguments else ((inputs,), {})
        )
        chosen = options_for(type(self).call, call.training, call.mask)
        self._added_losses.clear()
        quiet = np.errstate(all="ignore")  # as in Keras, no warnings for 0 / 0
        with training_is(call.training), name_scope(self.name, self), quiet:
            return self.call(*args, **{**chosen, **kwargs})

    def __call__(
        self, *args: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """The outputs for an array, or for whatever the layer takes.

        A call on symbolic tensors records a node and returns symbolic tensors.
        """
        traced = tracing.current.get() is not None
        plain = len(args) == 1 and mask is None and not kwargs
        if plain and not traced:
            kind = type(args[0])
            if kind is np.ndarray or kind is Output:
                array = args[0] if kind is np.ndarray else args[0].view(np.ndarray)
                return self._outputs(self.cast_inputs(array), training, None)
        if len(args) > 1 and self.written_with_call:
            own = type(self).call
            args, kwargs, training, mask = options_by_name(own, args, kwargs, training, mask)
        recorded = self.recorded(args, kwargs, training, mask)
        if recorded is not None:
            return recorded
        inputs = self.gather(*args, **kwargs)
        main = self.main_input(inputs)
        mask = carried_mask(main) if mask is None else given_mask(main, mask)
        try:
            return self._outputs(self._cast_arguments(inputs), training, mask)
        except (AttributeError, TypeError, ValueError) as error:
            explain_separate(error, args, self)
            raise

    def recorded(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None, mask: Any
    ) -> Any:
        """The outputs of a call that is recorded, on symbolic tensors or in a trace; else None."""
        if is_symbolic(args, kwargs):
            return record(self, args, kwargs, training, mask)
        if tracing.current.get() is None:
            return None
        inputs = self.gather(*args, **kwargs)
        main = self.main_input(inputs)
        if self.input_spec is not None:
            check_inputs(self.input_spec, main, self.name)
        if not self.built:
            self.build_for(inputs)
        mask = carried_mask(main) if mask is None else given_mask(main, mask)
        call = Call(training=resolved_training(training), mask=mask)
        return tracing.call_layer(self, inputs, call)

    def _outputs(self, arrays: Any, training: bool | None, mask: Any) -> Any:
        if self.input_spec is not None:
            check_inputs(self.input_spec, self.main_input(arrays), self.name)
        if not self.built:
            self.build_for(arrays)
        in_training = resolved_training(training)
        call = PLAIN_CALLS[in_training]
        if mask is not None:
            call = Call(training=in_training, mask=mask)
        outputs, _ = self.forward_with_losses(arrays, call)
        if mask is None and not self.makes_masks():
            return outputs.view(Output) if type(outputs) is np.ndarray else as_output(outputs)
        return with_masks(outputs, self.compute_mask(self.main_input(arrays), mask))

    def gather(self, *args: Any, **kwargs: Any) -> Any:
        """The inputs of `forward`, from the arguments of a call other than `training` and `mask`.

        By default there must be one argument; a layer whose `forward` takes several arrays that are
        separate arguments of a call puts them into a tuple. A layer with `call` gets all arguments.
        """
        if len(args) == 1 and not kwargs:
            return args[0]
        if not args and [*kwargs] == ["inputs"]:
            return kwargs["inputs"]
        if not self.written_with_call:
            raise TypeError(
                f"layer {self.name!r} takes one argument besides `training` and `mask`, received "
                f"{len(args)} positional arguments and the keywords {list(kwargs)}"
            )
        return Arguments(args, kwargs)

    def main_input(self, inputs: Any) -> Any:
        """The part of `forward`'s inputs that shapes and masks refer to: by default all of it."""
        if type(inputs) is Arguments:
            return inputs.args[0] if inputs.args else next(iter(inputs.kwargs.values()))
        return inputs

    def build_for(self, inputs: Any) -> None:
        """Builds the layer for arrays or symbolic tensors that `forward` takes."""
        build_by_shapes(self, inputs)

    def symbolic_outputs(self, inputs: Any) -> Any:
        """The symbolic tensors that stand for the outputs."""
        by_shape = type(self).compute_output_shape is not Layer.compute_output_shape
        if by_shape or not self.written_with_call:
            return outputs_by_shape(self, self.main_input(inputs))
        return outputs_by_probe(self, inputs)

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtype of computations and weights, as a policy."""
        return DTypePolicy(self.dtype)

    def compute_output_dtype(self) -> str:
        """The dtype of the outputs: by default the layer's."""
        return self.dtype

    def cast_inputs(self, inputs: Any) -> Any:
        """`inputs` as arrays of the layer's dtype, without a copy where possible.

        For a layer with `call`, integers are not cast.
        """
        # NumPy has one object for each native dtype, so `is` suffices.
        if type(inputs) is np.ndarray and inputs.dtype is self._float:
            return inputs
        if type(self).forward is Layer.forward:
            return cast_floats(inputs, self._float)
        if isinstance(inputs, list | tuple) and not plain_numbers(inputs):
            return map_structure(lambda each: self.cast_array(each, "inputs"), inputs)
        return self.cast_array(inputs, "inputs")

    def cast_array(self, value: Any, argument: str) -> Array:
        """`value` as an array of the layer's dtype; errors name the argument."""
        return real_array(value, argument, self.name).astype(self._float, copy=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of the given shape."""
        if input_shape is None:
            raise NotImplementedError(
                f"Layer {self.name!r} does not have a `compute_output_shape` method implemented."
            )
        return tuple(input_shape)

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """The mask of the outputs, given that of the inputs."""
        if mask is None or self.supports_masking:
            return mask
        warn(
            f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask "
            "attached to it. However, this layer does not support masking and will therefore "
            "destroy the mask information. Downstream layers will not see the mask."
        )
        return None

    def makes_masks(self) -> bool:
        """Whether outputs may carry a mask although the inputs carry none."""
        return type(self).compute_mask is not Layer.compute_mask

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data.

        For a class that does not override this: the recorded arguments, if they are plain data.
        """
        config = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return with_remembered(self, config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from a configuration, without weights.

        Arrays and named functions in it are restored; other objects are left to the constructor.
        """
        settings = {key: revived(value, objects=False) for key, value in config.items()}
        return made_of(cls, settings)

    def as_data(self) -> dict[str, Any]:
        """The class, the configuration and the input shapes, as Keras writes them."""
        return layer_data(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
