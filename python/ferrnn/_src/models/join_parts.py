"""Layers that join several values, as parts of the engine for plans."""

from __future__ import annotations

from typing import Any, Final

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.joining import Concatenate, Dot
from ferrnn._src.layers.merge import Add, Average, Multiply, Subtract
from ferrnn._src.models.functions import Part
from ferrnn._src.training.plan_parts import Lowering

# How each layer joins values; `Dot` is not entry by entry.
JOINS: Final[dict[type[Layer], str]] = {
    Add: "sum",
    Average: "mean",
    Concatenate: "concat",
    Dot: "dot",
    Multiply: "product",
    Subtract: "difference",
}


def join(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    """The part of a layer that joins values, or the reason why it has none."""
    layer, shapes = step.layer, [tensor.shape for tensor in step.node.input_tensors]
    kind, why = JOINS[type(layer)], None
    if kind == "product" and any(value in low.masked for value in given):
        why = "its inputs carry masks"
    elif len(given) < 2 or not step.flat:
        why = "its inputs are not a list of two or more arrays"
    elif kind == "concat" and layer.axis not in (-1, len(shapes[0]) - 1):
        why = f"it has axis={layer.axis}"
    elif kind == "dot" and layer.normalize:
        why = "it has normalize=True"
    elif not _fit(kind, shapes):
        why = f"its inputs have the shapes {shapes}"
    if why is not None:
        return why
    if kind == "dot":
        return [
            (("dot", *_over_steps(layer, shapes), len(step.node.output_tensors[0].shape) == 2), [])
        ]
    return [(("join", kind), [])]


def _fit(kind: str, shapes: list[Any]) -> bool:
    """Whether the engine can join values of these shapes."""
    if any(len(shape) not in (2, 3) for shape in shapes):
        return False
    lengths = [shape[:-1] if kind == "concat" else shape for shape in shapes]
    return kind == "dot" or all(each == lengths[0] for each in lengths)


def _over_steps(layer: Dot, shapes: list[Any]) -> list[bool]:
    """Whether each of two values is summed over its steps, and not over its features."""
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    ranks = [len(shape) for shape in shapes]
    return [axis % rank < rank - 1 for axis, rank in zip(axes, ranks, strict=True)]
