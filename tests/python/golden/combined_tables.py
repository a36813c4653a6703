"""Cases of operations that are made of others: name, function of arrays, shapes."""

from __future__ import annotations

from typing import Any

HOLES = [[True, False, False, True], [False, False, True, False], [False, True, False, False]]
IDS = [2, 0, 2, 0, 2]
PLACES = [0.0, 0.5, 2.0, 2.25]


def _with_holes(ops: Any, x: Any) -> Any:
    return ops.where(ops.convert_to_tensor(HOLES), float("nan"), x)


def combined_cases(ops: Any) -> list[tuple[Any, ...]]:
    """Further cases for `operation_tables.other_cases`."""
    quantiles = [
        (f"quantile-{method}", lambda x, m=method: ops.quantile(x, 0.3, axis=1, method=m), [(3, 6)])
        for method in ("linear", "lower", "higher", "nearest", "midpoint")
    ]
    reductions = [
        (f"{name}-{axis}", lambda x, n=name, a=axis: getattr(ops, n)(_with_holes(ops, x), a),
         [(3, 4)])
        for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd")
        for axis in (None, 1)
    ]  # fmt: skip
    return [
        *quantiles,
        *reductions,
        ("quantile-several", lambda x: ops.quantile(x, [0.1, 0.8], axis=(0, 2)), [(3, 4, 2)]),
        ("quantile-kept", lambda x: ops.quantile(x, 0.4, axis=1, keepdims=True), [(3, 4)]),
        ("percentile", lambda x: ops.percentile(x, 35.0), [(3, 4)]),
        ("median", lambda x: ops.median(x, axis=-1), [(3, 4)]),
        ("median-odd", lambda x: ops.median(x, axis=0, keepdims=True), [(3, 4)]),
        ("nancumsum", lambda x: ops.nancumsum(_with_holes(ops, x), axis=1), [(3, 4)]),
        ("nancumprod", lambda x: ops.nancumprod(_with_holes(ops, x), axis=0), [(3, 4)]),
        ("fmod", lambda x, y: ops.fmod(x, ops.exp(y)), [(3, 4), (4,)]),
        ("fmax", lambda x, y: ops.fmax(_with_holes(ops, x), y), [(3, 4), (4,)]),
        ("fmin", lambda x, y: ops.fmin(x, _with_holes(ops, y)), [(3, 1), (3, 4)]),
        ("sinc", ops.sinc, [(3, 4)]),
        ("erfc", ops.erfc, [(3, 4)]),
        ("sparse_plus", ops.sparse_plus, [(3, 4)]),
        ("sparse_sigmoid", ops.sparse_sigmoid, [(3, 4)]),
        ("sparsemax", ops.sparsemax, [(3, 4)]),
        ("sparsemax-axis", lambda x: ops.sparsemax(x, axis=0), [(5, 2)]),
        ("fliplr", ops.fliplr, [(3, 4)]),
        ("flipud", ops.flipud, [(3, 4)]),
        *((f"rot90-{k}", lambda x, k=k: ops.rot90(x, k, (0, 2)), [(3, 4, 2)]) for k in range(4)),
        ("dstack", lambda x, y: ops.dstack([x, y]), [(3, 4), (3, 4)]),
        ("dstack-vectors", lambda x, y: ops.dstack([x, y]), [(3,), (3,)]),
        ("hsplit", lambda x: ops.hsplit(x, 2), [(3, 4)]),
        ("vsplit", lambda x: ops.vsplit(x, [1]), [(3, 4)]),
        ("dsplit", lambda x: ops.dsplit(x, 2), [(2, 3, 4)]),
        ("diagflat", lambda x: ops.diagflat(x, 1), [(2, 2)]),
        ("trace", lambda x: ops.trace(x, 1, 0, 2), [(3, 2, 4)]),
        ("kron", ops.kron, [(2, 3), (3, 2)]),
        ("kron-ranks", ops.kron, [(2,), (3, 2)]),
        ("cross", ops.cross, [(4, 3), (3,)]),
        ("cross-axes", lambda x, y: ops.cross(x, y, axis=0), [(3, 4), (3, 4)]),
        ("cross-plane", ops.cross, [(4, 2), (4, 2)]),
        ("trapezoid", ops.trapezoid, [(3, 4)]),
        ("trapezoid-places", lambda y: ops.trapezoid(y, x=ops.convert_to_tensor(PLACES)), [(3, 4)]),
        ("trapezoid-axis", lambda y: ops.trapezoid(y, dx=0.5, axis=0), [(3, 4)]),
        ("vander", ops.vander, [(4,)]),
        ("vander-rising", lambda x: ops.vander(x, N=2, increasing=True), [(4,)]),
        ("segment_max", lambda x: ops.segment_max(x, ops.convert_to_tensor(IDS), 3)[::2], [(5, 2)]),
        ("segment_min", lambda x: ops.segment_min(x, ops.convert_to_tensor(IDS), 3)[::2], [(5, 2)]),
    ]
