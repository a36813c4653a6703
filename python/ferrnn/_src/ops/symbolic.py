"""Operations on symbolic tensors: each becomes a node of the model, as a layer without weights."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.layer import operations
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layer.operations import Operation
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import flatten, map_structure

# Keras' modules of operations' classes, except for those in `keras.src.ops.numpy`.
_MODULES = {
    "core": "cast scatter scatter_update slice slice_update stop_gradient unstack",
    "linalg": "norm",
    "math": "erf erfc in_top_k logsumexp rsqrt segment_max segment_min segment_sum top_k",
    "nn": (
        "binary_crossentropy categorical_crossentropy celu dot_product_attention elu gelu glu "
        "hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax moments "
        "multi_hot normalize one_hot relu relu6 selu sigmoid silu soft_shrink softmax softplus "
        "softsign sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus "
        "tanh_shrink threshold"
    ),
}
# The arguments that Keras keeps in an operation's configuration; others are those of the call.
_SETTINGS = {
    "N increasing": "vander",
    "alpha": "celu elu",
    "approximate": "gelu",
    "axes": "tensordot transpose",
    "axes keepdims synchronized": "moments",
    "axis": (
        "append argsort average concatenate count_nonzero expand_dims flip glu log_softmax softmax "
        "sort sparsemax squeeze stack take take_along_axis"
    ),
    "axis dtype": "cumprod cumsum nancumprod nancumsum",
    "axis keepdims": (
        "all amax amin any argmax argmin logsumexp mean median nanargmax nanargmin nanmax nanmean "
        "nanmin nanprod nanstd nansum nanvar ptp std sum var"
    ),
    "axis keepdims dtype": "prod",
    "axis keepdims initial": "max min",
    "axis method keepdims": "percentile quantile",
    "axis order epsilon": "normalize",
    "axis1 axis2": "swapaxes",
    "axisa axisb axisc axis": "cross",
    "b": "squareplus",
    "decimals": "round",
    "dtype": "cast empty_like full_like ones_like zeros_like",
    "equal_nan": "isclose",
    "from_logits": "binary_crossentropy",
    "from_logits axis": "categorical_crossentropy sparse_categorical_crossentropy",
    "indexing": "meshgrid",
    "indices_or_sections": "dsplit hsplit vsplit",
    "indices_or_sections axis": "array_split split",
    "is_causal flash_attention attn_logits_soft_cap": "dot_product_attention",
    "k": "diag diagflat in_top_k tril triu",
    "k axes": "rot90",
    "k sorted": "top_k",
    "n axis": "diff",
    "nan posinf neginf": "nan_to_num",
    "negative_slope": "leaky_relu",
    "newshape": "reshape",
    "num axis": "unstack",
    "num_classes axis dtype sparse": "multi_hot one_hot",
    "num_segments sorted": "segment_max segment_min segment_sum",
    "offset axis1 axis2": "diagonal trace",
    "ord axis keepdims": "norm",
    "pad_width mode": "pad",
    "reduction": "scatter_update",
    "repeats": "tile",
    "repeats axis": "repeat",
    "shape": "broadcast_to scatter slice",
    "shape dtype": "full",
    "shift axis": "roll",
    "source destination": "moveaxis",
    "subscripts": "einsum",
    "threshold": "hard_shrink soft_shrink",
    "threshold default_value": "threshold",
    "weights minlength sparse": "bincount",
    "x dx axis": "trapezoid",
    "x_min x_max": "clip",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
_SETTINGS_OF = {
    name: tuple(settings.split()) for settings, names in _SETTINGS.items() for name in names.split()
}


class FunctionOperation(Operation):
    """A function of `ferrnn.ops` with its settings; its gradient is found by tracing it."""

    function: ClassVar[Callable[..., Any]]
    # Settings that come before the arrays, as in `einsum`, are passed by position.
    leading: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *, name: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(name=name)
        self._settings = dict(settings or {})
        self._before = [self._settings[each] for each in self.leading if each in self._settings]
        self._named = {k: v for k, v in self._settings.items() if k not in self.leading}

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        if not call.differentiable:
            return self.applied(inputs), None
        return tracing.differentiate(self.applied, inputs)

    def applied(self, inputs: Any) -> Any:
        function = type(self).function
        return function(*self._before, *inputs.args, **self._named, **inputs.kwargs)

    def get_config(self) -> dict[str, Any]:
        for setting, value in self._settings.items():
            if any(isinstance(leaf, np.ndarray) for leaf in flatten(value)):
                raise NotImplementedError(
                    f"the argument `{setting}` of the operation {self.name!r} cannot be written to "
                    f"a configuration: expected plain data, received {value!r}"
                )
        plain = {setting: _plain(value) for setting, value in self._settings.items()}
        return {**super().get_config(), **plain}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FunctionOperation:
        names = _SETTINGS_OF.get(cls.function.__name__, ())
        settings = {name: _as_given(config[name]) for name in names if name in config}
        return cls(name=config.get("name"), settings=settings)


def _plain(value: Any) -> Any:
    """NumPy's numbers and dtypes as plain data."""
    if isinstance(value, type | np.dtype):
        return np.dtype(value).name
    return map_structure(lambda leaf: leaf.item() if isinstance(leaf, np.generic) else leaf, value)


