"""Operations and shapes of inputs, for gradients and the golden file; `ops` is ferrnn's or Keras'.

A case is a function of arrays and their shapes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from combined_tables import combined_cases

MASK = [[True, False, True, False], [False, True, True, True], [True, True, False, True]]
PLACES = [[2, 0], [1, 1], [0, 2]]

# Entry by entry: name, low, high.
_ANYWHERE = [
    "exp", "exp2", "expm1", "sin", "cos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "erf",
    "negative", "square", "absolute", "abs", "fabs", "sigmoid", "silu", "swish", "softplus",
    "softsign", "selu", "log_sigmoid", "tanh_shrink", "elu", "celu", "leaky_relu", "gelu",
    "squareplus", "relu", "relu6", "soft_shrink", "hard_shrink", "hard_sigmoid", "hard_tanh",
    "hard_silu", "hard_swish", "deg2rad", "rad2deg", "nan_to_num",
]  # fmt: skip
_POSITIVE = ["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "cbrt"]
_WITHIN_ONE = ["arcsin", "arccos", "arctanh", "tan"]
UNARY = [
    *((name, -2, 2) for name in _ANYWHERE),
    *((name, 0.2, 3) for name in _POSITIVE),
    *((name, -0.9, 0.9) for name in _WITHIN_ONE),
    ("arccosh", 1.2, 3),
]

# Two operands that broadcast.
BINARY = [
    "add", "subtract", "multiply", "divide", "true_divide", "divide_no_nan", "power", "mod",
    "maximum", "minimum", "arctan2", "hypot", "logaddexp", "logaddexp2",
]  # fmt: skip

_REDUCTIONS = ["sum", "mean", "var", "std", "max", "min", "prod", "logsumexp", "ptp"]
_RUNNING = ["cumsum", "cumprod"]
_OTHER_NAMES = ["average", "amax", "amin"]

# What Keras takes lists for elsewhere, or what JAX does not compute; its sparsemax sums to other
# numbers than 1.
NOT_ON_JAX = {
    "cast", "dot_product_attention", "dot_product_attention-bias", "getitem-array",
    "more-methods", "repeat-counts", "scatter", "segment_sum", "sparsemax",
    "sparsemax-axis", "where",
}  # fmt: skip


def leaves(structure: Any) -> list[Any]:
    """The arrays in nested lists and tuples."""
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def other_cases(ops: Any) -> list[tuple[Any, ...]]:
    """Everything else: name, function, shapes."""
    return [
        *combined_cases(ops),
        ("gelu-exact", lambda x: ops.gelu(x, approximate=False), [(3, 4)]),
        ("threshold", lambda x: ops.threshold(x, 0.3, 7.0), [(3, 4)]),
        ("clip", lambda x: ops.clip(x, -0.4, 0.6), [(3, 4)]),
        ("power-of-two", lambda x: ops.power(x, 2), [(3, 4)]),
        ("power-of-three", lambda x: x**3, [(3, 4)]),
        ("glu", lambda x: ops.glu(x, axis=0), [(4, 3)]),
        ("softmax", lambda x: ops.softmax(x, axis=1), [(2, 5, 3)]),
        ("softmax-all", lambda x: ops.softmax(x, axis=None), [(2, 3)]),
        ("softmax-two", lambda x: ops.softmax(x, axis=(0, 2)), [(2, 5, 3)]),
        ("log_softmax", ops.log_softmax, [(2, 5)]),
        ("cast", lambda x: ops.cast(ops.cast(x, "float64"), "float64") * x, [(3,)]),
        # Products.
        ("matmul", ops.matmul, [(2, 3), (3, 4)]),
        ("matmul-batch", ops.matmul, [(5, 2, 3), (3, 4)]),
        ("matmul-batches", ops.matmul, [(5, 1, 2, 3), (4, 3, 2)]),
        ("matmul-vector", ops.matmul, [(3,), (3, 4)]),
        ("matmul-by-vector", ops.matmul, [(5, 2, 3), (3,)]),
        ("matmul-operator", lambda a, b: a @ b, [(2, 3), (3, 2)]),
        ("dot", ops.dot, [(2, 3), (3, 4)]),
        ("dot-rank-3", ops.dot, [(5, 2, 3), (4, 3, 2)]),
        ("vdot", ops.vdot, [(2, 3), (2, 3)]),
        ("inner", ops.inner, [(2, 3), (4, 3)]),
        ("outer", ops.outer, [(2,), (3,)]),
        ("tensordot", lambda a, b: ops.tensordot(a, b, axes=1), [(2, 3), (3, 4)]),
        ("tensordot-axes", lambda a, b: ops.tensordot(a, b, axes=[[1, 2], [2, 0]]),
         [(2, 3, 4), (4, 5, 3)]),
        ("tensordot-0", lambda a, b: ops.tensordot(a, b, axes=0), [(2,), (3,)]),
        ("einsum", lambda a, b: ops.einsum("btd, dh -> bth", a, b), [(2, 5, 3), (3, 4)]),
        ("einsum-sum", lambda a, b: ops.einsum("ij,kj->i", a, b), [(2, 3), (4, 3)]),
        ("einsum-dots",
         lambda a, b: ops.einsum("...ij,...jk->...ik", a, b), [(5, 2, 3), (5, 3, 4)]),
        ("einsum-three", lambda a, b, c: ops.einsum("ij,jk,kl->il", a, b, c),
         [(2, 3), (3, 4), (4, 2)]),
        ("norm", ops.norm, [(3, 4)]),
        ("norm-axis", lambda x: ops.norm(x, axis=-1, keepdims=True), [(3, 4)]),
        ("norm-1", lambda x: ops.norm(x, ord=1, axis=1), [(3, 4)]),
        ("norm-3", lambda x: ops.norm(x, ord=3, axis=0), [(3, 4)]),
        ("norm-inf", lambda x: ops.norm(x, ord=float("inf"), axis=0), [(3, 4)]),
        ("norm-matrix", lambda x: ops.norm(x, ord=1, axis=(0, 2)), [(3, 2, 4)]),
        ("normalize", lambda x: ops.normalize(x, axis=0), [(3, 4)]),
        ("normalize-1", lambda x: ops.normalize(x, order=1), [(3, 4)]),
        ("layer_normalization", lambda x, g, b: ops.layer_normalization(x, g, b, axis=-1),
         [(3, 4), (4,), (4,)]),
        ("rms_normalization", ops.rms_normalization, [(3, 4), (4,)]),
        ("batch_normalization",
         lambda x, m, v, o, s: ops.batch_normalization(x, m, v * v, 1, offset=o, scale=s),
         [(2, 3, 4), (3,), (3,), (3,), (3,)]),
        ("dot_product_attention",
         lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True),
         [(2, 3, 2, 4), (2, 3, 2, 4), (2, 3, 2, 5)]),
        ("dot_product_attention-bias",
         lambda q, k, v, b: ops.dot_product_attention(q, k, v, bias=b, attn_logits_soft_cap=2.0),
         [(2, 3, 1, 4), (2, 5, 1, 4), (2, 5, 1, 4), (3, 5)]),
        # Reductions.
        *((name, getattr(ops, name),
        [(3, 4)]) for name in [*_REDUCTIONS, *_RUNNING, *_OTHER_NAMES]),
        *((f"{name}-axis", partial(getattr(ops, name), axis=(0, -1)), [(3, 2, 4)])
          for name in _REDUCTIONS),
        *((f"{name}-keepdims", partial(getattr(ops, name), axis=1, keepdims=True), [(3, 2, 4)])
          for name in _REDUCTIONS),
        *((f"{name}-axis", partial(getattr(ops, name), axis=-2), [(3, 5, 4)]) for name in _RUNNING),
        ("cumsum-first", lambda x: ops.cumsum(x, axis=0), [(3, 4)]),
        ("moments", lambda x: ops.moments(x, axes=[0]), [(3, 4)]),
        ("average-weights", lambda x, w: ops.average(x, axis=1, weights=w * w + 1), [(3, 4), (4,)]),
        ("max-initial", lambda x: ops.max(x, axis=0, initial=0.1), [(3, 4)]),
        # Shapes.
        ("reshape", lambda x: ops.reshape(x, (4, -1)), [(3, 4, 2)]),
        ("ravel", ops.ravel, [(3, 4)]),
        ("expand_dims", lambda x: ops.expand_dims(x, (0, -1)), [(3, 4)]),
        ("squeeze", lambda x: ops.squeeze(x, 1), [(3, 1, 4)]),
        ("squeeze-all", ops.squeeze, [(1, 3, 1)]),
        ("transpose", ops.transpose, [(2, 3, 4)]),
        ("transpose-axes", lambda x: ops.transpose(x, (1, 2, 0)), [(2, 3, 4)]),
        ("swapaxes", lambda x: ops.swapaxes(x, 0, -1), [(2, 3, 4)]),
        ("moveaxis", lambda x: ops.moveaxis(x, (0, 1), (-1, 0)), [(2, 3, 4)]),
        ("broadcast_to", lambda x: ops.broadcast_to(x, (5, 3, 4)), [(3, 1)]),
        ("flip", lambda x: ops.flip(x, axis=1), [(2, 3)]),
        ("flip-all", ops.flip, [(2, 3)]),
        ("roll", lambda x: ops.roll(x, 2, axis=1), [(2, 3)]),
        ("roll-all", lambda x: ops.roll(x, 4), [(2, 3)]),
        ("diff", lambda x: ops.diff(x, n=2, axis=0), [(5, 3)]),
        ("concatenate", lambda a, b: ops.concatenate([a, b, a], axis=-1), [(2, 3), (2, 4)]),
        ("stack", lambda a, b: ops.stack([a, b, a], axis=-1), [(2, 3), (2, 3)]),
        ("vstack", lambda a, b: ops.vstack([a, b]), [(3,), (2, 3)]),
        ("hstack", lambda a, b: ops.hstack([a, b]), [(2, 3), (2, 1)]),
        ("append", ops.append, [(2, 3), (4,)]),
        ("append-axis", lambda a, b: ops.append(a, b, axis=1), [(2, 3), (2, 1)]),
        ("split", lambda x: ops.split(x, 3, axis=-1)[::2], [(2, 6)]),
        ("split-at", lambda x: ops.split(x, [1, 4], axis=0), [(5, 2)]),
        ("array_split", lambda x: ops.array_split(x, 3), [(5, 2)]),
        ("unstack", lambda x: ops.unstack(x, axis=1), [(2, 3)]),
        ("repeat", lambda x: ops.repeat(x, 3, axis=-1), [(2, 3)]),
        ("repeat-counts", lambda x: ops.repeat(x, [1, 2, 3], axis=1), [(2, 3)]),
        ("repeat-all", lambda x: ops.repeat(x, 2), [(2, 3)]),
        ("tile", lambda x: ops.tile(x, (3, 2)), [(2, 3)]),
        ("tile-few", lambda x: ops.tile(x, 2), [(2, 3)]),
        ("tile-many", lambda x: ops.tile(x, (2, 1, 3)), [(2, 3)]),
        ("pad", lambda x: ops.pad(x, ((1, 2), (0, 3))), [(2, 3)]),
        ("pad-value", lambda x: ops.pad(x, 1, constant_values=2.0), [(2, 3)]),
        # Indices.
        ("getitem", lambda x: x[:, 1], [(3, 4)]),
        ("getitem-many", lambda x: x[:, None, 1:, ..., 0] * x[0, 1, 2], [(3, 4, 5)]),
        ("getitem-array", lambda x: x[[0, 2, 0]], [(3, 4)]),
        ("getitem-bools", lambda x: x[x > 0], [(3, 4)]),
        ("getitem-rows", lambda x: sum(row * (i + 1) for i, row in enumerate(x)), [(3, 4)]),
        ("get_item", lambda x: ops.get_item(x, (slice(None, None, 2), 1)), [(3, 4)]),
        ("take", lambda x: ops.take(x, PLACES, axis=1), [(2, 3)]),
        ("take-all", lambda x: ops.take(x, [1, 5, 1]), [(2, 3)]),
        ("take-negative", lambda x: ops.take(x, [-1, 0], axis=-1), [(2, 3)]),
        ("take_along_axis", lambda x: ops.take_along_axis(x, PLACES, axis=1), [(3, 3)]),
        ("take_along_axis-wide", lambda x: ops.take_along_axis(x, [[0, 2]], axis=1), [(3, 3)]),
        ("where", lambda a, b: ops.where(MASK, a, b), [(3, 4), (4,)]),
        ("where-number", lambda x: ops.where(x > 0, x, 0.5), [(3, 4)]),
        ("select", lambda a, b: ops.select([a > 0.5, a > 0], [a, b], 2.0), [(3, 4), (3, 4)]),
        ("slice", lambda x: ops.slice(x, (1, 0), (2, -1)), [(3, 4)]),
        ("slice_update", lambda x, u: ops.slice_update(x, (1, 2), u), [(3, 4), (2, 2)]),
        ("scatter", lambda u: ops.scatter([[0], [2], [0]], u, (4, 2)), [(3, 2)]),
        ("scatter_update", lambda x, u: ops.scatter_update(x, [[0, 1], [2, 3]], u), [(3, 4), (2,)]),
        ("scatter_update-add", lambda x, u: ops.scatter_update(x, [[1], [1]], u, "add"),
         [(3, 2), (2, 2)]),
        ("segment_sum", lambda x: ops.segment_sum(x, [0, 2, 2], 4), [(3, 2)]),
        ("sort", ops.sort, [(3, 4)]),
        ("sort-axis", lambda x: ops.sort(x, axis=0), [(3, 4)]),
        ("top_k", lambda x: ops.top_k(x, 2)[0], [(3, 4)]),
        ("tril", lambda x: ops.tril(x, -1), [(2, 3, 4)]),
        ("triu", lambda x: ops.triu(x, 1), [(3, 4)]),
        ("diagonal", lambda x: ops.diagonal(x, 1, 0, 2), [(3, 2, 4)]),
        ("diag", lambda x: ops.diag(x, 1), [(3,)]),
        ("diag-of", ops.diag, [(3, 4)]),
        ("meshgrid", ops.meshgrid, [(2,), (3,)]),
        # Losses.
        ("categorical_crossentropy",
         lambda t, y: ops.categorical_crossentropy(ops.softmax(t), ops.sigmoid(y)),
         [(3, 4), (3, 4)]),
        ("categorical_crossentropy-logits",
         lambda t, y: ops.categorical_crossentropy(ops.softmax(t), y, from_logits=True),
         [(3, 4), (3, 4)]),
        ("sparse_categorical_crossentropy",
         lambda y: ops.sparse_categorical_crossentropy([1, 0, 3], ops.softmax(y)), [(3, 4)]),
        ("sparse_categorical_crossentropy-logits",
         lambda y: ops.sparse_categorical_crossentropy([[1], [0], [3]], y, from_logits=True),
         [(3, 4)]),
        ("binary_crossentropy",
         lambda t, y: ops.binary_crossentropy(ops.sigmoid(t), ops.sigmoid(y)), [(3, 4), (3, 4)]),
        ("binary_crossentropy-logits",
         lambda t, y: ops.binary_crossentropy(ops.sigmoid(t), y, from_logits=True),
         [(3, 4), (3, 4)]),
        # Loops.
        ("scan",
         lambda c, xs: ops.scan(lambda c, x: (ops.tanh(c * x), c + x), c, xs), [(3,), (4, 3)]),
        ("scan-reverse",
         lambda c, xs: ops.scan(lambda c, x: (c * x, c), c, xs, reverse=True)[1], [(3,), (4, 3)]),
        ("map", lambda xs: ops.map(lambda x: ops.tanh(x) * x, xs), [(4, 3)]),
        ("vectorized_map", lambda xs: ops.vectorized_map(lambda x: x * x, xs), [(4, 3)]),
        ("associative_scan",
         lambda xs: ops.associative_scan(lambda a, b: a * b, xs, axis=1), [(2, 4)]),
        ("while_loop",
         lambda x: ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, ops.tanh(x)), (0, x))[1],
         [(3,)]),
        ("fori_loop", lambda x: ops.fori_loop(0, 3, lambda i, v: v * x + i, x), [(3,)]),
        ("cond", lambda x: ops.cond(ops.sum(x) > 99, lambda: x, lambda: x * x), [(3,)]),
        ("switch", lambda x: ops.switch(1, [lambda x: x, lambda x: x * x], x), [(3,)]),
        ("custom_gradient",
         ops.custom_gradient(lambda x: (x * x, lambda *args, upstream: 2 * x * upstream)), [(3,)]),
        ("convert_to_tensor",
         lambda a, b: ops.convert_to_tensor([[a[0], b], [b, a[1]]]), [(2,), ()]),
        ("copy", lambda x: ops.copy(x) * ops.array(x), [(3,)]),
        # Methods and operators of traced arrays.
        ("methods", lambda x: x.reshape(-1).sum() * x.mean(axis=0) + x.T.max(axis=1), [(3, 4)]),
        ("more-methods",
         lambda x: x.transpose(1, 0).ravel()[:3] * x.std() + x.astype("float64").clip(-1, 1)[0, 1],
         [(3, 4)]),
        ("operators",
         lambda a, b: (2 - a) / (3 + b * b) + 1 / (a * a + 1) - (-a) * 2**b, [(3,), (3,)]),
        ("used-twice", lambda x: x * x + ops.sum(x) * x[0], [(3,)]),
    ]  # fmt: skip
