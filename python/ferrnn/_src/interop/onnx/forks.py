"""Two branches from one value that are merged again: a Bidirectional layer of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ferrnn._src.interop.onnx.files import Node
from ferrnn._src.interop.onnx.programs import Noted
from ferrnn._src.interop.onnx.recurrent_layers import ONE_WAY, RecurrentChain
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.tree.types import Array

_MODES = {"Add": "sum", "Mul": "mul", "Concat": "concat"}


class ForkedChain(RecurrentChain, Protocol):
    """The additional interface of a chain that forks use."""

    def take(self, noted: Noted) -> None: ...


def both_ways(chain: ForkedChain, steps: Sequence[Noted]) -> int:
    """Makes a layer of both directions, if the first steps are one; returns their number, or 0."""
    start = chain.at, chain.axes, chain.flipped, chain.made
    node, _, _, outputs = steps[0]
    parts = node.operator == "Split" and len(outputs) == 2
    if parts and chain.axes[node.attributes.get("axis", 0)] == "d":
        starts, ahead = outputs, 1
    elif sum(chain.at in inputs for _, _, inputs, _ in steps) == 2:
        starts, ahead = [chain.at], 0
    else:
        return 0
    found = _ways(starts, steps[ahead:])
    if found is None:
        return 0
    ways, count = found
    join = steps[ahead + count - 1]
    ends = []
    for way, name in zip(ways, starts * 2, strict=False):
        chain.at, chain.axes, chain.flipped, _ = name, *start[1:]
        chain.made = []
        for each in way:
            chain.take(each)
        ends.append((chain.made, chain.axes, chain.flipped))
    chain.made = start[-1]
    joined = _joined(chain, ends) if len(starts) == 1 else _chosen(chain, ends)
    if not joined or not _merges(join[0], len(chain.axes)):
        raise chain.refused(join[0], "its inputs are not the two directions of one layer")
    layer: Any = chain.made[-1][0]
    layer.merge_mode = _MODES[join[0].operator]
    chain.at, chain.flipped = join[3][0], False
    return ahead + count


_End = tuple[list[tuple[Layer, list[Array]]], str, bool]


def _joined(chain: ForkedChain, ends: list[_End]) -> bool:
    """Makes one layer from the layers of two branches, if they are its two directions."""
    (ahead, axes, turned), (back, other, again) = ends
    if len(ahead) != 1 or len(back) != 1 or axes != other or turned or ("t" in axes and not again):
        return False
    (first, weights), (second, more) = ahead[0], back[0]
    if not isinstance(first, ONE_WAY) or not isinstance(second, ONE_WAY):
        return False
    if first.go_backwards or not second.go_backwards:
        return False
    layer = Bidirectional(first, backward_layer=second, dtype=chain.dtype)
    chain.made.append((layer, [*weights, *more]))
    return True


def _chosen(chain: ForkedChain, ends: list[_End]) -> bool:
    """Whether two branches pass on the directions of the layer before unchanged."""
    (ahead, axes, _), (back, other, _) = ends
    layer = chain.made[-1][0] if chain.made else None
    return not ahead and not back and axes == other and isinstance(layer, Bidirectional)


def halved(chain: RecurrentChain, node: Node, x: list[Array | None]) -> None:
    """A product with 0.5, which turns the sum of two directions into their mean."""
    layer: Any = chain.made[-1][0] if chain.made else None
    half = next((each for each in x if each is not None), None)
    if not isinstance(layer, Bidirectional) or layer.merge_mode != "sum":
        raise chain.refused(node, "it is not a layer")
    if half is None or half.size != 1 or float(half.reshape(())) != 0.5:
        raise chain.refused(node, "it is not a layer")
    layer.merge_mode = "ave"


def _ways(starts: Sequence[str], steps: Sequence[Noted]) -> tuple[list[list[Noted]], int] | None:
    """The steps of two branches up to the first step that takes both, and their number.

    The branches begin at two values, or both at one.
    """
    apart = len(starts) == 2
    owners = {name: way for way, name in enumerate(starts)} if apart else {}
    ways: list[list[Noted]] = [[], []] if apart else []
    for at, step in enumerate(steps):
        _, _, inputs, outputs = step
        owned = {owners[name] for name in inputs if name in owners}
        if len(owned) == 2:
            return ways, at + 1
        begins = not apart and starts[0] in inputs
        if begins == bool(owned):
            return None
        if begins:
            ways.append([])
        way = len(ways) - 1 if begins else owned.pop()
        ways[way].append(step)
        owners.update(dict.fromkeys(outputs, way))
    return None


def _merges(node: Node, rank: int) -> bool:
    last = node.attributes.get("axis", -1) in {-1, rank - 1}
    return node.operator in _MODES and len(node.inputs) == 2 and last
