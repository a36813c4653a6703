"""Layers that plans do not know: the engine runs their code as a program, or hands them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ferrnn._src.configs.notices import warn_of_no_gradient
from ferrnn._src.layer.calling import called_as
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layer.serialization import parts_inside
from ferrnn._src.layers.spectral_normalization import SpectralNormalization
from ferrnn._src.models.written import Said, weights_in
from ferrnn._src.models.written_cells import written as programs_of
from ferrnn._src.programs.settings import mentions
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Gradients, Parameter, written
from ferrnn._src.weights.random import taken_back

# Rows, time and features: the engine's shape of any value.
Axes: TypeAlias = tuple[int, int, int]


# Stands for a length that is not known.
ANY = 7


class HandedBack:
    """A step of a graph as the engine's plan calls it.

    Values come and go as `[rows, time, features]`, or flat; in between they have the shapes that
    the graph knows. What forward kept for backward is that of the last call.
    """

    __slots__ = (
        "_asks",
        "_count",
        "_inputs",
        "_kept",
        "_losses",
        "_masked",
        "_ours",
        "_runs",
        "_shapes",
        "_sources",
        "_step",
        "_training",
        "_warned",
        "_written",
        "bare",
        "weights",
    )

    def __init__(
        self, step: Any, count: int, asks: bool, low: Lowering, masked: Sequence[bool]
    ) -> None:
        self._step, self._count, self._asks = step, count, asks
        self._training = low.training  # whatever a call says, if not None
        self._masked = tuple(masked)  # whether each input comes with a mask
        self._losses = low.losses if _may_add_losses(step.layer) else None
        self._sources: list[int] = step.sources
        self._inputs = [tensor.shape for tensor in step.node.input_tensors]
        # Of the outputs, by those of the inputs.
        self._shapes: dict[tuple[Axes, ...], list[Shape]] = {}
        self._kept: tuple[Vjp, list[Any]] | None = None
        # Weights that an operation takes as they are: it has no others.
        self.bare = weights_in(step.node.inputs)
        bare = [weight for weight in self.bare if weight.trainable]
        self.weights: list[Parameter] = [*step.layer.trainable_weights, *bare]
        self._written = programs_of(step, count, self.weights, asks)
        self._warned = False
        # Whether there is no code of users, and none that assigns to weights.
        self._ours = all(
            type(part).__module__.startswith("ferrnn._src.")
            and type(part) is not SpectralNormalization
            for part in parts_inside(step.layer)
        )
        # Whether its code is a program, in training and without.
        self._runs = {True: False, False: False}

    @property
    def waits(self) -> bool:
        """Whether code of a user's sees its weights, or may assign to them: after each step."""
        runs = self._runs[True] and self._runs[False]
        return bool(self.weights) and not runs and not self._ours

    def collects(self, training: bool) -> bool:
        """Whether it may add to the loss."""
        return self._losses is not None and not self._runs[training]

    def is_inside(self, layer: Any) -> None:
        """Notes the user's layer whose code it is a part of, unless it is known."""
        if self._written.inside is None:
            self._written.inside = layer

    def unwritten(self) -> str | None:
        """Why its code is Python's in a step of training, None if it is a program.

        A length that is not known yet may be any.
        """
        tensors = self._step.node.input_tensors
        shapes = [tuple(n or ANY for n in tensor.shape[1:]) for tensor in tensors]
        made = self._symbolic([(ANY, *shape) for shape in shapes])
        if len(made) > 1:
            return "several outputs"
        why = None
        for training in (False, True):
            how = (self._as_told(training), training)
            found = self._written.found(shapes, made[0][1:], self._masked, how)
            self._runs[training] = not isinstance(found, str)
            why = found if isinstance(found, str) else None
        return why

    def _as_told(self, training: bool) -> bool:
        """How the layer is called in a call that is as in training, or not."""
        return training if self._training is None else self._training

    def program(
        self, given: list[Axes], masked: Sequence[bool], training: bool, keep: bool
    ) -> Said | None:
        """The layer's code as a program for inputs of that shape, None if Python runs it."""
        output, *_ = self._known(given)
        shapes = [real_shape(*pair)[1:] for pair in zip(given, self._inputs, strict=True)]
        found = self._written.found(shapes, output[1:], masked, (self._as_told(training), keep))
        self._runs[training] = not isinstance(found, str)
        if isinstance(found, str):
            self._written.tell(found)
            return None
        unused = {*range(len(self.weights))}.difference(
            each for each in found[3] if type(each) is int
        )
        if keep and unused:
            self._warn_of([self.weights[n] for n in sorted(unused)])
        return found

    def shape(self, given: list[Axes]) -> list[Axes]:
        """The shapes of the outputs, as the engine has them."""
        return [*map(engine_axes, self._known(given))]

    def _known(self, given: list[Axes]) -> list[Shape]:
        key = tuple(given)
        if key not in self._shapes:
            if len(self._shapes) > 8:
                self._shapes.clear()
            pairs = zip(given, self._inputs, strict=True)
            self._shapes[key] = self._symbolic([real_shape(*pair) for pair in pairs])
        return self._shapes[key]

    def _symbolic(self, shapes: list[tuple[int, ...]]) -> list[Shape]:
        """The shapes that the layer says its outputs have for inputs of some shapes."""
        values: list[Any] = [None] * self._count
        masks: list[Any] = [None] * self._count
        tensors, step = self._step.node.input_tensors, self._step
        for at, (source, shape) in enumerate(zip(self._sources, shapes, strict=True)):
            values[source] = SymbolicTensor(shape, tensors[at].dtype)
            masks[source] = SymbolicTensor(shape[:2], "bool") if self._masked[at] else None
        layer, inputs = step.layer, step.gathered(values)
        mask = step.mask_of(values, masks) if any(self._masked) else None
        drawing = taken_back() if _may_draw(layer) else nullcontext()
        with drawing, called_as(Node(layer, (), {}, inputs, mask=mask)):
            outputs = layer.symbolic_outputs(inputs)
        return [tensor.shape for tensor in flatten(outputs)]

    def forward(
        self, arrays: list[Array], masks: Sequence[bytes | None], training: bool, keep: bool
    ) -> list[Array]:
        """The outputs, flat; with `keep`, `backward` may follow."""
        step = self._step
        if self.bare:
            raise ValueError(
                f"{step.layer.name!r} takes weights, and is no program for such inputs"
            )
        values: list[Any] = [None] * self._count
        for source, array, shape in zip(self._sources, arrays, self._inputs, strict=True):
            values[source] = array.reshape(real_shape(array.shape, shape))
        known: list[Any] | None = None
        for source, mask, array in zip(self._sources, masks, arrays, strict=True):
            if mask is not None:
                known = [None] * self._count if known is None else known
                known[source] = np.frombuffer(mask, bool).reshape(array.shape[:2])
        masked = known is not None
        added: list[float] = []
        call = Call(self._as_told(training), keep, keep and self._asks, None, keep, added)
        self._kept = None
        if training and keep:
            written(self.weights)  # by the steps before in this call of the engine
        vjp, made = step.run(values, known, step.call_for(call))
        if training and self._losses is not None:
            self._losses += added
        elif added and self._losses is None:
            raise ValueError(f"layer {step.layer.name!r} adds a loss, which its code does not show")
        if not masked and made is not None:
            raise ValueError(f"layer {step.layer.name!r} makes a mask, which plans do not know")
        if keep and vjp is not None:
            self._kept = vjp, values
        outputs = [np.asarray(values[target]) for target in step.targets]
        self._expect(arrays, [each.shape for each in outputs])
        return [np.ascontiguousarray(each).reshape(-1) for each in outputs]

    def _expect(self, arrays: list[Array], received: list[Shape]) -> None:
        key: Any = tuple(array.shape for array in arrays)
        known = self._shapes.get(key)
        for expected, shape in zip(known or (), received, strict=known is not None):
            if tuple(expected) == shape:
                continue
            raise ValueError(
                f"layer {self._step.layer.name!r} should have returned outputs of the shape "
                f"{expected}, received {shape}"
            )

    def backward(self, slopes: list[Array]) -> tuple[list[Array | None], list[Array]]:
        """The gradients of the inputs and of the weights, flat."""
        if self._kept is None:
            raise ValueError(f"layer {self._step.layer.name!r} gives no gradient")
        (vjp, values), self._kept, step = self._kept, None, self._step
        slots: list[Any] = [None] * self._count
        for source in self._sources:
            slots[source] = _Apart()
        for target, slope in zip(step.targets, slopes, strict=True):
            slots[target] = slope.reshape(values[target].shape)
        grads = Gradients()
        step.back(slots, values, vjp, grads)
        by_inputs = [slots[source].next() for source in self._sources]
        unused = [weight for weight in self.weights if weight not in grads]
        if unused:
            self._warn_of(unused)
            for weight in unused:
                grads.add(weight, np.zeros(weight.shape, weight.dtype))
        by_weights = [grads[weight] for weight in self.weights]
        return [*map(_flat, by_inputs)], [np.ravel(gradient) for gradient in by_weights]

    def _warn_of(self, unused: Sequence[Parameter]) -> None:
        if not self._warned:
            self._warned = True
            warn_of_no_gradient(unused)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HandedBack):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        """What it is made of; the step lives as long as the plan."""
        return id(self._step), self._asks, self._training, tuple(map(id, self.weights))


