"""The base of the built-in cells: settings, weights, initial states and dropout masks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation
from ferrnn._src.activations.clipped import clipped, read_clip
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp, flatten, pack
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import constraints, initializers, regularizers
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random import SeedGenerator

NO_DROPOUT = DropoutMasks()


class NativeWeights(NamedTuple):
    """A cell's weights in the form that the engine takes.

    Kernels `[n, gates * units]`, a bias, `vectors` `[count, units]` or `[units]` (the weights of
    each unit alone), `projection` `[units, outputs]`.
    """

    kernel: Parameter
    recurrent_kernel: Parameter | None
    bias: Parameter | None
    vectors: Parameter | None = None
    projection: Parameter | None = None


class Cell(Layer):
    """One step of a recurrent layer, as the built-in cells and stacks of cells have it.

    A cell sets `state_size` (an int, or a list of ints for several states), creates its weights in
    `build`, and defines

        step(inputs, states, call) -> (output, states), vjp
        vjp(d_output, d_states, grads) -> d_inputs, d_states

    with inputs `[batch, features]` and states a tuple of `[batch, size]`; the vjp may be None
    unless `call.differentiable`. A custom cell derives from `Layer` and has such a `step`, or a
    `call`.
    """

    state_size: Any

    @property
    def output_size(self) -> int:
        """The length of the output: that of the first state."""
        return int(flatten(self.state_size)[0])

    def get_initial_state(self, batch_size: int | None = None) -> list[Array]:
        """Zeros `[batch, size]` for each state."""
        if batch_size is None:
            raise ValueError(f"`batch_size` of the cell {self.name!r} must be given, received None")
        sizes = flatten(self.state_size)
        return [as_output(np.zeros((batch_size, size), self.dtype)) for size in sizes]

    # Tells `state_structure` that this method follows `state_size`.
    get_initial_state.by_state_size = True  # type: ignore[attr-defined]

    def draw_dropout(self, batch: int, features: int) -> Dropout:
        """The dropout masks of one training call; None without dropout."""
        return None

    def __call__(  # type: ignore[override]
        self, inputs: Any, states: Any, training: bool | None = None
    ) -> tuple[Array, Any]:
        """One step from the given states: the output, and the new states in the same nesting."""
        if tracing.current.get() is not None:
            return self._traced_step(inputs, states, bool(training))
        array = self.cast_inputs(inputs)
        if not self.built:
            self.build(array.shape)
        flat = tuple(self.cast_array(state, "states") for state in flatten(states))
        self._check_step(array, flat)
        call = Call(training=bool(training))
        masks = self.draw_dropout(len(array), array.shape[-1]) if training else None
        step: Any = self.step
        (output, new), _ = step(array, flat, call, masks) if masks else step(array, flat, call)
        return as_output(output), pack(states, list(map(as_output, new)))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """One step, as a call of the cell; a subclass may override this in `ferrnn.ops`."""
        return Cell.__call__(self, inputs, states, training)

    def adds_losses(self) -> bool:
        """Whether an overridden `call`, or a cell inside, may add to the loss."""
        return type(self).call is not Cell.call or super(Layer, self).adds_losses()

    def _traced_step(self, inputs: Any, states: Any, training: bool) -> tuple[Any, Any]:
        """One step, recorded as one node of the running trace."""
        if not self.built:
            self.build(tuple(inputs.shape))
        masks = self.draw_dropout(len(inputs), inputs.shape[-1]) if training else None
        call = Call(training=training, differentiable=True)

        def forward(given: Any) -> tuple[Any, Any]:
            array, *flat = (self.cast_array(part, "inputs or states") for part in given)
            self._check_step(array, tuple(flat))
            step: Any = self.step
            extra = (masks,) if masks else ()
            (output, new), step_vjp = step(array, tuple(flat), call, *extra)

            def vjp(d_outputs: Any, grads: Gradients) -> Any:
                d_inputs, d_states = step_vjp(d_outputs[0], tuple(d_outputs[1:]), grads)
                return (d_inputs, *d_states)

            return (output, *new), vjp

        output, *new = tracing.record(forward, (inputs, *flatten(states)))
        return output, pack(states, new)

    def _check_step(self, inputs: Array, states: States) -> None:
        """Raises ValueError if the number or the shapes of the states are wrong."""
        sizes = flatten(self.state_size)
        shapes = [state.shape for state in states]
        if not inputs.ndim or shapes != [(len(inputs), size) for size in sizes]:
            raise ValueError(
                f"the cell {self.name!r} must be given inputs [batch, features] and states "
                f"[batch, size] of the sizes {sizes}, received inputs of the shape {inputs.shape} "
                f"and states of the shapes {shapes}"
            )

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step and its vjp."""
        raise NotImplementedError(
            f"the cell {self.name!r} must define `step(inputs, states, call)`"
        )


