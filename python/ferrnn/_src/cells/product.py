"""The product of a step's inputs, or states, with their kernel, with dropout masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ferrnn._src.tree.types import Array

# d_product -> (d_inputs, d_kernel)
ProductVjp: TypeAlias = Callable[[Array], tuple[Array, Array]]


def masked_product(inputs: Array, kernel: Array, mask: Array | None) -> tuple[Array, ProductVjp]:
    """`(inputs * mask) @ kernel` for inputs `[batch, n]`, and its vjp.

    With a mask `[gates, batch, n]` each block of columns sees its own masked inputs.
    """
    if mask is None:
        return inputs @ kernel, lambda d: (d @ kernel.T, inputs.T @ d)
    gates = len(mask)
    blocks = np.split(kernel, gates, axis=1)
    masked = inputs * mask
    product = np.concatenate([masked[g] @ blocks[g] for g in range(gates)], axis=1)

    def vjp(d_product: Array) -> tuple[Array, Array]:
        parts = np.split(d_product, gates, axis=1)
        d_inputs = np.sum([mask[g] * (parts[g] @ blocks[g].T) for g in range(gates)], axis=0)
        d_kernel = np.concatenate([masked[g].T @ parts[g] for g in range(gates)], axis=1)
        return d_inputs, d_kernel

    return product, vjp
