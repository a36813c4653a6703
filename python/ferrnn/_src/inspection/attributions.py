"""Which inputs an output is owed to: integrated gradients (Sundararajan et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call
from ferrnn._src.layers.masking import Masking
from ferrnn._src.models.model import Model
from ferrnn._src.training.samples import checked_count
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

# Inputs and their mask to the chosen output of each sample, and its gradient by the inputs.
Slope: TypeAlias = Callable[[Array, "Mask | None"], tuple[Array, Array]]

# Samples that go through the model at once.
_TOGETHER = 128
# Of what is to be distributed, the part that may be missing.
_TOLERANCE = 0.01


def integrated_gradients(
    model: Any,
    x: Any,
    baseline: Any = 0.0,
    output: int | tuple[int, ...] | None = None,
    layer: Any = None,
    steps: int = 32,
) -> Array:
    r"""How much each input adds to an output, compared with inputs that say nothing.

    `(x - b) \int_0^1 df/dx(b + a (x - b)) da`, entry by entry, with the engine's exact gradients at
    the `steps` nodes of Gauss and Legendre. The attributions of a sample sum to `f(x) - f(b)`; a
    warning tells if more than a hundredth of that is missing, as it is where a model has kinks and
    the steps are few.

    Args:
        model: A model with one input and one output, built.
        x: `[samples, ...]`.
        baseline: What says nothing, `b`: of any shape that broadcasts to `x`.
        output: Which entry of the output `[samples, ...]` is meant, a number or one for each axis;
            None if there is but one.
        layer: Name of a layer whose outputs stand for the inputs: an `Embedding`, since numbers of
            words have no gradient. The baseline is then one of those outputs.
        steps: How many gradients are averaged.

    Returns:
        An array of the shape of `x`, or of the layer's outputs, in float64. Steps that a `Masking`
        layer at the beginning leaves out have zeros.

    Raises:
        ValueError: `output` names no entry, or `baseline` has another shape.
        TypeError: The inputs are not real numbers.

    >>> from ferrnn.layers import LSTM, Dense, Input
    >>> from ferrnn.models import Sequential
    >>> model = Sequential([Input((None, 2)), LSTM(3), Dense(1)])
    >>> x = np.random.default_rng(1).normal(size=(4, 5, 2))
    >>> found = integrated_gradients(model, x)
    >>> gained = (model(x) - model(np.zeros_like(x)))[:, 0]
    >>> found.shape, bool(np.allclose(found.sum(axis=(1, 2)), gained, atol=1e-6))
    ((4, 5, 2), True)
    """
    steps = checked_count(steps, "steps")
    inputs, mask, rest = _behind(model, x, layer)
    try:
        base = np.broadcast_to(np.asarray(baseline, inputs.dtype), inputs.shape)
    except ValueError as error:
        raise ValueError(
            f"`baseline` must broadcast to the shape {inputs.shape}, received {np.shape(baseline)}"
        ) from error
    slope = _slope(rest, output)
    made = np.empty(inputs.shape)
    for start in range(0, len(inputs), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        own = None if mask is None else mask[part]
        made[part] = _integrated(slope, inputs[part], base[part], own, steps)
    return made


def _behind(model: Any, x: Any, layer: Any) -> tuple[Array, Mask | None, Any]:
    """What the model is given from a layer on, its mask, and the model from there on."""
    if not model.built:
        model(x)
    start = _masking(model) if layer is None else _named(model, layer)
    mask, rest = None, model
    inputs = model.prepare_inputs(x)
    if start is not None:
        before: Any = Model(model.input, start.output)
        inputs, mask, _ = before.outputs_and_mask(inputs, Call())
        rest = Model(start.output, model.output)
    if not isinstance(inputs, np.ndarray):
        raise ValueError(  # noqa: TRY004 - it is the model that does not fit
            f"the model must have one input, received {type(inputs).__name__} of {len(inputs)}"
        )
    if inputs.dtype.kind != "f" or _embeds(rest):
        raise TypeError(
            "`x` must be real numbers that the model can be differentiated by: for an `Embedding`, "
            "give its name as `layer`"
        )
    return np.asarray(inputs), mask, rest


def _masking(model: Any) -> Any:
    """A `Masking` layer at the very beginning: what it leaves out must not depend on the path."""
    first = [each for each in model.layers if type(each).__name__ != "InputLayer"][:1]
    return first[0] if first and isinstance(first[0], Masking) else None


def _embeds(model: Any) -> bool:
    return any(type(each).__name__ == "Embedding" for each in model.layers)


def _named(model: Any, layer: Any) -> Any:
    for each in model.layers:
        if layer in (each, each.name):
            return each
    raise ValueError(
        f"`layer` must be one of {[each.name for each in model.layers]}, received {layer!r}"
    )


def _slope(model: Any, output: int | tuple[int, ...] | None) -> Slope:
    """The chosen output of a model and its gradient, for inputs and a mask."""

    def slope(inputs: Array, mask: Mask | None) -> tuple[Array, Array]:
        call = Call(differentiable=True, mask=mask, consume=True)
        outputs, _, vjp = model.outputs_and_mask(inputs, call)
        assert vjp is not None
        place = (slice(None), *_place(outputs, output))
        wanted = np.zeros_like(outputs)
        wanted[place] = 1
        return outputs[place], np.asarray(vjp(wanted, Gradients()))

    return slope


def _place(outputs: Any, output: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if not isinstance(outputs, np.ndarray):
        raise ValueError("the model must have one output")  # noqa: TRY004 - as above
    shape = outputs.shape[1:]
    if output is None and np.prod(shape, dtype=int) == 1:
        return (0,) * len(shape)
    place = (output,) if isinstance(output, int | np.integer) else tuple(output or ())
    fits = len(place) == len(shape)
    if not fits or any(not -size <= at < size for at, size in zip(place, shape, strict=True)):
        raise ValueError(
            f"`output` must name one entry of the outputs [samples, {str(list(shape))[1:-1]}], "
            f"received {output!r}"
        )
    return place


def _integrated(slope: Slope, inputs: Array, base: Array, mask: Mask | None, steps: int) -> Array:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(inputs.shape)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (base + node * (inputs - base)).astype(inputs.dtype)
        total += weight * slope(point, mask)[1]
    made: Array = total * (inputs - base)
    gained = slope(inputs, mask)[0] - slope(np.array(base), mask)[0]
    missing = np.abs(made.reshape(len(made), -1).sum(axis=1) - gained)
    if np.any(missing > _TOLERANCE * np.abs(gained) + 1e-4):
        warn(
            f"the attributions sum to {missing.max():.3g} more or less than the output changes by: "
            f"give more than {steps} `steps`"
        )
    return made