class BuiltInCell(Cell):
    """A cell with `kernel`, `recurrent_kernel` and `bias`, gates side by side in their columns.

    With `clip=bound`, which Keras does not have, the inputs of the activations of gates and
    candidate are first clipped to `[-bound, bound]`, as in ONNX. The gradient is zero where an
    input was clipped.
    """

    takes_flat_states: ClassVar[bool] = True
    native_name: ClassVar[str]  # the name of its equations in the engine
    gates: ClassVar[int]  # blocks of `units` columns in the kernel
    gated: ClassVar[tuple[int, ...]]  # the blocks that the gates' activation applies to
    settings: ClassVar[tuple[str, ...]]  # the constructor's arguments, each an attribute

    units: int
    activation: Any
    use_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any
    dropout: float
    recurrent_dropout: float
    seed: int | None

    kernel: Parameter
    recurrent_kernel: Parameter
    bias: Parameter | None
    packed: Any = None  # the engine's copy of the weights, and the versions it was made from
    packed_rounded: Any = None  # the same, in `inference_precision`
    _inference_precision = "full"

    @property
    def inference_precision(self) -> str:
        """The precision of weights in calls without gradients: "full", "bfloat16" or "int8".

        "bfloat16" rounds recurrent kernels to 8 bits of precision; "int8" turns kernels and
        recurrent kernels into integers from -127 to 127 with a scale for each column. States and
        biases stay float32. Half or a quarter of the bytes are read, so small batches with many
        units are faster (docs/tuning.md has figures). Training is not affected.
        """
        return self._inference_precision

    @inference_precision.setter
    def inference_precision(self, value: str) -> None:
        if value not in ("full", "bfloat16", "int8"):
            raise ValueError(
                f"`inference_precision` of {self.name!r} must be 'full', 'bfloat16' or 'int8', "
                f"received {value!r}"
            )
        if value != "full" and self.dtype != "float32":
            raise ValueError(
                f"`inference_precision` of {self.name!r} can be {value!r} only for weights in "
                f"float32, received the dtype {self.dtype}"
            )
        self._inference_precision = value

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reads a cell's settings from the arguments of its constructor."""
        super().__init_subclass__(**kwargs)
        if "native_name" in vars(cls):
            cls.settings = settings_of(cls)

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Sets the settings from `given`, the `locals()` of the cell's constructor."""
        options = dict(given["kwargs"])
        self.implementation = int(options.pop("implementation", 2))
        clip = options.pop("clip", None)
        super().__init__(**options)
        self.clip = read_clip(clip, self.name)
        for name in self.settings:
            setattr(self, name, read_setting(name, given[name], self.name))
        if self.recurrent_dropout:
            self.implementation = 1
        self.seed_generator = SeedGenerator(self.seed)
        self.state_size: Any = self.units

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if not key.startswith("packed")}

    @property
    def native_weights(self) -> NativeWeights:
        """The weights in the form that the engine takes."""
        return NativeWeights(self.kernel, self.recurrent_kernel, self.bias)

    @property
    def recurrent_shape(self) -> tuple[int, ...]:
        """The shape of the recurrent kernel."""
        return (self.units, self.gates * self.units)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.gates * self.units,)

    def initial_bias(self, shape: tuple[int, ...], dtype: object = None) -> Array:
        """The bias before training."""
        return np.asarray(self.bias_initializer(shape, dtype=dtype))

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs `[batch, features]`."""
        if self._own_weights:
            return
        features = input_shape[-1]
        if not features:
            raise ValueError(
                f"the cell {self.name!r} must be built for a known number of features, at least "
                f"one, received the shape {tuple(input_shape)}"
            )
        width = self.gates * self.units
        self.kernel = self.add_weight(
            (features, width),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            self.recurrent_shape,
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape,
                self.initial_bias,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def draw_dropout(self, batch: int, features: int) -> DropoutMasks | None:
        if not self.dropout and not self.recurrent_dropout:
            return None
        count = self.gates if self.implementation == 1 else 1
        inputs = self._draw(self.dropout, (count, batch, features))
        recurrent = self._draw(self.recurrent_dropout, (count, batch, self.recurrent_shape[0]))
        if inputs is None and recurrent is None:
            return None
        return DropoutMasks(inputs, recurrent)

    def _draw(self, rate: float, shape: tuple[int, ...]) -> Array | None:
        # Keras: a rate of 1 leaves LSTM and GRU as they are (SimpleRNN overrides this).
        if not 0 < rate < 1:
            return None
        return self.seed_generator.dropout_mask(shape, rate, self.dtype)

    def _check_step(self, inputs: Array, states: States) -> None:
        super()._check_step(inputs, states)
        if inputs.shape[1:] != self.kernel.shape[:1]:
            raise ValueError(
                f"the cell {self.name!r} must be given inputs [batch, features] of "
                f"{self.kernel.shape[0]} features, received the shape {inputs.shape}"
            )

    def kernels(self, call: Call) -> tuple[Array, Array]:
        """Kernel and recurrent kernel: for a vjp, copies that later writes do not change."""
        if call.differentiable:
            return self.kernel.snapshot(), self.recurrent_kernel.snapshot()
        return self.kernel.value, self.recurrent_kernel.value

    def on_sums(self, activation: Any) -> Activation:
        """An activation with its gradient, after the clipping of its input."""
        function = activations.differentiable(activation)
        return function if self.clip is None else clipped(function, self.clip)

    def add_bias_gradient(self, d_projected: Array, grads: Gradients) -> None:
        """Adds the gradient for a bias that is added once to every row."""
        if self.bias is not None:
            grads.add(self.bias, d_projected.sum(axis=tuple(range(d_projected.ndim - 1))))

    def get_config(self) -> dict[str, Any]:
        own = {name: write_setting(name, getattr(self, name)) for name in self.settings}
        # Keras does not have this setting, so it is written only where it is used.
        clip = {} if self.clip is None else {"clip": self.clip}
        return {**super().get_config(), **own, **clip}


def settings_of(cell: type) -> tuple[str, ...]:
    """The names of the arguments of a cell's constructor, in order."""
    parameters = inspect.signature(cell.__init__).parameters.values()  # type: ignore[misc]
    named = (each.name for each in parameters if each.kind is not each.VAR_KEYWORD)
    return tuple(name for name in named if name != "self")