@functools.cache
def _kind(function: Callable[..., Any]) -> type[FunctionOperation]:
    """The class of an operation, with Keras' name: `Mean` for `mean`."""
    known = function.__name__
    # Not a module of ferrnn: `Softmax` and `Dropout` in a file are different classes, the layers.
    members: dict[str, Any] = {"__module__": "keras.ops", "__doc__": function.__doc__}
    members["function"] = staticmethod(function)
    settings = _SETTINGS_OF.get(known, ())
    parameters = inspect.signature(function).parameters
    members["leading"] = tuple(itertools.takewhile(settings.__contains__, parameters))
    members["keras_module"] = f"keras.src.ops.{_MODULE_OF.get(known, 'numpy')}"
    return type(_class_name(known), (FunctionOperation,), members)


def _class_name(function: str) -> str:
    return "".join(part.capitalize() for part in function.split("_"))


def call_on_symbolic(function: Callable[..., Any], args: Any, options: Any) -> Any:
    """The symbolic outputs of an operation.

    >>> from ferrnn._src.symbolic.symbolic import SymbolicTensor
    >>> from ferrnn._src.ops.reductions import mean
    >>> x = SymbolicTensor((None, 10, 3), "float32", name="x")
    >>> call_on_symbolic(mean, (x,), {"axis": 1}).shape
    (None, 3)
    """
    names = _SETTINGS_OF.get(function.__name__, ())
    if not names:
        return _kind(function)()(*args, **options)
    bound = inspect.signature(function).bind(*args, **options)
    given = [*bound.arguments]
    bound.apply_defaults()
    settings = {name: bound.arguments[name] for name in names}
    if any(isinstance(leaf, SymbolicTensor) for leaf in flatten(list(settings.values()))):
        return _kind(function)()(*args, **options)
    of_call: list[Any] = []
    by_name: dict[str, Any] = {}
    for parameter in bound.signature.parameters.values():
        if parameter.name in settings or parameter.name not in given:
            continue
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            of_call += value
        elif parameter.kind is parameter.KEYWORD_ONLY:
            by_name[parameter.name] = value
        else:
            of_call.append(value)
    return _kind(function)(settings=settings)(*of_call, **by_name)


def register(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Registers functions for files of models, under the names of Keras' classes."""
    for name, function in functions.items():
        operations.known.setdefault(_class_name(name), _kind(function))


def _as_given(value: Any) -> Any:
    """Restores tuples that have become lists."""
    if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
        value = value["items"]
    return tuple(map(_as_given, value)) if isinstance(value, list | tuple) else value
