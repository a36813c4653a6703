"""Which layers the golden file of feed-forward layers holds, with which options and inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One layer, the shapes of its inputs, and how it is called.

    `masks` says for each input what mask it carries ("steps" `[batch, time]`, "second" the same
    for the second input's shape, "full" of the inputs' shape). `spread` hands the inputs over as
    arguments, not as a list; `ids` makes them whole numbers below it.
    """

    layer: str
    options: dict[str, Any]
    shapes: tuple[Shape, ...]
    masks: tuple[str | None, ...] = ()
    training: bool = False
    dtype: str = "float64"
    call: dict[str, Any] = field(default_factory=dict)
    spread: bool = False
    ids: int = 0
    masked_value: float | None = None


SEQUENCE = ((3, 5, 4),)

SIMPLE: dict[str, Case] = {
    "embedding": Case("Embedding", {"input_dim": 9, "output_dim": 4}, ((3, 6),), ids=9),
    "embedding-mask": Case(
        "Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}, ((4, 7),), ids=5
    ),
    "embedding-rank_1": Case("Embedding", {"input_dim": 5, "output_dim": 3}, ((6,),), ids=5),
    "masking": Case("Masking", {}, SEQUENCE, masked_value=0.0),
    "masking-value": Case("Masking", {"mask_value": -2.0}, SEQUENCE, masked_value=-2.0),
    "relu": Case("ReLU", {}, SEQUENCE),
    "relu-slope": Case("ReLU", {"negative_slope": 0.25}, SEQUENCE),
    "relu-max": Case("ReLU", {"max_value": 0.75}, SEQUENCE),
    "relu-six": Case("ReLU", {"max_value": 6}, SEQUENCE),
    "relu-all": Case(
        "ReLU", {"max_value": 1.0, "negative_slope": 0.5, "threshold": 0.3}, SEQUENCE
    ),
    "leaky_relu": Case("LeakyReLU", {}, SEQUENCE),
    "leaky_relu-slope": Case("LeakyReLU", {"negative_slope": 0.125}, SEQUENCE, ("steps",)),
    "prelu": Case("PReLU", {}, SEQUENCE),
    "prelu-shared": Case("PReLU", {"shared_axes": [1]}, SEQUENCE, ("steps",)),
    "prelu-all_shared": Case("PReLU", {"shared_axes": [1, 2]}, SEQUENCE),
    "elu": Case("ELU", {}, SEQUENCE),
    "elu-alpha": Case("ELU", {"alpha": 0.3}, SEQUENCE),
    "softmax": Case("Softmax", {}, SEQUENCE),
    "softmax-axis": Case("Softmax", {"axis": 1}, SEQUENCE),
    "softmax-axes": Case("Softmax", {"axis": [1, 2]}, SEQUENCE),
    "softmax-mask": Case("Softmax", {}, ((5, 6),), ("full",)),
    "reshape": Case("Reshape", {"target_shape": [2, 10]}, SEQUENCE),
    "reshape-rest": Case("Reshape", {"target_shape": [2, -1, 2]}, SEQUENCE),
    "flatten": Case("Flatten", {}, ((2, 3, 4, 2),)),
    "flatten-scalars": Case("Flatten", {}, ((5,),)),
    "flatten-first": Case("Flatten", {"data_format": "channels_first"}, ((2, 3, 4, 2),)),
    "repeat_vector": Case("RepeatVector", {"n": 3}, ((2, 5),)),
    "permute": Case("Permute", {"dims": [2, 1]}, SEQUENCE),
    "permute-three": Case("Permute", {"dims": [3, 1, 2]}, ((2, 3, 4, 5),)),
    "zero_padding": Case("ZeroPadding1D", {"padding": 2}, SEQUENCE),
    "zero_padding-two": Case("ZeroPadding1D", {"padding": [1, 3]}, SEQUENCE),
    "zero_padding-first": Case(
        "ZeroPadding1D", {"padding": [2, 0], "data_format": "channels_first"}, SEQUENCE
    ),
    "cropping": Case("Cropping1D", {}, SEQUENCE),
    "cropping-two": Case("Cropping1D", {"cropping": [3, 0]}, SEQUENCE),
    "up_sampling": Case("UpSampling1D", {"size": 3}, SEQUENCE),
}  # fmt: skip

