"""Configurations of models, and arguments of `compile`, in the form of Keras 2.15."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ferrnn._src.files.errors import within

Config: TypeAlias = dict[str, Any]

_MODELS = ("Functional", "Sequential", "Model")
_ACTIVATIONS = ("activation", "recurrent_activation")
# Settings that came with Keras 3, with the values at which they have no effect.
_NEW: Mapping[str, Any] = {
    "flash_attention": None, "gradient_accumulation_steps": None, "lora_rank": None,
    "lora_alpha": None, "loss_scale_factor": None, "optional": False, "quantization_config": None,
    "renorm": False, "renorm_clipping": None, "rms_scaling": False,
    "sliding_window": None, "use_gate": False, "weights": None,
}  # fmt: skip
_OLD_OPTIMIZERS = ("SGD", "RMSprop", "Adam", "Adamax", "Adagrad", "Adadelta")
# Settings without effect on what Keras 3 computes.
_LEFT_OUT = frozenset({"ragged", "seed_generator", "renorm_momentum", "build_config"})
# Classes that had a seed in Keras 2 as well.
_SEEDED = frozenset({"Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout"})


def model_config(data: Mapping[str, Any]) -> Config:
    """A model's class and configuration for Keras 2, from those for Keras 3.

    Raises:
        ValueError: Keras 2 has no equivalent of something in it.
    """
    return _object(data)


def training_config(data: Mapping[str, Any]) -> Config:
    """The arguments of `compile`; losses and metrics must be objects, or names without a class."""
    made = {key: _value(data.get(key)) for key in ("metrics", "weighted_metrics", "loss_weights")}
    losses = _without_dtypes(_value(data.get("loss")))
    return {**made, "loss": losses, "optimizer_config": _optimizer(data["optimizer"])}


def is_old(optimizer_config: Mapping[str, Any]) -> bool:
    """Whether an optimizer is of the kind that Keras had before 2.11.

    Keras 3 has the settings of the old kind, but not those of the kind introduced in 2.11.
    """
    return "is_legacy_optimizer" not in optimizer_config["config"]


def _optimizer(data: Mapping[str, Any]) -> Config:
    config = {key: _value(value) for key, value in data["config"].items()}
    for key, value in _NEW.items():
        if config.pop(key, value) != value:
            raise ValueError(f"`{key}` of an optimizer is not in Keras 2: pass `keras=3`")
    averaged = config["use_ema"] or config.get("weight_decay")
    if data["class_name"] in _OLD_OPTIMIZERS and not averaged:
        left_out = {key for key in config if key.startswith(("ema_", "clip", "global_clip"))}
        left_out -= {key for key in left_out if key.endswith(("norm", "value")) and config[key]}
        for key in ("use_ema", "weight_decay", *left_out):
            config.pop(key, None)
        return {"class_name": data["class_name"], "config": config}
    config["is_legacy_optimizer"] = False
    return {"class_name": f"Custom>{data['class_name']}", "config": config}  # as registered


def _without_dtypes(value: Any) -> Any:
    """Losses in the form of Keras 2."""
    if isinstance(value, list):
        return [_without_dtypes(part) for part in value]
    if isinstance(value, dict):
        return {key: _without_dtypes(part) for key, part in value.items() if key != "dtype"}
    return value


def _value(value: Any) -> Any:
    """Settings at any depth."""
    if isinstance(value, list | tuple):
        return [_value(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("class_name"), str) and "config" in value:
        return _object(value)
    return {key: _value(part) for key, part in value.items()}


def _object(data: Mapping[str, Any]) -> Config:
    kind, config = data["class_name"], data["config"]
    if kind == "DTypePolicy":
        return config["name"]  # type: ignore[no-any-return]
    if str(data.get("module", "")).startswith("keras.src.ops"):
        raise ValueError(
            f"the operation {kind} between layers is not in Keras 2: use a layer, such as Add or "
            "Reshape, or pass `keras=3`"
        )
    name = config.get("name", "") if isinstance(config, Mapping) else ""
    with within(f"the {kind} {name!r}" if name else f"the {kind}"):
        if kind == "Functional":
            made = _functional(config)
        elif kind == "Sequential":
            made = _sequential(config)
        else:
            made = _layer(kind, config) if isinstance(config, Mapping) else config
    return {"class_name": data.get("registered_name") or kind, "config": made}


def _layer(kind: str, config: Mapping[str, Any]) -> Config:
    made: Config = {}
    for key, value in config.items():
        if key in _LEFT_OUT or (key == "seed" and "trainable" in config and kind not in _SEEDED):
            continue
        if key in _NEW:
            if value != _NEW[key]:
                raise ValueError(f"`{key}={value!r}` is not in Keras 2: pass `keras=3`")
            continue
        made[key] = _value(value)
    if isinstance(made.get("seed"), dict):
        made["seed"] = None
    for key in _ACTIVATIONS:
        if made.get(key) == "hard_sigmoid":
            raise ValueError(
                f"`{key}='hard_sigmoid'` is a different function in Keras 2, which is ferrnn's "
                "`hard_sigmoid_keras2`: pass `keras=3`"
            )
        if made.get(key) == "hard_sigmoid_keras2":
            made[key] = "hard_sigmoid"
    fix = _FIXES.get(kind)
    if fix is not None:
        fix(made)
    return made


def _fix_input(made: Config) -> None:
    made["batch_input_shape"] = made.pop("batch_shape")


def _fix_leaky(made: Config) -> None:
    made["alpha"] = made.pop("negative_slope")


def _fix_heads(made: Config) -> None:
    made |= dict.fromkeys(("query_shape", "key_shape", "value_shape"))  # which a call finds


def _fix_padding(made: Config) -> None:
    if made.pop("data_format", "channels_last") not in (None, "channels_last"):
        raise ValueError(
            "`data_format='channels_first'` cannot be written for Keras 2: pass `keras=3`"
        )


_FIXES: dict[str, Callable[[Config], None]] = {
    "InputLayer": _fix_input,
    "LeakyReLU": _fix_leaky,
    "MultiHeadAttention": _fix_heads,
    "ZeroPadding1D": _fix_padding,
}

# The arguments after the first that may be passed by position.
_NAMED_ARGUMENTS = {"MultiHeadAttention": ("value", "key")}


def _sequential(config: Mapping[str, Any]) -> Config:
    layers = list(config["layers"])
    shape = config.get("build_input_shape")
    if layers and layers[0]["class_name"] not in ("InputLayer", *_MODELS) and shape:
        name = f"{layers[0]['config']['name']}_input"
        inputs = {"batch_shape": [None, *shape[1:]], "dtype": "float32", "sparse": False}
        layers.insert(0, {"class_name": "InputLayer", "config": {**inputs, "name": name}})
    return {"name": config["name"], "layers": [_value(layer) for layer in layers]}


def _functional(config: Mapping[str, Any]) -> Config:
    # The first call of a nested model with known inputs is the one that made it.
    first = {each["name"]: int(_knows_inputs(each)) for each in config["layers"]}

    def place(history: Any) -> list[Any]:
        name, call, output = history
        return [name, call + first[name], output]

    def ends(entry: Any) -> Any:
        if isinstance(entry, Mapping):
            return {key: ends(part) for key, part in entry.items()}
        if isinstance(entry[0], str):
            return place(entry)
        return [ends(part) for part in entry]

    layers = []
    for layer in config["layers"]:
        made = _object(layer)
        with within(f"the {layer['class_name']} {layer['name']!r}"):
            kind = layer["class_name"]
            nodes = [_node(kind, node, place) for node in layer["inbound_nodes"]]
        layers.append({**made, "name": layer["name"], "inbound_nodes": nodes})
    inputs, outputs = ends(config["input_layers"]), ends(config["output_layers"])
    return {
        "name": config["name"],
        "layers": layers,
        "input_layers": [inputs] if _is_place(inputs) else inputs,
        "output_layers": [outputs] if _is_place(outputs) else outputs,
    }


def _is_place(entry: Any) -> bool:
    return isinstance(entry, list) and isinstance(entry[0], str)


def _knows_inputs(layer: Mapping[str, Any]) -> bool:
    if layer["class_name"] == "Sequential":
        config = layer["config"]
        return bool(config.get("build_input_shape")) or (
            bool(config["layers"]) and config["layers"][0]["class_name"] == "InputLayer"
        )
    return layer["class_name"] in _MODELS


def _node(kind: str, node: Mapping[str, Any], place: Callable[[Any], list[Any]]) -> list[Any]:
    """One call of a layer: the places of its inputs, each with the keyword arguments."""

    def written(value: Any) -> Any:
        if _is_tensor(value):
            return place(value["config"]["keras_history"])
        if isinstance(value, list | tuple):
            return [written(part) for part in value]
        if isinstance(value, Mapping):
            raise ValueError(  # noqa: TRY004 - it is about what a file can hold
                f"the argument {value.get('class_name', 'dict')!r} of a call cannot be written for "
                "Keras 2: pass `keras=3`"
            )
        return value

    args = list(node["args"])
    kwargs = {key: written(value) for key, value in node["kwargs"].items() if value is not None}
    first, *others = args or [None]
    for name, other in zip(_NAMED_ARGUMENTS.get(kind, ()), others, strict=False):
        kwargs[name] = written(other)
    others = others[len(_NAMED_ARGUMENTS.get(kind, ())) :]
    inputs = list(first) if isinstance(first, list | tuple) else [first]
    if not inputs or not all(map(_is_tensor, inputs)) or any(each is not None for each in others):
        raise ValueError(
            "a call without tensors, or with several positional arguments, cannot be written for "
            "Keras 2: pass the arguments after the first by name, or pass `keras=3`"
        )
    state = kwargs.pop("initial_state", None)
    if state is not None:  # additional inputs
        states = [state] if _is_place(state) else state
        return [[*written(each), kwargs] for each in inputs] + [[*each, kwargs] for each in states]
    return [[*written(each), kwargs] for each in inputs]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"