def _may_add_losses(layer: Any) -> bool:
    """Whether a layer, or one inside, may add to the loss, as far as their code shows."""
    return any(
        getattr(part, "activity_regularizer", None) is not None or mentions(type(part), "add_loss")
        for part in parts_inside(layer)
    )


def _may_draw(layer: Any) -> bool:
    """Whether finding the shapes of outputs may draw random numbers: it runs the layer's code."""
    function = getattr(type(layer), "function", None)
    return layer.written_with_call or getattr(function, "__module__", "").endswith("ops.drawing")


class _Apart:
    """Gradients of one value that would be summed, one by one: the engine sums them."""

    def __init__(self) -> None:
        self._came: list[Any] = []

    def __add__(self, gradient: Any) -> _Apart:
        self._came.append(gradient)
        return self

    def next(self) -> Any:
        """The next one, None after the last."""
        return self._came.pop(0) if self._came else None


class AppliedToRows:
    """An activation that the engine does not know, behind a product that it computes."""

    __slots__ = ("_function", "_kept")

    weights: tuple[Parameter, ...] = ()
    bare: tuple[Parameter, ...] = ()
    waits = False
    why: ClassVar[str | None] = "its activation is computed in NumPy"  # as a part of a plan

    def collects(self, training: bool) -> bool:
        """Whether it may add to the loss: never."""
        return False

    def is_inside(self, layer: Any) -> None:
        """Nothing is said of it."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._kept: tuple[Array, Array] | None = None

    def shape(self, given: list[Axes]) -> list[Axes]:
        """The shape of the inputs."""
        return given

    def program(
        self, given: list[Axes], masked: Sequence[bool], training: bool, keep: bool
    ) -> Said | None:
        """None: NumPy's bits are those of layers outside a plan."""
        return None

    def forward(
        self, arrays: list[Array], masks: Sequence[bytes | None], training: bool, keep: bool
    ) -> list[Array]:
        """The outputs, flat; with `keep`, `backward` may follow."""
        rows = self.applied_to(arrays[0])
        made: Array = np.ascontiguousarray(self._function.of_layer(rows))
        self._kept = (rows, made) if keep else None
        return [made.reshape(-1)]

    def backward(self, slopes: list[Array]) -> tuple[list[Array | None], list[Array]]:
        """The gradient of the inputs, flat."""
        if self._kept is None:
            raise ValueError("there was no forward pass that kept anything")
        (rows, made), self._kept = self._kept, None
        slope = self._function.backward(rows, made, slopes[0].reshape(made.shape))
        return [_flat(np.asarray(slope, made.dtype))], []

    def applied_to(self, array: Array) -> Array:
        """What the function is applied to: rows of features."""
        return array.reshape(-1, array.shape[-1])

    @property
    def _key(self) -> tuple[Any, ...]:
        return (id(self._function),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AppliedToRows):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _flat(slope: Any) -> Array | None:
    return None if slope is None else np.ascontiguousarray(slope).reshape(-1)


def real_shape(axes: Sequence[int], known: Shape) -> tuple[int, ...]:
    """The shape that the engine's `axes` stand for, of which the graph has `known` some lengths.

    >>> real_shape((2, 1, 5), (None, 5)), real_shape((2, 12, 3), (None, None, 4, 3))
    ((2, 5), (2, 3, 4, 3))
    """
    rows, time, features = axes
    rest = known[1:]
    if len(rest) == 2:
        return rows, time, features
    product = math.prod(length for length in rest if length is not None)
    each = time * features // max(product, 1)
    return (rows, *(each if length is None else length for length in rest))


def engine_axes(shape: Shape) -> Axes:
    """Rows, time and features of a shape.

    >>> engine_axes((2, 5)), engine_axes((2, 3, 4, 3))
    ((2, 1, 5), (2, 12, 3))
    """
    rows, *rest = (length or 0 for length in shape)
    features = rest[-1] if rest else 1
    return rows, math.prod(rest[:-1]), features