NORMALIZATION: dict[str, Case] = {
    "layer_norm": Case("LayerNormalization", {}, SEQUENCE, ("steps",)),
    "layer_norm-axes": Case("LayerNormalization", {"axis": [1, 2], "epsilon": 0.01}, SEQUENCE),
    "layer_norm-axis_1": Case("LayerNormalization", {"axis": 1, "center": False}, SEQUENCE),
    "layer_norm-bare": Case(
        "LayerNormalization", {"center": False, "scale": False, "axis": [-1]}, ((4, 6),)
    ),
    "layer_norm-rms": Case("LayerNormalization", {"rms_scaling": True}, SEQUENCE),
    "layer_norm-rms-axes": Case(
        "LayerNormalization", {"rms_scaling": True, "axis": [1, 2], "scale": False}, SEQUENCE
    ),
    "layer_norm-single": Case("LayerNormalization", {}, ((3, 5, 9),), dtype="float32"),
    "batch_norm": Case("BatchNormalization", {}, ((7, 4),), training=True),
    "batch_norm-inference": Case("BatchNormalization", {}, SEQUENCE),
    "batch_norm-sequence": Case(
        "BatchNormalization", {"momentum": 0.8, "epsilon": 0.05}, SEQUENCE, training=True
    ),
    "batch_norm-mask": Case("BatchNormalization", {}, SEQUENCE, ("steps",), training=True),
    "batch_norm-mask_inference": Case("BatchNormalization", {}, SEQUENCE, ("steps",)),
    "batch_norm-axis_1": Case(
        "BatchNormalization", {"axis": 1, "scale": False}, SEQUENCE, training=True
    ),
    "batch_norm-no_center": Case(
        "BatchNormalization", {"center": False}, SEQUENCE, training=True
    ),
    "batch_norm-frozen": Case(
        "BatchNormalization", {"trainable": False}, SEQUENCE, training=True
    ),
    "batch_norm-renorm": Case("BatchNormalization", {"renorm": True}, SEQUENCE, training=True),
    "batch_norm-renorm_clipped": Case(
        "BatchNormalization",
        {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 1.5, "dmax": 0.75},
         "renorm_momentum": 0.8, "momentum": 0.9},
        ((7, 4),), training=True,
    ),
    "batch_norm-renorm_bare": Case(
        "BatchNormalization",
        {"renorm": True, "center": False, "scale": False, "axis": 1}, SEQUENCE, training=True,
    ),
    "batch_norm-renorm_mask": Case(
        "BatchNormalization", {"renorm": True, "scale": False}, SEQUENCE, ("steps",), training=True
    ),
    "batch_norm-renorm_inference": Case("BatchNormalization", {"renorm": True}, SEQUENCE),
    "batch_norm-single": Case(
        "BatchNormalization", {}, ((5, 3, 9),), training=True, dtype="float32"
    ),
}  # fmt: skip

SCALING: dict[str, Case] = {
    "rms_norm": Case("RMSNormalization", {}, SEQUENCE),
    "rms_norm-axes": Case("RMSNormalization", {"axis": [2, 1], "epsilon": 0.01}, SEQUENCE),
    "rms_norm-single": Case("RMSNormalization", {}, ((4, 9),), dtype="float32"),
    "unit_norm": Case("UnitNormalization", {}, SEQUENCE, ("steps",)),
    "unit_norm-axes": Case("UnitNormalization", {"axis": [1, 2]}, SEQUENCE),
    "unit_norm-axis_1": Case("UnitNormalization", {"axis": 1}, SEQUENCE, dtype="float32"),
    "group_norm": Case("GroupNormalization", {"groups": 2}, ((3, 5, 6),), ("steps",)),
    "group_norm-each": Case("GroupNormalization", {"groups": -1, "epsilon": 0.01}, SEQUENCE),
    "group_norm-axis_1": Case(
        "GroupNormalization", {"groups": 3, "axis": 1, "center": False}, ((2, 6, 5, 4),)
    ),
    "group_norm-axis_inner": Case("GroupNormalization", {"groups": 2, "axis": -2}, ((2, 4, 5),)),
    "group_norm-flat": Case("GroupNormalization", {"groups": 4, "scale": False}, ((5, 8),)),
    "group_norm-single": Case("GroupNormalization", {"groups": 3}, ((2, 7, 9),), dtype="float32"),
    "normalization": Case("Normalization", {"axis": None}, SEQUENCE, ("steps",)),
    "normalization-given": Case(
        "Normalization", {"mean": [0.5, 1.0, -2.0, 0.25], "variance": [1.0, 0.5, 4.0, 2.0]},
        SEQUENCE,
    ),
    "normalization-scalar": Case(
        "Normalization", {"mean": 0.5, "variance": 2.0, "invert": True}, SEQUENCE
    ),
    "normalization-axes": Case(
        "Normalization", {"axis": [1, 2], "mean": [0.5, 1.0, -2.0, 0.25],
        "variance": [1.0, 0.5, 4.0, 2.0]}, SEQUENCE, dtype="float32",
    ),
}  # fmt: skip

