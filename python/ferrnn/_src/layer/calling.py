"""What a call of a layer does besides computing: finding shapes and recording nodes."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ferrnn._src.configs.names import current_path, name_scope
from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.input_spec import check_inputs
from ferrnn._src.layer.masked import attach_mask, mask_of
from ferrnn._src.layer.signatures import parameters_of, places_of
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.shapes import map_shapes, probe, shapes_of
from ferrnn._src.symbolic.symbolic import Arguments, Node, SymbolicTensor, symbolic_leaves
from ferrnn._src.symbolic.symbolic_masks import mask_given_to
from ferrnn._src.tree.ragged import REMEDY, refuse_ragged
from ferrnn._src.tree.results import Output
from ferrnn._src.tree.tree import flatten

_training: ContextVar[bool | None] = ContextVar("training", default=None)


def resolved_training(training: bool | None) -> bool | None:
    """The value of `training` in a call: by default that of the enclosing call, if there is one.

    >>> resolved_training(None), resolved_training(True)
    (None, True)
    """
    return _training.get() if training is None else bool(training)


@contextmanager
def training_is(value: bool | None) -> Iterator[None]:
    """A block in which layers that are called without `training` take `value`.

    >>> with training_is(True):
    ...     resolved_training(None)
    True
    """
    token = _training.set(value)
    try:
        yield
    finally:
        _training.reset(token)


# The node of the call that is being recorded.
_recording: ContextVar[Node | None] = ContextVar("recording", default=None)


@contextmanager
def called_as(node: Node) -> Iterator[None]:
    """A block in which symbolic outputs are found for the masks of a node's call."""
    token = _recording.set(node)
    try:
        yield
    finally:
        _recording.reset(token)


def record(
    layer: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: bool | None,
    mask: Any,
) -> Any:
    """Records a call on symbolic tensors as a node, and returns its symbolic outputs."""
    for leaf in symbolic_leaves((args, kwargs)):
        if leaf.takes_layers:
            return leaf.recorded_layer(layer, args, kwargs, training, mask)
    inputs = layer.gather(*args, **kwargs)
    if layer.input_spec is not None:
        check_inputs(layer.input_spec, layer.main_input(inputs), layer.name)
    if not layer.built:
        layer.build_for(inputs)
    node = Node(layer, args, kwargs, inputs, training=training, mask=mask)
    with called_as(node):
        outputs = layer.symbolic_outputs(inputs)
    for index, tensor in enumerate(flatten(outputs)):
        tensor.node, tensor.index = node, index
    node.outputs = outputs
    layer._inbound_nodes.append(node)
    return outputs


def outputs_by_shape(layer: Any, main: Any) -> Any:
    """Symbolic outputs, with shapes from `compute_output_shape` of the main input."""
    shapes = layer.compute_output_shape(shapes_of(main))
    return map_shapes(lambda shape: SymbolicTensor(shape, layer.compute_output_dtype()), shapes)


def outputs_by_probe(layer: Any, inputs: Any) -> Any:
    """Symbolic outputs, with the shapes that a call on zeros gives.

    A layer that takes a mask gets one if the inputs will carry one.
    """
    node = _recording.get()
    mask = None
    if node is not None and node.layer is layer and "mask" in parameters_of(type(layer).call)[0]:
        mask = mask_given_to(node)

    def called(arrays: Any) -> Any:
        arguments, mask = arrays
        return layer(*arguments.args, **arguments.kwargs, mask=mask)

    with warnings.catch_warnings(), leaving_no_trace(layer):
        if mask is not None:
            warnings.simplefilter("ignore")  # the real call warns about a dropped mask
        return probe(called, (_as_arguments(inputs), mask))


@contextmanager
def leaving_no_trace(layer: Any) -> Iterator[None]:
    """Restores weights and stored states after the calls inside, which are not the user's."""
    weights = [(weight, weight.numpy(), weight.version) for weight in layer.weights]
    states = {id(part): part._states for part in _parts_with_states(layer)}
    losses = {id(part): (part._activity_losses, [*part._added_losses]) for part in _parts(layer)}
    try:
        yield
    finally:
        for part in _parts(layer):
            part._activity_losses, part._added_losses = losses.get(id(part), ((), []))
        for weight, value, version in weights:
            if weight.version != version:
                weight.assign(value)
        for part in _parts_with_states(layer):
            part._states = states.get(id(part))


def _parts(layer: Any) -> Iterator[Any]:
    """The layer and those inside, at any depth."""
    yield layer
    for part in layer.sublayers():
        yield from _parts(part)


def _parts_with_states(layer: Any) -> Iterator[Any]:
    return (part for part in _parts(layer) if hasattr(part, "_states"))


def _as_arguments(inputs: Any) -> Arguments:
    return inputs if isinstance(inputs, Arguments) else Arguments((inputs,), {})


def build_by_shapes(layer: Any, inputs: Any) -> None:
    """Builds a layer for the inputs of `forward`; `build` gets several shapes by name."""
    if isinstance(inputs, Arguments):
        wanted = [*inspect.signature(layer.build).parameters]
        if len(wanted) > 1:
            given = _by_names(layer, inputs)
            shapes = {name: given[name.removesuffix("_shape")] for name in _matching(layer, wanted)}
            layer.build(**{name: shapes_of(value) for name, value in shapes.items()})
            return
    layer.build(shapes_of(layer.main_input(inputs)))


