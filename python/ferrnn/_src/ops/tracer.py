"""The tracer's interface for layers: outputs and vjp of users' code, with layers as nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layer.losses import added_losses
from ferrnn._src.layer.masked import attach_mask
from ferrnn._src.ops.activating import operation_of
from ferrnn._src.ops.tape import Node, Trace, Traced, backward, root
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.weights.parameter import Gradients, Parameter


def differentiate(function: Callable[[Any], Any], inputs: Any) -> tuple[Any, Any]:
    """Outputs of a user's function, and `vjp(d_outputs, grads) -> d_inputs`."""
    trace = Trace()
    boxed = map_structure(_boxed, inputs)
    token, inside = tracing.current.set(trace), tracing.running.set(True)
    try:
        with np.errstate(all="ignore"):
            traced = function(boxed)
    finally:
        tracing.current.reset(token)
        tracing.running.reset(inside)
    ends = flatten(traced)
    starts = flatten(boxed)

    def vjp(d_outputs: Any, grads: Gradients) -> Any:
        pairs = zip(ends, flatten(d_outputs), strict=True)
        seeds = [(end._node, d) for end, d in pairs if type(end) is Traced and d is not None]
        found = backward(seeds, grads)
        _hand_over(trace, found, grads, starts)
        return pack_like(inputs, [_start_gradient(start, found) for start in starts])

    return map_structure(_unboxed, traced), vjp


def value_and_gradients(function: Callable[[], Any]) -> tuple[Any, Gradients]:
    """The value of a function without arguments, and its gradients for parameters."""
    trace, grads = Trace(), Gradients()
    token, inside = tracing.current.set(trace), tracing.running.set(True)
    try:
        with np.errstate(all="ignore"):
            returned = function()
    finally:
        tracing.current.reset(token)
        tracing.running.reset(inside)
    value = returned[0] if isinstance(returned, tuple) else returned
    if np.shape(tracing.plain(value)) not in {(), (1,)}:
        raise ValueError(
            "the function must return one number, or a tuple whose first entry is that number, "
            f"received an array of the shape {np.shape(tracing.plain(value))}"
        )
    if type(value) is Traced:
        found = backward([(value._node, np.ones(value.shape, value.dtype))], grads)
        _hand_over(trace, found, grads, ())
    return map_structure(_result, returned), grads


def _boxed(leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
        boxed = root(leaf.view(np.ndarray))
        boxed._keras_mask = getattr(leaf, "_keras_mask", None)
        return boxed
    return leaf


def _unboxed(leaf: Any) -> Any:
    value = tracing.plain(leaf)
    if isinstance(value, Parameter):
        return value.value
    return np.asarray(value) if isinstance(value, np.generic) else value


def _result(leaf: Any) -> Any:
    return _carrying(as_output(_unboxed(leaf)), getattr(leaf, "_keras_mask", None))


def _hand_over(
    trace: Trace, found: dict[Node, Any], grads: Gradients, starts: Sequence[Any]
) -> None:
    """Puts gradients for parameters into `grads`."""
    known = {start._node for start in starts if type(start) is Traced}
    for (parameter, _), leaf in trace.leaves.items():
        gradient = found.get(leaf._node)
        known.add(leaf._node)
        if gradient is not None:
            grads.add(parameter, np.asarray(gradient))
    if not known.issuperset(found):
        raise RuntimeError("traced code used a value of another trace: pass it as an argument")


def _start_gradient(start: Any, found: dict[Node, Any]) -> Any:
    if type(start) is not Traced:
        return None
    gradient = found.get(start._node)
    return np.zeros(start.shape, start.dtype) if gradient is None else np.asarray(gradient)


def activation(name: str) -> Callable[..., Any]:
    """The operation that computes an activation, with its options or on symbolic tensors."""
    return operation_of(name)


def call_layer(layer: Any, inputs: Any, call: Call) -> Any:
    """A layer's outputs while a trace runs: one node, with the layer's own vjp.

    A layer that defines only `call` has none: its code becomes part of the trace.
    """
    mask = call.mask
    of_constants = getattr(tracing.current.get(), "layer_of_constants", None)
    if of_constants is not None:  # a trace that becomes a graph
        return of_constants(layer, inputs)
    if type(layer).forward is Layer.forward:
        outputs = layer.forward(map_structure(tracing.traced_parameter, inputs), call)[0]
        made = None if mask is None else layer.compute_mask(layer.main_input(inputs), mask)
        return _masked(outputs, made)
    gathered = added_losses.get()
    losses: list[float] | None = None if gathered is None else []
    asked = Call(training=call.training, differentiable=True, mask=mask, losses=losses)

    def forward(arrays: Any) -> tuple[Any, Any]:
        arrays = layer.cast_inputs(arrays)
        if hasattr(layer, "outputs_and_mask"):
            outputs, out_mask, vjp = layer.outputs_and_mask(arrays, asked)
        else:
            outputs, vjp = layer.forward_with_losses(arrays, asked)
            out_mask = layer.compute_mask(layer.main_input(arrays), mask)
        if gathered is not None and losses:
            gathered.extend(losses)  # the vjp gives their gradient
        return _masked(outputs, out_mask), vjp

    return tracing.record(forward, inputs)


def _masked(outputs: Any, masks: Any) -> Any:
    """The outputs with a mask, on the first of several or on each of them."""
    if masks is None:
        return outputs
    if not isinstance(outputs, list | tuple):
        return _carrying(outputs, masks[0] if isinstance(masks, list | tuple) else masks)
    listed = list(masks) if isinstance(masks, list | tuple) else [masks]
    listed += [None] * (len(outputs) - len(listed))
    parts = [_carrying(part, mask) for part, mask in zip(outputs, listed, strict=True)]
    return tuple(parts) if isinstance(outputs, tuple) else parts


def _carrying(output: Any, mask: Any) -> Any:
    if mask is None:
        return output
    if isinstance(output, Traced):
        carrying = Traced(output._value, output._node)
        carrying._keras_mask = mask
        return carrying
    return attach_mask(output, mask) if isinstance(output, np.ndarray) else output
