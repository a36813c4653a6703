"""What the built-in cells share: settings, weights, initial states and the drawing of dropout."""

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
    """A cell's weights as the engine takes them.

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
            raise ValueError(f"`batch_size` of the cell {self.name!r} must be given")
        sizes = flatten(self.state_size)
        return [as_output(np.zeros((batch_size, size), self.dtype)) for size in sizes]

    # What tells `state_structure` that nothing is known but `state_size`.
    get_initial_state.by_state_size = True  # type: ignore[attr-defined]

    def draw_dropout(self, batch: int, features: int) -> Dropout:
        """The dropout masks of one training call; None without dropout."""
        return None

    def __call__(  # type: ignore[override]
        self, inputs: Any, states: Any, training: bool | None = None
    ) -> tuple[Array, Any]:
        """One step from the given states: the output and the new states, nested as they came."""
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
        """One step, as a call of the cell: what a subclass may override, in `ferrnn.ops`."""
        return Cell.__call__(self, inputs, states, training)

    def adds_losses(self) -> bool:
        """Whether an own `call`, or a cell inside, may put a penalty on what it gives out."""
        return type(self).call is not Cell.call or super(Layer, self).adds_losses()

    def _traced_step(self, inputs: Any, states: Any, training: bool) -> tuple[Any, Any]:
        """One step as one node of a running trace."""
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
        """Refuses states of a wrong number or batch."""
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
        raise NotImplementedError(f"the cell {self.name!r} does not define `step`")


class BuiltInCell(Cell):
    """A cell with `kernel`, `recurrent_kernel` and `bias`, gates side by side in their columns.

    With `clip=bound`, which Keras does not have, the sums that go into the activations of gates and
    candidate are clipped to `[-bound, bound]` first, as ONNX has it. A gradient is zero where its
    sum was clipped.
    """

    takes_flat_states: ClassVar[bool] = True
    native_name: ClassVar[str]  # of its equations in the engine
    gates: ClassVar[int]  # blocks of `units` columns in the kernel
    gated: ClassVar[tuple[int, ...]]  # those that the gates' activation sees
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
    packed: Any = None  # the engine's copy of the weights, and what it was made from
    packed_rounded: Any = None  # the same in `inference_precision`
    _inference_precision = "full"

    @property
    def inference_precision(self) -> str:
        """How weights are kept for calls without gradients: "full", "bfloat16" or "int8".

        With "bfloat16" the recurrent ones are rounded to 8 bits of precision; with "int8" these and
        the input's are integers from -127 to 127 with a scale for each column. States and biases
        stay float32. A half or a quarter is read, so that few large sequences are computed faster
        (docs/tuning.md has figures). Training is not affected.
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
                f"`inference_precision` of {self.name!r} can be {value!r} for float32 weights "
                f"only, the dtype is {self.dtype}"
            )
        self._inference_precision = value

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A cell of the engine says its settings once: as the arguments of its constructor."""
        super().__init_subclass__(**kwargs)
        if "native_name" in vars(cls):
            cls.settings = settings_of(cls)

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Takes the settings out of what the cell's constructor was `given`: its `locals()`."""
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
        """The weights as the engine takes them."""
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
        """Kernel and recurrent kernel; for a vjp to keep, copies that no later write changes."""
        if call.differentiable:
            return self.kernel.snapshot(), self.recurrent_kernel.snapshot()
        return self.kernel.value, self.recurrent_kernel.value

    def on_sums(self, activation: Any) -> Activation:
        """An activation, with its gradient, as the cell applies it to sums of products."""
        function = activations.differentiable(activation)
        return function if self.clip is None else clipped(function, self.clip)

    def add_bias_gradient(self, d_projected: Array, grads: Gradients) -> None:
        """Adds the gradient by a bias that is added once to every row."""
        if self.bias is not None:
            grads.add(self.bias, d_projected.sum(axis=tuple(range(d_projected.ndim - 1))))

    def get_config(self) -> dict[str, Any]:
        own = {name: write_setting(name, getattr(self, name)) for name in self.settings}
        # Keras has no such setting: only those who use it have it in their files.
        clip = {} if self.clip is None else {"clip": self.clip}
        return {**super().get_config(), **own, **clip}


def settings_of(cell: type) -> tuple[str, ...]:
    """The names of the arguments of a cell's constructor, in their order."""
    parameters = inspect.signature(cell.__init__).parameters.values()  # type: ignore[misc]
    named = (each.name for each in parameters if each.kind is not each.VAR_KEYWORD)
    return tuple(name for name in named if name != "self")


# What reads and writes a setting, by the end of its name.
_OBJECTS: Mapping[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
_RATES = ("dropout", "recurrent_dropout")
_SWITCHES = ("use_bias", "unit_forget_bias", "reset_after")


def read_setting(name: str, value: Any, owner: str) -> Any:
    """A setting as the cell keeps it."""
    room = _OBJECTS.get(name.rpartition("_")[2])
    if room is not None:
        return room.get(value)
    if name in _RATES:
        return clamp_rate(name, value)
    if name.endswith("units"):
        return check_units(value, owner, name)
    return bool(value) if name in _SWITCHES else value


def write_setting(name: str, value: Any) -> Any:
    """A setting as configurations hold it."""
    room = _OBJECTS.get(name.rpartition("_")[2])
    return value if room is None else room.serialize(value)


def check_units(units: object, owner: str, argument: str = "units") -> int:
    """`units` as an int; it must be a positive whole number."""
    if isinstance(units, bool) or not isinstance(units, int | np.integer) or units <= 0:
        raise ValueError(
            f"Received an invalid value for argument `{argument}`, expected a positive integer, "
            f"got {units!r} (in {owner!r})"
        )
    return int(units)


def clamp_rate(argument: str, rate: object) -> float:
    """A dropout rate, brought into [0, 1]."""
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise TypeError(f"`{argument}` must be a number between 0 and 1, received {rate!r}")
    value = float(rate)
    if math.isnan(value):
        raise ValueError(f"`{argument}` must be a number between 0 and 1, received {rate!r}")
    return min(1.0, max(0.0, value))


def refuse(arguments: dict[str, Any], owner: str) -> None:
    """Raises for an argument of Keras' that is not supported yet and was used all the same."""
    for argument, value in arguments.items():
        if value is not None:
            raise NotImplementedError(
                f"`{argument}` is not supported yet (in {owner!r}), received {value!r}"
            )