LONGER = ((3, 11, 4),)
WINDOWS: dict[str, Case] = {
    "conv": Case("Conv1D", {"filters": 5, "kernel_size": 3}, LONGER),
    "conv-same": Case("Conv1D", {"filters": 5, "kernel_size": 4, "padding": "same"}, LONGER),
    "conv-same_strides": Case(
        "Conv1D", {"filters": 5, "kernel_size": 4, "padding": "same", "strides": 3}, LONGER
    ),
    "conv-causal": Case("Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal"}, LONGER),
    "conv-causal_dilated": Case(
        "Conv1D",
        {"filters": 6, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        LONGER,
    ),
    "conv-causal_strides": Case(
        "Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal", "strides": 2}, LONGER
    ),
    "conv-strides": Case("Conv1D", {"filters": 3, "kernel_size": 2, "strides": 3}, LONGER),
    "conv-dilated": Case("Conv1D", {"filters": 3, "kernel_size": 3, "dilation_rate": 4}, LONGER),
    "conv-groups": Case(
        "Conv1D", {"filters": 6, "kernel_size": 3, "groups": 2, "activation": "tanh"}, LONGER
    ),
    "conv-first": Case(
        "Conv1D",
        {"filters": 5, "kernel_size": 3, "data_format": "channels_first", "activation": "relu"},
        ((3, 4, 11),),
    ),
    "conv-softmax": Case(
        "Conv1D", {"filters": 5, "kernel_size": 3, "activation": "softmax"}, LONGER
    ),
    "conv-gelu": Case(
        "Conv1D", {"filters": 5, "kernel_size": 3, "activation": "gelu", "use_bias": False}, LONGER
    ),
    "conv-one": Case("Conv1D", {"filters": 1, "kernel_size": 1}, ((1, 1, 1),)),
    "conv-whole": Case("Conv1D", {"filters": 5, "kernel_size": 11}, LONGER),
    "conv-single": Case(
        "Conv1D", {"filters": 17, "kernel_size": 5, "activation": "relu"}, ((4, 30, 9),),
        dtype="float32",
    ),
    "max_pool": Case("MaxPooling1D", {}, LONGER),
    "max_pool-same": Case("MaxPooling1D", {"pool_size": 3, "padding": "same"}, LONGER),
    "max_pool-overlap": Case("MaxPooling1D", {"pool_size": 4, "strides": 1}, LONGER),
    "max_pool-overlap_same": Case(
        "MaxPooling1D", {"pool_size": 4, "strides": 3, "padding": "same"}, LONGER
    ),
    "max_pool-first": Case("MaxPooling1D", {"data_format": "channels_first"}, LONGER),
    "average_pool": Case("AveragePooling1D", {"pool_size": 2}, LONGER),
    "average_pool-same": Case("AveragePooling1D", {"pool_size": 4, "padding": "same"}, LONGER),
    "average_pool-overlap": Case(
        "AveragePooling1D", {"pool_size": 4, "strides": 1, "padding": "same"}, LONGER
    ),
    "average_pool-gaps": Case("AveragePooling1D", {"pool_size": 2, "strides": 4}, LONGER),
    "average_pool-first": Case(
        "AveragePooling1D", {"pool_size": 2, "data_format": "channels_first"}, LONGER
    ),
    "global_max": Case("GlobalMaxPooling1D", {}, SEQUENCE),
    "global_max-keep": Case("GlobalMaxPooling1D", {"keepdims": True}, SEQUENCE),
    "global_max-first": Case("GlobalMaxPooling1D", {"data_format": "channels_first"}, SEQUENCE),
    "global_average": Case("GlobalAveragePooling1D", {}, SEQUENCE),
    "global_average-keep": Case("GlobalAveragePooling1D", {"keepdims": True}, SEQUENCE),
    "global_average-mask": Case("GlobalAveragePooling1D", {}, SEQUENCE, ("steps",)),
    "global_average-first": Case(
        "GlobalAveragePooling1D", {"data_format": "channels_first"}, SEQUENCE
    ),
}  # fmt: skip