def _by_names(layer: Any, inputs: Arguments) -> dict[str, Any]:
    """The arguments of a call by the names of the parameters of `call`."""
    places = places_of(type(layer).call)
    return {
        **dict.fromkeys(places),
        **dict(zip(places, inputs.args, strict=False)),
        **inputs.kwargs,
    }


def _matching(layer: Any, wanted: list[str]) -> list[str]:
    """The parameters of `build`, which must be named as those of `call` with `_shape` appended."""
    known, _ = parameters_of(type(layer).call)
    kind = type(layer).__name__
    for name in wanted:
        if not name.endswith("_shape"):
            raise ValueError(
                f"For a `build()` method with more than one argument, all arguments should have a "
                f"`_shape` suffix and match an argument from `call()`. E.g. `build(self, "
                f"foo_shape, bar_shape)`. For layer {kind!r}, received `build()` argument "
                f"`{name}`, which does not end in `_shape`."
            )
        if name.removesuffix("_shape") not in known:
            raise ValueError(
                f"For a `build()` method with more than one argument, all arguments should have a "
                f"`_shape` suffix and match an argument from `call()`. For layer {kind!r}, "
                f"received `build()` argument `{name}`, but `call()` does not have argument "
                f"`{name.removesuffix('_shape')}`."
            )
    return wanted


def without_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """The `call` of a layer whose class does not define one."""
    raise NotImplementedError(
        f"Layer {type(layer).__name__} does not have a `call` method implemented. Write "
        "`call(inputs)` in `ferrnn.ops`, or `forward(inputs, call)`"
    )


def call_of_forward(kind: Any, asking: Any) -> Callable[..., Any]:
    """The `super().call(...)` of a class that derives from `kind`, which defines `forward`.

    `asking` is the class `Call`.
    """

    def call(
        self: Any, *args: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        options = {"training": resolved_training(training), "mask": mask}
        inputs = kind.gather(self, *args, **kwargs)
        if tracing.current.get() is None:
            return kind.forward(self, kind.cast_inputs(self, inputs), asking(**options))[0]
        asked = asking(differentiable=True, **options)
        return tracing.record(
            lambda arrays: kind.forward(self, kind.cast_inputs(self, arrays), asked), inputs
        )

    return call


def takes_over(kind: Any, base: Any) -> None:
    """Lets the `call` of a class override the `forward` of the built-in layer below it."""
    inherited = next(each for each in kind.__mro__ if "forward" in vars(each))
    if inherited is not base and not hasattr(kind, "outputs_and_mask"):
        kind.forward = base.forward


def explain_separate(error: Exception, args: tuple[Any, ...], layer: Any) -> None:
    """Raises a helpful error if a layer with one input was given arrays of different lengths."""
    several = layer.takes_several or layer.written_with_call or len(args) != 1
    if not several and isinstance(args[0], list | tuple) and REMEDY not in str(error):
        try:
            refuse_ragged(args[0], f"`inputs` of layer {layer.name!r}")
        except ValueError as explained:
            raise explained from error


def plain_numbers(inputs: Any) -> bool:
    """Whether nested lists hold plain numbers, and so stand for one array."""
    return not any(hasattr(leaf, "shape") for leaf in flatten(inputs))


def legacy_input_shape(keras_face: dict[str, Any]) -> tuple[int | None, ...] | None:
    """Pops Keras 2's `input_shape=` or `input_dim=`, and returns that shape without the batch."""
    shape, length = keras_face.pop("input_shape", None), keras_face.pop("input_dim", None)
    if shape is None and length is None:
        return None
    warn(
        "Do not pass an `input_shape`/`input_dim` argument to a layer. When using Sequential "
        "models, prefer using an `Input(shape)` object as the first layer in the model instead.",
        UserWarning,
    )
    return tuple(shape) if length is None else (length,)


def marking_built(build: Callable[..., None]) -> Callable[..., None]:
    """`build` in the layer's name scope, which marks the layer as built."""

    @functools.wraps(build)
    def marking(self: Any, *shapes: Any, **named: Any) -> None:
        around, self._building = self._building, True
        try:
            with name_scope(self.name, self):
                self._path = current_path()
                build(self, *shapes, **named)
        finally:
            self._building = around
        self.built = True
        self.build_shape = shapes[0] if len(shapes) == 1 else [*shapes, *named.values()] or None

    return marking


def own_copy(leaf: Any) -> Any:
    """A copy of an array, with its mask."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    copied, mask = np.array(leaf), mask_of(leaf)
    return copied.view(Output) if mask is None else attach_mask(copied, mask)


def checked_flag(argument: str, value: Any) -> bool:
    """`value` as a bool; refuses anything else, such as numbers and strings.

    >>> checked_flag("trainable", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Expected argument `{argument}` to be a boolean, but received {value!r} of the type "
            f"{type(value).__name__}"
        )
    return bool(value)
