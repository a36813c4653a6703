"""Configurations of models by earlier versions of Keras, as Keras 3 would write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ferrnn._src.files.errors import within
from ferrnn._src.interop.keras.graphs import functional, sequential

Config: TypeAlias = dict[str, Any]

_MODELS = {"Model": functional, "Functional": functional, "Sequential": sequential}
# Settings that do not affect what a layer computes, or only repeat what is in files of weights.
_IGNORED = frozenset({
    "batch_input_shape", "build_config", "consume_less", "implementation", "input_dtype",
    "input_length", "ragged", "shared_object_id", "sparse", "_keras_api_names", "inbound_nodes",
})  # fmt: skip
# Keras 1's regularizers of weights and outputs, by the names in their settings.
_PENALTIES = ("L1L2Regularizer", "WeightRegularizer", "ActivityRegularizer")
_ACTIVATIONS = ("activation", "recurrent_activation")
_HARD = "hard_sigmoid"
_RENAMED = {
    "CuDNNGRU": "GRU", "CuDNNLSTM": "LSTM", "Convolution1D": "Conv1D",
    "TimeDistributedDense": "Dense",
}  # fmt: skip
# Layers that hold code, or represent operations of TensorFlow.
_REFUSED = frozenset({
    "ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda", "TFOpLambda",
    "TensorFlowOpLayer",
})  # fmt: skip


def modern(data: Mapping[str, Any], version: str) -> Config:
    """A model's class and configuration as Keras 3 would write them.

    `version` is that of the Keras that wrote them, such as "2.2.4-tf". Activations named
    hard_sigmoid become `hard_sigmoid_keras2` if Keras 1 or 2 wrote them.
    """
    made: Config = _Reader(int(version.split(".", maxsplit=1)[0] or 1)).read(data)
    return made


def modern_settings(value: Any, version: str) -> Any:
    """Losses, metrics or an optimizer in a form that Keras 3 would write."""
    return _Reader(int(version.split(".", maxsplit=1)[0] or 1)).read(value)


def _function(config: Mapping[str, Any]) -> Config:
    """The settings of a `Lambda` whose function is a name that the caller defines."""
    function = config.get("function")
    if config.get("function_type") != "function" or not isinstance(function, str):
        raise ValueError(
            "it holds Python code, which is never run: replace it by a layer of your own, or build "
            "the model yourself and load the weights with `load_weights`"
        )
    kept = {
        key: config[key] for key in ("name", "trainable", "dtype", "arguments") if key in config
    }
    found = {"class_name": "function", "config": function, "registered_name": function}
    return {**kept, "function": found}


class _Reader:
    """Reads the configurations of one file, which one version of Keras wrote."""

    def __init__(self, major: int) -> None:
        self.major = major

    def read(self, value: Any) -> Any:
        """Settings at any depth, with configurations of objects in today's form."""
        if isinstance(value, list | tuple):
            return [self.read(part) for part in value]
        if not isinstance(value, Mapping):
            return value
        if self.major < 2 and value.get("name") in _PENALTIES:
            settings = {key: value[key] for key in ("l1", "l2") if key in value}
            return {"class_name": "L1L2", "config": settings}
        if isinstance(value.get("class_name"), str) and "config" in value:
            return self._object(value)
        return {key: self.read(part) for key, part in value.items()}

    def _object(self, data: Mapping[str, Any]) -> Config:
        kind, config = data["class_name"], data["config"]
        if kind in ("Policy", "DTypePolicy") and isinstance(config, Mapping):
            return config["name"]  # type: ignore[no-any-return]
        made = {key: data[key] for key in ("module", "registered_name") if data.get(key)}
        if str(made.get("module", "")).startswith("keras.src.ops."):
            return {**data}  # an operation
        if str(made.get("module", "")).startswith(("keras.src.", "tf_keras.")):
            del made["module"]  # only the version that wrote it can read it
        if ">" in kind:  # the registered name of a user's class
            made, kind = {"module": None, "registered_name": kind}, kind.rpartition(">")[2]
        name = config.get("name", "") if isinstance(config, Mapping) else ""
        with within(f"the {kind} {name!r}" if name else f"the {kind}"):
            if kind in _MODELS:
                kind, config = _MODELS[kind](config, self.read, keras1=self.major < 2)
            elif isinstance(config, Mapping):
                kind, config = self._layer(kind, config)
        return {**made, "class_name": kind, "config": config}

    def _layer(self, kind: str, config: Mapping[str, Any]) -> tuple[str, Config]:
        if kind in _REFUSED:
            raise ValueError("a layer that represents an operation of TensorFlow is not supported")
        if kind == "Lambda" and self.major < 3:
            return kind, _function(config)
        if kind == "InputLayer" and "batch_input_shape" in config:
            config = {"batch_shape": config["batch_input_shape"], **config}
        made = {key: self.read(part) for key, part in config.items() if key not in _IGNORED}
        if made.pop("time_major", False):
            raise NotImplementedError("`time_major=True` is supported only in Sequential models")
        if self.major < 2:
            kind, made = keras1_layer(kind, made)
        if self.major < 3:
            self._old_defaults(kind, made)
        for key in _ACTIVATIONS:
            if self.major < 3 and made.get(key) == _HARD:
                made[key] = "hard_sigmoid_keras2"
        fix = _FIXES.get(kind)
        if fix is not None:
            fix(made)
        return _RENAMED.get(kind, kind), made

    def _old_defaults(self, kind: str, made: Config) -> None:
        """Adds settings that came later or had another default."""
        if kind.startswith("CuDNN"):
            made["recurrent_activation"] = "sigmoid"
        elif kind in ("LSTM", "GRU", "LSTMCell", "GRUCell", "ConvLSTM1D"):
            made.setdefault("recurrent_activation", _HARD)
        if kind in ("GRU", "GRUCell"):
            made.setdefault("reset_after", False)
        if kind == "CuDNNGRU":
            made["reset_after"] = True
        for part in made.values():
            settings = part.get("config") if isinstance(part, dict) else None
            if isinstance(settings, dict) and not settings.get("name"):
                settings.pop("dtype", None)  # an initializer's dtype is that of the weight


