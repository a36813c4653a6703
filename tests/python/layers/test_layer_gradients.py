"""Every layer that is not recurrent: its vjp against central differences, masks and training."""

import re

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, layers
from ferrnn._src.tree.results import Output
from ferrnn.testing import check_vjp

SEQUENCE = ((3, 7, 5),)

# name: layer, options, shapes of the inputs, training
CASES = {
    "relu": ("ReLU", {"max_value": 0.8, "negative_slope": 0.3, "threshold": 0.1}, SEQUENCE, False),
    "leaky_relu": ("LeakyReLU", {}, SEQUENCE, False),
    "prelu": ("PReLU", {"alpha_initializer": "random_normal"}, SEQUENCE, False),
    "prelu_shared": ("PReLU", {"shared_axes": [1]}, SEQUENCE, False),
    "elu": ("ELU", {"alpha": 0.7}, SEQUENCE, False),
    "softmax": ("Softmax", {"axis": (1, 2)}, SEQUENCE, False),
    "activation": ("Activation", {"activation": "gelu"}, SEQUENCE, False),
    "masking": ("Masking", {}, SEQUENCE, False),
    "dropout": ("Dropout", {"rate": 0.4, "seed": 1}, SEQUENCE, True),
    "spatial_dropout": ("SpatialDropout1D", {"rate": 0.4, "seed": 1}, SEQUENCE, True),
    "gaussian_noise": ("GaussianNoise", {"stddev": 0.4, "seed": 1}, SEQUENCE, True),
    "gaussian_dropout": ("GaussianDropout", {"rate": 0.4, "seed": 1}, SEQUENCE, True),
    "reshape": ("Reshape", {"target_shape": (5, -1)}, SEQUENCE, False),
    "flatten": ("Flatten", {}, SEQUENCE, False),
    "flatten_first": ("Flatten", {"data_format": "channels_first"}, SEQUENCE, False),
    "repeat_vector": ("RepeatVector", {"n": 4}, ((3, 5),), False),
    "permute": ("Permute", {"dims": (3, 1, 2)}, ((2, 3, 4, 5),), False),
    "zero_padding": ("ZeroPadding1D", {"padding": (2, 1)}, SEQUENCE, False),
    "cropping": ("Cropping1D", {"cropping": (2, 1)}, SEQUENCE, False),
    "up_sampling": ("UpSampling1D", {"size": 3}, SEQUENCE, False),
    "layer_norm": ("LayerNormalization", {}, SEQUENCE, False),
    "layer_norm_axes": ("LayerNormalization", {"axis": (2, 1)}, SEQUENCE, False),
    "layer_norm_axis_1": ("LayerNormalization", {"axis": 1, "scale": False}, SEQUENCE, False),
    "rms_norm": ("RMSNormalization", {}, SEQUENCE, False),
    "rms_norm_axes": ("RMSNormalization", {"axis": (2, 1)}, SEQUENCE, False),
    "unit_norm": ("UnitNormalization", {}, SEQUENCE, False),
    "unit_norm_axes": ("UnitNormalization", {"axis": (1, 2)}, SEQUENCE, False),
    "group_norm": ("GroupNormalization", {"groups": 3}, ((3, 7, 6),), False),
    "group_norm_axis_1": (
        "GroupNormalization",
        {"groups": 2, "axis": 1, "scale": False},
        ((3, 4, 5),),
        False,
    ),
    "normalization": (
        "Normalization",
        {"mean": [1.0, 2.0, 0.5, -1.0, 0.0], "variance": [1.0, 2.0, 0.5, 3.0, 0.1]},
        SEQUENCE,
        False,
    ),
    "normalization_inverted": (
        "Normalization",
        {"mean": 0.5, "variance": 0.1, "invert": True},
        SEQUENCE,
        False,
    ),
    "batch_norm": ("BatchNormalization", {}, SEQUENCE, True),
    "batch_norm_axis_1": ("BatchNormalization", {"axis": 1, "center": False}, SEQUENCE, True),
    "batch_norm_renorm": (
        "BatchNormalization",
        # Bounds that leave nothing to vary: no gradient goes through the correction.
        {"renorm": True, "renorm_clipping": {"rmin": 1.3, "rmax": 1.3, "dmax": 0.0}},
        SEQUENCE,
        True,
    ),
    "batch_norm_inference": ("BatchNormalization", {}, SEQUENCE, False),
    "conv": ("Conv1D", {"filters": 3, "kernel_size": 2, "activation": "tanh"}, SEQUENCE, False),
    "conv_strides": ("Conv1D", {"filters": 3, "kernel_size": 3, "strides": 2}, SEQUENCE, False),
    "conv_groups": (
        "Conv1D",
        {"filters": 6, "kernel_size": 3, "groups": 3, "padding": "same"},
        ((3, 7, 6),),
        False,
    ),
    "conv_dilated": (
        "Conv1D",
        {"filters": 17, "kernel_size": 3, "dilation_rate": 2, "padding": "causal"},
        SEQUENCE,
        False,
    ),
    "conv_first": (
        "Conv1D",
        {"filters": 3, "kernel_size": 4, "data_format": "channels_first", "activation": "softmax"},
        SEQUENCE,
        False,
    ),
    "max_pool": ("MaxPooling1D", {"pool_size": 3, "strides": 2}, SEQUENCE, False),
    "max_pool_same": ("MaxPooling1D", {"pool_size": 4, "padding": "same"}, SEQUENCE, False),
    "average_pool": ("AveragePooling1D", {"pool_size": 3, "strides": 1}, SEQUENCE, False),
    "average_pool_same": ("AveragePooling1D", {"pool_size": 4, "padding": "same"}, SEQUENCE, False),
    "global_max": ("GlobalMaxPooling1D", {}, SEQUENCE, False),
    "add": ("Add", {}, ((3, 7, 5), (3, 1, 5), (3, 5)), False),
    "subtract": ("Subtract", {}, ((3, 7, 5), (3, 7, 1)), False),
    "multiply": ("Multiply", {}, ((3, 7, 5), (3, 1, 5), (3, 7, 5)), False),
    "average": ("Average", {}, ((3, 7, 5), (3, 7, 5)), False),
    "maximum": ("Maximum", {}, ((3, 7, 5), (3, 1, 5), (3, 7, 5)), False),
    "minimum": ("Minimum", {}, ((3, 7, 5), (3, 7, 5), (3, 7, 5)), False),
    "concatenate": ("Concatenate", {"axis": 1}, ((3, 7, 5), (3, 2, 5), (3, 1, 5)), False),
    "dot": ("Dot", {"axes": (2, 1)}, ((3, 7, 5), (3, 5, 2)), False),
    "cosine": ("Dot", {"axes": -1, "normalize": True}, ((3, 7, 5), (3, 2, 5)), False),
    "attention": ("Attention", {"use_scale": True}, ((3, 7, 5), (3, 2, 4), (3, 2, 5)), False),
    "attention_dropout": ("Attention", {"dropout": 0.3, "seed": 1}, ((3, 7, 5), (3, 4, 5)), True),
    "attention_concat": (
        "Attention",
        {"use_scale": True, "score_mode": "concat"},
        ((3, 7, 5), (3, 2, 5)),
        False,
    ),
    "additive_attention": ("AdditiveAttention", {}, ((3, 7, 5), (3, 2, 5)), False),
    "heads": (
        "MultiHeadAttention",
        {"num_heads": 3, "key_dim": 2, "value_dim": 4, "output_shape": 5},
        ((3, 7, 5), (3, 4, 2), (3, 4, 3)),
        False,
    ),
    "heads_gate": (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "use_gate": True, "dropout": 0.2, "seed": 1},
        ((3, 7, 5), (3, 4, 5)),
        True,
    ),
    "heads_axes": (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "attention_axes": (1, 3)},
        ((2, 3, 2, 4, 5), (2, 5, 2, 1, 5)),
        False,
    ),
    "global_average": ("GlobalAveragePooling1D", {"keepdims": True}, SEQUENCE, False),
}