# The functions that read and write a setting, by the end of its name.
_OBJECTS: Mapping[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
_RATES = ("dropout", "recurrent_dropout")
_SWITCHES = ("use_bias", "unit_forget_bias", "reset_after")


def read_setting(name: str, value: Any, owner: str) -> Any:
    """The value of a setting as the cell keeps it."""
    room = _OBJECTS.get(name.rpartition("_")[2])
    if room is not None:
        return room.get(value)
    if name in _RATES:
        return clamp_rate(name, value)
    if name.endswith("units"):
        return check_units(value, owner, name)
    return bool(value) if name in _SWITCHES else value


def write_setting(name: str, value: Any) -> Any:
    """The value of a setting as configurations hold it."""
    room = _OBJECTS.get(name.rpartition("_")[2])
    return value if room is None else room.serialize(value)


def check_units(units: object, owner: str, argument: str = "units") -> int:
    """`units` as an int; raises ValueError unless it is a positive integer."""
    if isinstance(units, bool) or not isinstance(units, int | np.integer) or units <= 0:
        raise ValueError(
            f"Received an invalid value for argument `{argument}`, expected a positive integer, "
            f"got {units!r} (in {owner!r})"
        )
    return int(units)


def clamp_rate(argument: str, rate: object) -> float:
    """A dropout rate, clamped to [0, 1]."""
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise TypeError(f"`{argument}` must be a number between 0 and 1, received {rate!r}")
    value = float(rate)
    if math.isnan(value):
        raise ValueError(f"`{argument}` must be a number between 0 and 1, received {rate!r}")
    return min(1.0, max(0.0, value))


def refuse(arguments: dict[str, Any], owner: str) -> None:
    """Raises NotImplementedError if an argument of Keras that is not supported was used."""
    for argument, value in arguments.items():
        if value is not None:
            raise NotImplementedError(
                f"`{argument}` is not supported yet (in {owner!r}), received {value!r}"
            )