def _fix_normalization(made: Config) -> None:
    axis = made.get("axis", -1)
    made["axis"] = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    for key in ("renorm", "virtual_batch_size", "adjustment"):
        if made.pop(key, None):
            raise NotImplementedError(f"`{key}` of BatchNormalization is not supported")
    for key in ("fused", "renorm_clipping", "renorm_momentum"):
        made.pop(key, None)


def _fix_leaky(made: Config) -> None:
    if "alpha" in made:
        made["negative_slope"] = made.pop("alpha")
    _plain_numbers(made)


def _plain_numbers(made: Config) -> None:
    """Numbers that were written as arrays."""
    for key, value in made.items():
        if isinstance(value, dict) and value.get("type") == "ndarray":
            made[key] = value["value"]


def _fix_scaling(made: Config) -> None:
    """Keras 2 called the truncated normal distribution "normal"."""
    if made.get("distribution") == "normal":
        made["distribution"] = "truncated_normal"


def _fix_heads(made: Config) -> None:
    for key in ("query_shape", "key_shape", "value_shape"):  # a call finds them
        made.pop(key, None)


def _fix_attention(made: Config) -> None:
    if made.pop("causal", False):
        raise NotImplementedError("`causal=True` of an attention layer is not supported")


_FIXES: dict[str, Callable[[Config], None]] = {
    "BatchNormalization": _fix_normalization,
    "LeakyReLU": _fix_leaky,
    "PReLU": _plain_numbers,
    "ELU": _plain_numbers,
    "ReLU": _plain_numbers,
    "VarianceScaling": _fix_scaling,
    "Attention": _fix_attention,
    "AdditiveAttention": _fix_attention,
    "MultiHeadAttention": _fix_heads,
}

# Keras 1's names of arguments.
_KERAS1 = {
    "W_constraint": "kernel_constraint", "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer", "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer", "bias": "use_bias", "border_mode": "padding",
    "dropout_U": "recurrent_dropout", "dropout_W": "dropout", "filter_length": "kernel_size",
    "init": "kernel_initializer", "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer", "nb_filter": "filters", "output_dim": "units",
    "p": "rate", "pool_length": "pool_size", "stride": "strides", "subsample_length": "strides",
    "atrous_rate": "dilation_rate", "length": "size",
}  # fmt: skip
_KERAS1_OF = {
    "Embedding": {
        "output_dim": "output_dim", "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer", "W_constraint": "embeddings_constraint",
    },
    "PReLU": {"init": "alpha_initializer"},
    "BatchNormalization": {},
}  # fmt: skip
_KERAS1_LEFT = {"Embedding": ("dropout",), "BatchNormalization": ("mode",), "PReLU": ("weights",)}
_NO_INPUT_DIM = frozenset({"Embedding"})


def keras1_layer(kind: str, config: Config) -> tuple[str, Config]:
    """A layer of Keras 1 with today's names of arguments."""
    if kind == "BatchNormalization" and config.get("mode") not in (0, None):
        raise NotImplementedError(f"`mode={config['mode']}` is not supported, only mode 0")
    if kind in ("Merge", "Highway", "MaxoutDense"):
        raise NotImplementedError(f"the layer {kind} of Keras 1 is not supported here")
    made: Config = {}
    names = {**_KERAS1, **_KERAS1_OF.get(kind, {})}
    for key, value in config.items():
        if key == "input_dim" and kind not in _NO_INPUT_DIM:
            continue
        if key in _KERAS1_LEFT.get(kind, ()):
            continue
        if key == "forget_bias_init":
            made["unit_forget_bias"] = value == "one"
            continue
        made[names.get(key, key)] = _KERAS1_VALUES.get(value, value) if isinstance(
            value, str
        ) and key.endswith("init") else value  # fmt: skip
    return kind, made


_KERAS1_VALUES = {
    "zero": "zeros", "one": "ones", "uniform": "random_uniform", "normal": "random_normal",
}  # fmt: skip
