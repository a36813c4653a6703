"""What Keras' users know from `keras.backend`, the functions of Keras 2 among them."""

# Packed: one name a line would be a file by itself.
# fmt: off
# isort: off
from typing import TYPE_CHECKING

from ferrnn._src.configs.config import (
    backend, epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format,
)
from ferrnn._src.faces import not_yet
from ferrnn._src.configs.names import clear_session, name_scope
from ferrnn.ops import (
    abs, all, any, binary_crossentropy, cast, categorical_crossentropy, cos, dot, dtype, equal,
    exp, greater, greater_equal, hard_sigmoid, in_top_k, less, less_equal, log, max, maximum,
    mean, min, minimum, ndim, not_equal, one_hot, prod, reshape, round, shape, sigmoid, sign,
    sin, softmax, softplus, softsign, sparse_categorical_crossentropy, sqrt, square, squeeze,
    stack, std, stop_gradient, sum, tanh, tile, transpose, var,
)
from ferrnn._src.ops.legacy import (
    arange, argmax, argmin, batch_dot, batch_flatten, batch_get_value, batch_set_value,
    cast_to_floatx, clip, concatenate, constant, count_params, cumprod, cumsum, elu,
    expand_dims, eye, flatten, gather, get_value, int_shape, is_keras_tensor, l2_normalize,
    ones, ones_like, permute_dimensions, pow, random_normal, random_uniform, relu, repeat,
    repeat_elements, reverse, set_value, switch, temporal_padding, update, update_add,
    update_sub, variable, zeros, zeros_like,
)

__all__ = [
    "abs", "all", "any", "arange", "argmax", "argmin", "backend", "batch_dot", "batch_flatten",
    "batch_get_value", "batch_set_value", "binary_crossentropy", "cast", "cast_to_floatx",
    "categorical_crossentropy", "clear_session", "clip", "concatenate", "constant", "cos",
    "count_params", "cumprod", "cumsum", "dot", "dtype", "elu", "epsilon", "equal", "exp",
    "expand_dims", "eye", "flatten", "floatx", "gather", "get_value", "greater",
    "greater_equal", "hard_sigmoid", "image_data_format", "in_top_k", "int_shape",
    "is_keras_tensor", "l2_normalize", "less", "less_equal", "log", "max", "maximum", "mean",
    "min", "minimum", "name_scope", "ndim", "not_equal", "one_hot", "ones", "ones_like",
    "permute_dimensions", "pow", "prod", "random_normal", "random_uniform", "relu", "repeat",
    "repeat_elements", "reshape", "reverse", "round", "set_epsilon", "set_floatx",
    "set_image_data_format", "set_value", "shape", "sigmoid", "sign", "sin", "softmax",
    "softplus", "softsign", "sparse_categorical_crossentropy", "sqrt", "square", "squeeze",
    "stack", "std", "stop_gradient", "sum", "switch", "tanh", "temporal_padding", "tile",
    "transpose", "update", "update_add", "update_sub", "var", "variable", "zeros", "zeros_like",
]
# fmt: on

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
