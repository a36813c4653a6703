"""The masks of symbolic tensors: which tensors carry one, and of what shape."""

from __future__ import annotations

import warnings
from typing import Any

from ferrnn._src.symbolic.shapes import probe
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.tree.tree import flatten


def symbolic_mask(tensor: SymbolicTensor) -> SymbolicTensor | None:
    """The shape of the mask that the array will carry, or None.

    >>> from ferrnn._src.symbolic.symbolic import SymbolicTensor
    >>> symbolic_mask(SymbolicTensor((None, 3), "float32", name="x")) is None
    True
    """
    if tensor.node is None:
        return None
    masks = _masks_of(tensor.node)
    return masks[tensor.index] if tensor.index < len(masks) else None


def mask_given_to(node: Node) -> Any:
    """The symbolic mask (or masks) of a call: the one given, else the one that its inputs carry."""
    if node.mask is not None:
        return node.mask
    main = node.layer.main_input(node.inputs)
    if isinstance(main, SymbolicTensor):
        return symbolic_mask(main)
    masks = [symbolic_mask(leaf) for leaf in flatten(main) if isinstance(leaf, SymbolicTensor)]
    return None if all(mask is None for mask in masks) else masks


def _masks_of(node: Node) -> list[SymbolicTensor | None]:
    """The masks of a call, one for each output; cached, since they do not change."""
    if node.masks is None:
        node.masks = _found_masks(node)
    return node.masks


def _found_masks(node: Node) -> list[SymbolicTensor | None]:
    given = mask_given_to(node) if node.input_tensors else None
    layer = node.layer
    if not node.input_tensors or (given is None and not layer.makes_masks()):
        return []
    there: list[bool] = []

    def made(arrays: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the real call warns about masks that it drops
            masks = layer.compute_mask(*arrays)
        listed = list(masks) if isinstance(masks, list | tuple) else [masks]
        there[:] = [mask is not None for mask in listed]
        return [mask for mask in listed if mask is not None]

    found = iter(probe(made, (layer.main_input(node.inputs), given)))
    return [next(found) if present else None for present in there]
