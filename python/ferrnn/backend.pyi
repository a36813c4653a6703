from ferrnn._src.configs.config import (
    backend as backend,
)
from ferrnn._src.configs.config import (
    epsilon as epsilon,
)
from ferrnn._src.configs.config import (
    floatx as floatx,
)
from ferrnn._src.configs.config import (
    image_data_format as image_data_format,
)
from ferrnn._src.configs.config import (
    set_epsilon as set_epsilon,
)
from ferrnn._src.configs.config import (
    set_floatx as set_floatx,
)
from ferrnn._src.configs.config import (
    set_image_data_format as set_image_data_format,
)
from ferrnn._src.configs.names import clear_session as clear_session
from ferrnn._src.configs.names import get_uid as get_uid
from ferrnn._src.configs.names import name_scope as name_scope
from ferrnn._src.ops.dtypes import is_float_dtype as is_float_dtype
from ferrnn._src.ops.dtypes import is_int_dtype as is_int_dtype
from ferrnn._src.ops.dtypes import result_type as result_type
from ferrnn._src.ops.dtypes import standardize_dtype as standardize_dtype
from ferrnn._src.ops.legacy import (
    arange as arange,
)
from ferrnn._src.ops.legacy import (
    argmax as argmax,
)
from ferrnn._src.ops.legacy import (
    argmin as argmin,
)
from ferrnn._src.ops.legacy import (
    batch_dot as batch_dot,
)
from ferrnn._src.ops.legacy import (
    batch_flatten as batch_flatten,
)
from ferrnn._src.ops.legacy import (
    batch_get_value as batch_get_value,
)
from ferrnn._src.ops.legacy import (
    batch_set_value as batch_set_value,
)
from ferrnn._src.ops.legacy import (
    cast_to_floatx as cast_to_floatx,
)
from ferrnn._src.ops.legacy import (
    clip as clip,
)
from ferrnn._src.ops.legacy import (
    concatenate as concatenate,
)
from ferrnn._src.ops.legacy import (
    constant as constant,
)
from ferrnn._src.ops.legacy import (
    count_params as count_params,
)
from ferrnn._src.ops.legacy import (
    cumprod as cumprod,
)
from ferrnn._src.ops.legacy import (
    cumsum as cumsum,
)
from ferrnn._src.ops.legacy import (
    elu as elu,
)
from ferrnn._src.ops.legacy import (
    expand_dims as expand_dims,
)
from ferrnn._src.ops.legacy import (
    eye as eye,
)
from ferrnn._src.ops.legacy import (
    flatten as flatten,
)
from ferrnn._src.ops.legacy import (
    gather as gather,
)
from ferrnn._src.ops.legacy import (
    get_value as get_value,
)
from ferrnn._src.ops.legacy import (
    int_shape as int_shape,
)
from ferrnn._src.ops.legacy import (
    is_keras_tensor as is_keras_tensor,
)
from ferrnn._src.ops.legacy import (
    l2_normalize as l2_normalize,
)
from ferrnn._src.ops.legacy import (
    ones as ones,
)
from ferrnn._src.ops.legacy import (
    ones_like as ones_like,
)
from ferrnn._src.ops.legacy import (
    permute_dimensions as permute_dimensions,
)
from ferrnn._src.ops.legacy import (
    pow as pow,
)
from ferrnn._src.ops.legacy import (
    random_normal as random_normal,
)
from ferrnn._src.ops.legacy import (
    random_uniform as random_uniform,
)
from ferrnn._src.ops.legacy import (
    relu as relu,
)
from ferrnn._src.ops.legacy import (
    repeat as repeat,
)
from ferrnn._src.ops.legacy import (
    repeat_elements as repeat_elements,
)
from ferrnn._src.ops.legacy import (
    reverse as reverse,
)
from ferrnn._src.ops.legacy import (
    set_value as set_value,
)
from ferrnn._src.ops.legacy import (
    switch as switch,
)
from ferrnn._src.ops.legacy import (
    temporal_padding as temporal_padding,
)
from ferrnn._src.ops.legacy import (
    update as update,
)
from ferrnn._src.ops.legacy import (
    update_add as update_add,
)
from ferrnn._src.ops.legacy import (
    update_sub as update_sub,
)
from ferrnn._src.ops.legacy import (
    variable as variable,
)
from ferrnn._src.ops.legacy import (
    zeros as zeros,
)
from ferrnn._src.ops.legacy import (
    zeros_like as zeros_like,
)
from ferrnn.ops import (
    abs as abs,
)
from ferrnn.ops import (
    all as all,
)
from ferrnn.ops import (
    any as any,
)
from ferrnn.ops import (
    binary_crossentropy as binary_crossentropy,
)
from ferrnn.ops import (
    cast as cast,
)
from ferrnn.ops import (
    categorical_crossentropy as categorical_crossentropy,
)
from ferrnn.ops import (
    cos as cos,
)
from ferrnn.ops import (
    dot as dot,
)
from ferrnn.ops import (
    dtype as dtype,
)
from ferrnn.ops import (
    equal as equal,
)
from ferrnn.ops import (
    exp as exp,
)
from ferrnn.ops import (
    greater as greater,
)
from ferrnn.ops import (
    greater_equal as greater_equal,
)
from ferrnn.ops import (
    hard_sigmoid as hard_sigmoid,
)
from ferrnn.ops import (
    in_top_k as in_top_k,
)
from ferrnn.ops import (
    less as less,
)
from ferrnn.ops import (
    less_equal as less_equal,
)
from ferrnn.ops import (
    log as log,
)
from ferrnn.ops import (
    max as max,
)
from ferrnn.ops import (
    maximum as maximum,
)
from ferrnn.ops import (
    mean as mean,
)
from ferrnn.ops import (
    min as min,
)
from ferrnn.ops import (
    minimum as minimum,
)
from ferrnn.ops import (
    ndim as ndim,
)
from ferrnn.ops import (
    not_equal as not_equal,
)
from ferrnn.ops import (
    one_hot as one_hot,
)
from ferrnn.ops import (
    prod as prod,
)
from ferrnn.ops import (
    reshape as reshape,
)
from ferrnn.ops import (
    round as round,
)
from ferrnn.ops import (
    shape as shape,
)
from ferrnn.ops import (
    sigmoid as sigmoid,
)
from ferrnn.ops import (
    sign as sign,
)
from ferrnn.ops import (
    sin as sin,
)
from ferrnn.ops import (
    softmax as softmax,
)
from ferrnn.ops import (
    softplus as softplus,
)
from ferrnn.ops import (
    softsign as softsign,
)
from ferrnn.ops import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from ferrnn.ops import (
    sqrt as sqrt,
)
from ferrnn.ops import (
    square as square,
)
from ferrnn.ops import (
    squeeze as squeeze,
)
from ferrnn.ops import (
    stack as stack,
)
from ferrnn.ops import (
    std as std,
)
from ferrnn.ops import (
    stop_gradient as stop_gradient,
)
from ferrnn.ops import (
    sum as sum,
)
from ferrnn.ops import (
    tanh as tanh,
)
from ferrnn.ops import (
    tile as tile,
)
from ferrnn.ops import (
    transpose as transpose,
)
from ferrnn.ops import (
    var as var,
)
