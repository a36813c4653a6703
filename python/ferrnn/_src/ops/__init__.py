"""Keras' operations on arrays: NumPy on plain ones, traced in users' code that is trained."""

# Several names on a line: one per line would take as many lines as a whole file.
# fmt: off
# isort: off
from typing import Any

from ferrnn._src.ops import symbolic, tape, values
from ferrnn._src.ops.arithmetic import (
    add, allclose, arctan2, cast, divide, divide_no_nan, equal, floor_divide, greater,
    greater_equal, hypot, isclose, less, less_equal, logaddexp, logaddexp2, logical_and,
    logical_not, logical_or, logical_xor, maximum, minimum, mod, multiply, not_equal, power,
    subtract, true_divide,
)
from ferrnn._src.ops.combined import (
    cross, diagflat, dsplit, dstack, erfc, fliplr, flipud, fmax, fmin, fmod, hsplit, kron, rot90,
    segment_max, segment_min, sinc, sparse_plus, sparse_sigmoid, sparsemax, trace, trapezoid,
    vander, vsplit,
)
from ferrnn._src.ops.control import (
    associative_scan, cond, custom_gradient, fori_loop, map, scan, switch, vectorized_map,
    while_loop,
)
from ferrnn._src.ops.creation import (
    arange, array, convert_to_numpy, convert_to_tensor, copy, dtype, empty, empty_like, eye,
    full, full_like, identity, is_tensor, linspace, ndim, ones, ones_like, shape, size,
    stop_gradient, tri, zeros, zeros_like,
)
from ferrnn._src.ops.elementwise import (
    abs, absolute, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, cbrt, ceil, clip, cos,
    cosh, deg2rad, erf, exp, exp2, expm1, fabs, floor, heaviside, isfinite, isinf, isnan, log,
    log10, log1p, log2, nan_to_num, negative, rad2deg, reciprocal, round, rsqrt, sign, signbit,
    sin, sinh, sqrt, square, tan, tanh, trunc,
)
from ferrnn._src.ops.neural import (
    binary_crossentropy, categorical_crossentropy, celu, dot_product_attention, elu, gelu, glu,
    hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh, leaky_relu, log_sigmoid,
    log_softmax, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus,
    softsign, sparse_categorical_crossentropy, squareplus, swish, tanh_shrink, threshold,
)
from ferrnn._src.ops.products import (
    batch_normalization, dot, einsum, inner, layer_normalization, matmul, norm, normalize,
    outer, rms_normalization, tensordot, vdot,
)
from ferrnn._src.ops.reductions import (
    all, amax, amin, any, argmax, argmin, average, count_nonzero, cumprod, cumsum, logsumexp,
    max, mean, min, moments, prod, ptp, std, sum, var,
)
from ferrnn._src.ops.selection import (
    argsort, bincount, diag, diagonal, get_item, in_top_k, isin, meshgrid, multi_hot, nonzero,
    one_hot, scatter, scatter_update, searchsorted, segment_sum, select, slice, slice_update,
    sort, take, take_along_axis, top_k, tril, triu, where,
)
from ferrnn._src.ops.shaping import (
    append, array_split, broadcast_to, concatenate, diff, expand_dims, flip, hstack, moveaxis,
    pad, ravel, repeat, reshape, roll, split, squeeze, stack, swapaxes, tile, transpose,
    unstack, vstack,
)
from ferrnn._src.ops.statistics import (
    median, nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean, nanmin, nanprod,
    nanstd, nansum, nanvar, percentile, quantile,
)

__all__ = [
    "abs", "absolute", "add", "all", "allclose", "amax", "amin", "any", "append", "arange",
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin",
    "argsort", "array", "array_split", "associative_scan", "average", "batch_normalization",
    "binary_crossentropy", "bincount", "broadcast_to", "cast", "categorical_crossentropy", "cbrt",
    "ceil", "celu", "clip", "concatenate", "cond", "convert_to_numpy", "convert_to_tensor",
    "copy", "cos", "cosh", "count_nonzero", "cross", "cumprod", "cumsum", "custom_gradient",
    "deg2rad", "diag", "diagflat", "diagonal", "diff", "divide", "divide_no_nan", "dot",
    "dot_product_attention", "dsplit", "dstack", "dtype", "einsum", "elu", "empty", "empty_like",
    "equal", "erf", "erfc", "exp", "exp2", "expand_dims", "expm1", "eye", "fabs", "flip",
    "fliplr", "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "fori_loop", "full",
    "full_like", "gelu", "get_item", "glu", "greater", "greater_equal", "hard_shrink",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "heaviside", "hsplit", "hstack",
    "hypot", "identity", "in_top_k", "inner", "is_tensor", "isclose", "isfinite", "isin", "isinf",
    "isnan", "kron", "layer_normalization", "leaky_relu", "less", "less_equal", "linspace", "log",
    "log10", "log1p", "log2", "log_sigmoid", "log_softmax", "logaddexp", "logaddexp2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "map", "matmul",
    "max", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mod", "moments",
    "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax", "nanargmin", "nancumprod",
    "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "ndim",
    "negative", "nonzero", "norm", "normalize", "not_equal", "one_hot", "ones",
    "ones_like", "outer", "pad", "percentile", "power", "prod", "ptp", "quantile", "rad2deg",
    "ravel", "reciprocal", "relu", "relu6", "repeat", "reshape", "rms_normalization", "roll",
    "rot90", "round", "rsqrt", "scan", "scatter", "scatter_update", "searchsorted", "segment_max",
    "segment_min", "segment_sum", "select", "selu", "shape", "sigmoid", "sign", "signbit", "silu",
    "sin", "sinc", "sinh", "size", "slice", "slice_update", "soft_shrink", "softmax", "softplus",
    "softsign", "sort", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "split", "sqrt", "square", "squareplus", "squeeze", "stack", "std",
    "stop_gradient", "subtract", "sum", "swapaxes", "swish", "switch", "take", "take_along_axis",
    "tan", "tanh", "tanh_shrink", "tensordot", "threshold", "tile", "top_k", "trace", "transpose",
    "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unstack", "vander", "var",
    "vdot", "vectorized_map", "vsplit", "vstack", "where", "while_loop", "zeros", "zeros_like",
]
# fmt: on


def _reshaped(x: Any, *shape: Any) -> Any:
    return reshape(x, shape[0] if len(shape) == 1 else shape)


def _transposed(x: Any, *axes: Any) -> Any:
    return transpose(x, (axes[0] if len(axes) == 1 else axes) or None)


values.symbolic_call.append(symbolic.call_on_symbolic)
symbolic.register(
    {name: globals()[name] for name in __all__ if hasattr(globals()[name], "__wrapped__")}
)
tape.methods.update(
    {
        "all": all,
        "any": any,
        "argmax": argmax,
        "argmin": argmin,
        "astype": cast,
        "clip": clip,
        "cumprod": cumprod,
        "cumsum": cumsum,
        "flatten": ravel,
        "getitem": get_item,
        "max": max,
        "mean": mean,
        "min": min,
        "prod": prod,
        "ravel": ravel,
        "repeat": repeat,
        "reshape": _reshaped,
        "round": round,
        "std": std,
        "sum": sum,
        "swapaxes": swapaxes,
        "take": take,
        "transpose": _transposed,
        "var": var,
    }
)