def made(name):
    kind, options, shapes, training = CASES[name]
    layer = getattr(layers, kind)(**options, dtype="float64")
    rng = np.random.default_rng(len(name))
    inputs = tuple(rng.normal(size=shape) for shape in shapes)
    layer.build_for(inputs[0] if len(inputs) == 1 else inputs)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.3, 1.0, size=weight.shape))
    return layer, inputs[0] if len(inputs) == 1 else inputs, training


@each_case("name", CASES)
def test_gradients_match_finite_differences(name):
    layer, inputs, training = made(name)

    def forward(arrays):
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.counter = 0  # the same noise at each call
        return layer.forward(arrays, Call(training=training, differentiable=True))

    # The bias of a key adds the same to all scores of a query, which changes no weight.
    weights = [each for each in layer.trainable_weights if not each.path.endswith("key/bias")]
    check_vjp(forward, inputs, weights)


@each_case("name", CASES)
def test_outputs_are_the_same_without_a_vjp_and_of_the_promised_shape(name):
    layer, inputs, _ = made(name)
    outputs, _ = layer.forward(inputs, Call())
    again, vjp = layer.forward(inputs, Call(differentiable=True))
    np.testing.assert_array_equal(outputs, again)
    shapes = [part.shape for part in inputs] if type(inputs) is tuple else [inputs.shape]
    if type(inputs) is tuple and "heads" not in name:
        shapes = [shapes]
    assert tuple(layer.compute_output_shape(*shapes)) == outputs.shape
    assert layer.forward(inputs, Call())[0].dtype == np.float64
    assert vjp(np.ones_like(outputs), Gradients()) is not None


