"""Which layers for frames, and which convolutions, the golden file of feed-forward layers holds."""

from __future__ import annotations

from feedforward_tables import SEQUENCE, Case

_FRAMES = ((2, 5, 7, 4),)
_LONG = ((2, 9, 4),)
_FIRST = {"data_format": "channels_first"}

FRAMES: dict[str, Case] = {
    "conv2d": Case("Conv2D", {"filters": 6, "kernel_size": [3, 2]}, _FRAMES),
    "conv2d-same": Case(
        "Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same", "activation": "tanh"}, _FRAMES
    ),
    "conv2d-strides": Case(
        "Conv2D", {"filters": 3, "kernel_size": 3, "strides": [2, 3], "padding": "same"}, _FRAMES
    ),
    "conv2d-dilated": Case(
        "Conv2D", {"filters": 3, "kernel_size": 2, "dilation_rate": [2, 3], "use_bias": False},
        _FRAMES,
    ),
    "conv2d-groups": Case(
        "Conv2D", {"filters": 6, "kernel_size": 2, "groups": 2, "padding": "same"}, _FRAMES
    ),
    "depthwise1d": Case(
        "DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2}, _LONG
    ),
    "depthwise2d": Case(
        "DepthwiseConv2D",
        {"kernel_size": 3, "depth_multiplier": 3, "padding": "same", "activation": "relu"},
        _FRAMES,
    ),
    "separable1d": Case("SeparableConv1D", {"filters": 5, "kernel_size": 3}, _LONG),
    "separable2d": Case(
        "SeparableConv2D",
        {"filters": 5, "kernel_size": [2, 3], "depth_multiplier": 2, "strides": 2},
        _FRAMES,
    ),
    "conv1d_transpose": Case(
        "Conv1DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2}, SEQUENCE
    ),
    "conv1d_transpose-extra": Case(
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 3, "output_padding": 1, "padding": "same"},
        SEQUENCE,
    ),
    "conv2d_transpose": Case(
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": [3, 2], "strides": [2, 3], "padding": "same"},
        _FRAMES,
    ),
    "conv2d_transpose-dilated": Case(
        "Conv2DTranspose", {"filters": 3, "kernel_size": 2, "dilation_rate": 2}, _FRAMES
    ),
    "max_pooling2d": Case("MaxPooling2D", {"pool_size": [3, 2], "strides": 2}, _FRAMES),
    "max_pooling2d-same": Case("MaxPooling2D", {"pool_size": 3, "padding": "same"}, _FRAMES),
    "average_pooling2d": Case("AveragePooling2D", {"pool_size": 2}, _FRAMES),
    "average_pooling2d-same": Case(
        "AveragePooling2D", {"pool_size": [3, 4], "strides": [2, 3], "padding": "same"}, _FRAMES
    ),
    "global_max_pooling2d": Case("GlobalMaxPooling2D", {}, _FRAMES),
    "global_average_pooling2d": Case("GlobalAveragePooling2D", {"keepdims": True}, _FRAMES),
    "zero_padding2d": Case("ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, _FRAMES),
    "cropping2d": Case("Cropping2D", {"cropping": [[1, 0], [2, 3]]}, _FRAMES),
    "up_sampling2d": Case("UpSampling2D", {"size": [2, 3]}, _FRAMES),
    "up_sampling2d-bilinear": Case(
        "UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, _FRAMES
    ),
    "up_sampling2d-bicubic": Case(
        "UpSampling2D", {"size": [3, 2], "interpolation": "bicubic"}, _FRAMES
    ),
    "up_sampling2d-lanczos": Case(
        "UpSampling2D", {"size": 2, "interpolation": "lanczos5"}, ((2, 3, 4, 2),)
    ),
    "batch_norm-channels": Case(
        "BatchNormalization", {"axis": 1}, _FRAMES, training=True
    ),
    "global_max_pooling2d-first": Case("GlobalMaxPooling2D", _FIRST, _FRAMES),
    "up_sampling2d-first": Case("UpSampling2D", _FIRST, _FRAMES),
    "zero_padding2d-first": Case("ZeroPadding2D", {"padding": [1, 2], **_FIRST}, _FRAMES),
    "identity": Case("Identity", {}, SEQUENCE, ("steps",)),
    "rescaling": Case("Rescaling", {"scale": 0.25, "offset": -0.5}, _FRAMES),
    "adaptive_average_pooling1d": Case("AdaptiveAveragePooling1D", {"output_size": 4}, _LONG),
    "adaptive_max_pooling1d": Case("AdaptiveMaxPooling1D", {"output_size": 4}, _LONG),
    "einsum_dense": Case(
        "EinsumDense",
        {"equation": "abc,cd->abd", "output_shape": [None, 6], "bias_axes": "d"},
        SEQUENCE,
    ),
    "einsum_dense-heads": Case(
        "EinsumDense",
        {"equation": "...c,cde->...de", "output_shape": [2, 3], "bias_axes": "de",
         "activation": "tanh"},
        SEQUENCE,
    ),
    "einsum_dense-time": Case(
        "EinsumDense", {"equation": "abc,bd->adc", "output_shape": [6, 4]}, SEQUENCE
    ),
}  # fmt: skip
