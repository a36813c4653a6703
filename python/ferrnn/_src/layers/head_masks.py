"""The values that each query sees, from all masks of a call of multi-head attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.masked import of_axes
from ferrnn._src.layers.attention import Attended
from ferrnn._src.tree.types import Mask


def seen_by_queries(
    name: str,
    says: Attended,
    carried: Any,
    sliding_window: int | None,
    axes: Sequence[int],
    weights: tuple[int, ...],
) -> Mask | None:
    """True where a query may see a value, broadcastable to `weights`; None if everywhere.

    `weights` is `[..., heads, *queries, *values]` with the queries along `axes` of the query;
    `carried` are masks that came along with the arrays.
    """
    told = (carried, sliding_window, says.attention_mask, *says.masks)
    if not says.use_causal_mask and all(each is None for each in told):
        return None
    query, key = says.arrays[0].shape, says.arrays[-1].shape
    masks = list(says.masks)
    for at, mask in enumerate(carried or ()):
        masks[at] = mask if masks[at] is None else masks[at]
    seen = [
        None if mask is None else np.expand_dims(of_axes(mask, len(query) - 1) != 0, axis)
        for mask, axis in zip(masks, (-1, -2, -2), strict=True)
    ]
    seen.append(says.attention_mask)
    rows, columns = np.arange(query[1])[:, None], np.arange(key[1])
    if says.use_causal_mask:
        seen.append((rows >= columns)[None])
    if sliding_window is not None:
        seen.append((np.abs(rows - columns) < sliding_window)[None])
    known = [mask for mask in seen if mask is not None]
    together: Mask | None = None
    for mask in known:
        wide = _wide(mask, len(axes), len(weights))
        pairs = zip(wide.shape, weights, strict=False)
        if len(wide.shape) != len(weights) or any(n not in (1, want) for n, want in pairs):
            raise ValueError(
                f"the masks of layer {name!r} must be broadcastable to the weights {weights} for "
                f"the query {query} and the key {key}, received masks of the shapes "
                f"{[each.shape for each in known]}"
            )
        together = wide if together is None else np.logical_and(together, wide)
    return together


def _wide(mask: Mask, attended: int, rank: int) -> Mask:
    """The mask with axes of length 1 inserted after the batch, including one for the heads."""
    at = max(mask.ndim - 2 * attended, 0)
    shape = mask.shape[:at] + (1,) * (rank - mask.ndim) + mask.shape[at:]
    wide: Mask = np.asarray(mask).reshape(shape)
    return wide