@each_case("name", CASES)
def test_inputs_and_gradients_are_never_written_to(name):
    layer, inputs, training = made(name)
    parts = inputs if type(inputs) is tuple else (inputs,)
    for part in parts:
        part.flags.writeable = False
    outputs, vjp = layer.forward(inputs, Call(training=training, differentiable=True))
    d_outputs = np.ones_like(outputs)
    d_outputs.flags.writeable = False
    vjp(d_outputs, Gradients())


@each_case("name", CASES)
def test_the_configuration_makes_an_equal_layer(name):
    layer, inputs, _ = made(name)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.forward(inputs, Call())
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        again.forward(inputs, Call())[0], layer.forward(inputs, Call())[0]
    )


@each_case(
    ("kind", "options", "weight"),
    [
        ("Conv1D", {"filters": 3, "kernel_size": 2}, "kernel"),
        ("Conv1D", {"filters": 3, "kernel_size": 2, "bias_initializer": "ones"}, "bias"),
        ("Embedding", {"input_dim": 7, "output_dim": 3}, "embeddings"),
        ("LayerNormalization", {}, "gamma"),
        ("BatchNormalization", {"beta_initializer": "ones"}, "beta"),
        ("PReLU", {"alpha_initializer": "ones"}, "alpha"),
    ],
)
def test_regularizers_and_constraints_of_weights(kind, options, weight):
    options |= {f"{weight}_regularizer": "l2", f"{weight}_constraint": "non_neg"}
    layer = getattr(layers, kind)(**options)
    layer.build((2, 7, 5))
    (parameter,) = (each for each in layer.weights if each.name == weight)
    assert layer.losses == [pytest.approx(0.01 * np.square(parameter.value).sum())]
    assert (parameter.constraint(np.array([-1.0, 2.0])) == [0, 2]).all()
    config = layer.get_config()
    again = getattr(layers, kind).from_config(config)
    assert again.get_config() == config
    assert config[f"{weight}_regularizer"] is not None


# `Softmax` takes a mask of entries; layers of several inputs have theirs in other files.
SEQUENTIAL = [
    name
    for name, (kind, _, shapes, _) in CASES.items()
    if len(shapes) == 1 and len(shapes[0]) > 2 and kind != "Softmax"
]
CARRYING = {name for name in SEQUENTIAL if getattr(layers, CASES[name][0]).supports_masking}


def mask_for(inputs):
    lengths = np.arange(len(inputs), 0, -1) * inputs.shape[1] // len(inputs)
    return np.arange(inputs.shape[1]) < lengths[:, None]


@each_case("name", [name for name in SEQUENTIAL if name in CARRYING])
def test_a_mask_is_carried_on(name):
    layer, inputs, _ = made(name)
    mask = mask_for(inputs)
    carried = getattr(layer(inputs, mask=mask), "_keras_mask", None)
    if name.startswith("global"):  # there is no time any more
        assert carried is None
        return
    expected = np.ones_like(mask) if name == "masking" else mask  # no step is all zeros
    np.testing.assert_array_equal(carried, expected)


@each_case("name", [name for name in SEQUENTIAL if name not in CARRYING])
def test_what_does_not_support_masks_says_so_and_drops_them(name):
    layer, inputs, _ = made(name)
    text = f"Layer {layer.name!r} (of type {type(layer).__name__}) was passed an input with a mask"
    with pytest.warns(UserWarning, match=re.escape(text)):
        outputs = layer(inputs, mask=mask_for(inputs))
    assert type(outputs) is Output
