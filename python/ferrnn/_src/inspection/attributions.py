"""Attributions of outputs to inputs: integrated gradients (Sundararajan et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call
from ferrnn._src.layers.masking import Masking
from ferrnn._src.models.model import Model
from ferrnn._src.training.samples import checked_count
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

# From inputs and their mask to the chosen output of each sample and its gradients.
Slope: TypeAlias = Callable[[list[Array], "Mask | None"], tuple[Array, list[Array]]]

# The number of samples in one call of the model.
_TOGETHER = 128
# The fraction of the difference that may be missing without a warning.
_TOLERANCE = 0.01


def integrated_gradients(
    model: Any,
    x: Any,
    baseline: Any = 0.0,
    output: int | tuple[int, ...] | None = None,
    layer: Any = None,
    steps: int = 32,
) -> Any:
    r"""How much each input adds to an output, compared with a baseline.

    `(x - b) \int_0^1 df/dx(b + a (x - b)) da`, entry by entry, with the engine's exact gradients at
    the `steps` nodes of Gauss and Legendre. The attributions of a sample sum to `f(x) - f(b)`; a
    warning says if more than a hundredth of that is missing, which happens where a model has kinks
    and there are few steps.

    Args:
        model: A model with one output, built.
        x: `[samples, ...]`; several inputs as `predict` takes them.
        baseline: The inputs `b` to compare with, of any shape that broadcasts to `x`; for several
            inputs a number, a list with one for each or, where they have names, a dict.
        output: Which entry of the output `[samples, ...]` to explain, a number or one per axis;
            None if there is only one.
        layer: Name of a layer whose outputs stand in for the inputs: an `Embedding`, since word
            ids have no gradient. The baseline is then one of those outputs. Only for models with
            one input.
        steps: How many gradients are averaged.

    Returns:
        An array of the shape of `x`, or of the layer's outputs, in float64; for several inputs one
        for each, in the structure of the model's inputs. Steps that a `Masking` layer at the
        beginning leaves out have zeros.

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
    given, mask, rest = _behind(model, x, layer)
    inputs = [np.asarray(each) for each in flatten(given)]
    like = inputs[0] if len(inputs) == 1 else model.input  # for several inputs, a list or a dict
    base = _baselines(baseline, like, inputs)
    slope = _slope(rest, output, given)
    made = [np.empty(each.shape) for each in inputs]
    for start in range(0, len(inputs[0]), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        own = None if mask is None else mask[part]
        ends = [each[part] for each in inputs], [each[part] for each in base]
        for to, found in zip(made, _integrated(slope, *ends, own, steps), strict=True):
            to[part] = found
    return pack_like(like, made)


def _behind(model: Any, x: Any, layer: Any) -> tuple[Any, Mask | None, Any]:
    """The outputs of a layer, their mask, and the part of the model after it."""
    if not model.built:
        model(x)
    mask, rest = None, model
    inputs = model.prepare_inputs(x)
    count = len(flatten(inputs))
    if layer is not None and count > 1:
        raise ValueError(
            f"`layer` can only be given for a model with one input, received a model with {count}"
        )
    start = _named(model, layer) if layer is not None else _masking(model) if count == 1 else None
    if start is not None:
        before: Any = Model(model.input, start.output)
        inputs, mask, _ = before.outputs_and_mask(inputs, Call())
        rest = Model(start.output, model.output)
    if any(each.dtype.kind != "f" for each in flatten(inputs)) or _embeds(rest):
        raise TypeError(
            "`x` must be real numbers, with respect to which the model can be differentiated: for "
            "an `Embedding`, pass its name as `layer`"
        )
    return inputs, mask, rest


def _baselines(baseline: Any, like: Any, inputs: list[Array]) -> list[Array]:
    """The baseline of each input, in its shape; `like` are the inputs in the caller's structure."""
    given = _one_for_each(baseline, like, len(inputs))
    return [_baseline(each, array) for each, array in zip(given, inputs, strict=True)]


def _baseline(given: Any, inputs: Array) -> Array:
    try:
        return np.broadcast_to(np.asarray(given, inputs.dtype), inputs.shape)
    except ValueError as error:
        raise ValueError(
            f"`baseline` must broadcast to the shape {inputs.shape}, received {np.shape(given)}"
        ) from error


def _one_for_each(baseline: Any, like: Any, count: int) -> list[Any]:
    named = isinstance(like, Mapping)
    if count == 1 or not isinstance(baseline, list | tuple | Mapping):
        return [baseline] * count
    if named and isinstance(baseline, Mapping) and set(baseline) == set(like):
        return flatten({name: np.asarray(baseline[name]) for name in like})
    if not named and isinstance(baseline, list | tuple) and len(baseline) == count:
        return list(baseline)
    expected = f"a dict of {[*like]}" if named else f"a list of {count}"
    received = [*baseline] if isinstance(baseline, Mapping) else f"{len(baseline)} in a list"
    raise ValueError(f"`baseline` must be a number or {expected}, received {received}")


def _masking(model: Any) -> Any:
    """A `Masking` layer at the very beginning, whose mask must not change along the path."""
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


def _slope(model: Any, output: int | tuple[int, ...] | None, like: Any) -> Slope:
    """The chosen output of a model and its gradients, for inputs in the structure of `like`."""

    def slope(inputs: list[Array], mask: Mask | None) -> tuple[Array, list[Array]]:
        call = Call(differentiable=True, mask=mask, consume=True)
        outputs, _, vjp = model.outputs_and_mask(pack_like(like, inputs), call)
        assert vjp is not None
        place = (slice(None), *_place(outputs, output))
        wanted = np.zeros_like(outputs)
        wanted[place] = 1
        return outputs[place], [np.asarray(each) for each in flatten(vjp(wanted, Gradients()))]

    return slope


def _place(outputs: Any, output: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if not isinstance(outputs, np.ndarray):
        raise ValueError("`model` must have one output")  # noqa: TRY004 - as above
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


def _integrated(
    slope: Slope, inputs: list[Array], base: list[Array], mask: Mask | None, steps: int
) -> list[Array]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    totals = [np.zeros(each.shape) for each in inputs]
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = [_between(*ends, node) for ends in zip(base, inputs, strict=True)]
        slopes = slope(point, mask)[1]
        totals = [total + weight * each for total, each in zip(totals, slopes, strict=True)]
    ends = zip(totals, inputs, base, strict=True)
    made = [total * (each - nothing) for total, each, nothing in ends]
    gained = slope(inputs, mask)[0] - slope([*map(np.array, base)], mask)[0]
    sums = sum(each.reshape(len(each), -1).sum(axis=1) for each in made)
    missing = np.abs(sums - gained)
    if np.any(missing > _TOLERANCE * np.abs(gained) + 1e-4):
        warn(
            f"the attributions sum to {missing.max():.3g} more or less than the change of the "
            f"output: pass more than {steps} `steps`"
        )
    return made


def _between(base: Array, inputs: Array, part: float) -> Array:
    point: Array = (base + part * (inputs - base)).astype(inputs.dtype)
    return point
