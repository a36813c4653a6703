"""Exported layers of windows, frames, attention and products compute the same in ONNX Runtime."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers as L  # noqa: N812 - there are many
from ferrnn.tree import flatten
from onnx_session import session_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

HEIGHT, WIDTH, FEATURES = 7, 6, 4


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.uniform(0.2, 1, w.shape) if "variance" in w.name else 0.4 * rng.normal(size=w.shape)
            for w in model.weights
        ]
    )
    return model


def check(model, sizes=((3, 7), (2, 4)), tolerance=4e-6):
    """The checker passes the file; ONNX Runtime and `from_onnx` compute what the model does."""
    randomized(model)
    content = ferrnn.to_onnx(model)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session, again = session_of(content), ferrnn.from_onnx(content)
    for batch, time in sizes:
        rng = np.random.default_rng(batch)
        x = [
            rng.normal(size=[batch, *(size or time for size in each.shape[1:])]).astype(each.dtype)
            for each in model.inputs
        ]
        named = {each.name: array for each, array in zip(session.get_inputs(), x, strict=True)}
        expected = flatten(model.predict_on_batch(x if len(x) > 1 else x[0]))
        for computed in (session.run(None, named), again.run(named).values()):
            for found, own in zip(computed, expected, strict=True):
                assert found.shape == own.shape
                assert np.ptp(own) > 0
                np.testing.assert_allclose(found, own, rtol=0, atol=tolerance * abs(own).max())
    return content


def of_sequences(*layers):
    return ferrnn.Sequential([ferrnn.Input((None, FEATURES)), *layers])


def of_frames(*layers, shape=(HEIGHT, WIDTH, FEATURES)):
    return ferrnn.Sequential([ferrnn.Input(shape), *layers])


SEQUENCES = {
    "dilated": lambda: [L.Conv1D(5, 3, dilation_rate=2, padding="causal")],
    "same": lambda: [L.Conv1D(5, 4, padding="same", activation="softmax")],
    "same, dilated": lambda: [L.Conv1D(5, 2, dilation_rate=3, padding="same")],
    "same, strides": lambda: [L.Conv1D(5, 4, strides=3, padding="same")],
    "groups": lambda: [L.Conv1D(6, 2, groups=2, use_bias=False)],
    "depthwise": lambda: [L.DepthwiseConv1D(3, depth_multiplier=2, activation="relu")],
    "separable": lambda: [L.SeparableConv1D(5, 3, padding="same", depth_multiplier=3)],
    "transposed": lambda: [L.Conv1DTranspose(5, 3, strides=2)],
    "transposed, same": lambda: [L.Conv1DTranspose(5, 4, strides=3, padding="same")],
    "transposed, far": lambda: [L.Conv1DTranspose(5, 2, strides=3)],
    "transposed, more": lambda: [L.Conv1DTranspose(5, 3, strides=2, output_padding=1)],
    "pooled": lambda: [L.AveragePooling1D(3, strides=2, padding="same"), L.MaxPooling1D(2)],
    "padded": lambda: [L.ZeroPadding1D((2, 1)), L.Cropping1D((0, 2)), L.UpSampling1D(2)],
    "unit": lambda: [L.UnitNormalization(), L.Rescaling([1, 2, 3, 0.5], 0.1), L.Identity()],
    "spectral": lambda: [L.SpectralNormalization(L.Dense(3, "tanh"))],
    "undone": lambda: [L.Normalization(mean=[0.5, 1, 0, 2], variance=[1.0, 2, 3, 4], invert=True)],
    "einsum": lambda: [L.EinsumDense("abc,cde->abde", (None, 2, 3), "relu", bias_axes="de")],
    "any axes": lambda: [L.EinsumDense("...x,xy->...y", 5)],
    "groups of features": lambda: [L.GroupNormalization(2, center=False)],
    "scaled alone": lambda: [L.LayerNormalization(rms_scaling=True)],
    "means of a few": lambda: [L.AdaptiveAveragePooling1D(3)],
    "means of more": lambda: [L.AdaptiveAveragePooling1D(9)],
    "greatest of a few": lambda: [L.AdaptiveMaxPooling1D(5)],
    "turned": lambda: [
        L.AdaptiveMaxPooling1D(4),
        L.Permute((2, 1)),
        L.AdaptiveAveragePooling1D(3, data_format="channels_first"),
        L.AdaptiveMaxPooling1D(2, data_format="channels_first"),
    ],
    "left out": lambda: [L.AlphaDropout(0.5), L.ActivityRegularization(0.1), L.Dense(2)],
}


@each_case("name", SEQUENCES)
def test_layers_of_sequences(name):
    check(of_sequences(*SEQUENCES[name]()))


FRAMES = {
    "conv": lambda **k: [L.Conv2D(5, (3, 2), activation="relu", **k)],
    "same": lambda **k: [L.Conv2D(5, (2, 3), padding="same", use_bias=False, **k)],
    "strides": lambda **k: [L.Conv2D(5, 3, strides=(2, 3), padding="same", **k)],
    "dilated": lambda **k: [L.Conv2D(5, (2, 3), dilation_rate=(3, 2), padding="same", **k)],
    "groups": lambda **k: [L.Conv2D(6, 2, groups=2, **k)],
    "depthwise": lambda **k: [L.DepthwiseConv2D((2, 3), depth_multiplier=2, **k)],
    "separable": lambda **k: [L.SeparableConv2D(5, 3, padding="same", activation="tanh", **k)],
    "transposed": lambda **k: [L.Conv2DTranspose(5, (3, 2), strides=(2, 3), **k)],
    "transposed, same": lambda **k: [
        L.Conv2DTranspose(5, 3, strides=(2, 1), padding="same", activation="relu", **k)
    ],
    "greatest": lambda **k: [L.MaxPooling2D((2, 3), padding="same", **k)],
    "mean": lambda **k: [L.AveragePooling2D(3, strides=2, padding="same", **k)],
    "all": lambda **k: [L.GlobalAveragePooling2D(**k)],
    "all, kept": lambda **k: [L.GlobalMaxPooling2D(keepdims=True, **k)],
    "padded": lambda **k: [
        L.ZeroPadding2D(((1, 0), (2, 3)), **k),
        L.Cropping2D(((0, 2), (1, 0)), **k),
    ],
    "larger": lambda **k: [L.UpSampling2D((2, 3), **k)],
    "larger, cubic": lambda **k: [L.UpSampling2D((2, 3), interpolation="bicubic", **k)],
    "larger, lanczos3": lambda **k: [L.UpSampling2D((2, 3), interpolation="lanczos3", **k)],
    "larger, lanczos5": lambda **k: [L.UpSampling2D((3, 2), interpolation="lanczos5", **k)],
    "larger, smooth": lambda **k: [L.UpSampling2D(2, interpolation="bilinear", **k)],
    "flat": lambda **k: [L.SpatialDropout2D(0.5, **k), L.Flatten(**k), L.Dense(3)],
}


@each_case("order", ["channels_last", "channels_first"])
@each_case("name", FRAMES)
def test_layers_of_frames(name, order):
    last = order == "channels_last"
    shape = (HEIGHT, WIDTH, FEATURES) if last else (FEATURES, HEIGHT, WIDTH)
    check(of_frames(*FRAMES[name](data_format=order), shape=shape), sizes=((3, 0), (2, 0)))


@each_case(
    "layer",
    [
        L.GroupNormalization(2),
        L.GroupNormalization(-1, axis=1, scale=False),
        L.LayerNormalization(axis=1),
        L.LayerNormalization(axis=[1, 3], rms_scaling=True),
        L.RMSNormalization(axis=[1, 2]),
        L.Softmax(axis=(1, 3)),
    ],
    ids=lambda layer: layer.name,
)
def test_axes_of_frames(layer):
    check(of_frames(layer), sizes=((3, 0), (2, 0)))


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic"])
def test_frames_of_any_size_are_enlarged(kind):
    frames = (None, None, FEATURES)
    check(of_frames(L.UpSampling2D((2, 3), interpolation=kind), shape=frames))


def test_inputs_of_fewer_axes_are_merged():
    one, two = ferrnn.Input((None, FEATURES)), ferrnn.Input((FEATURES,))
    check(ferrnn.Model([one, two], L.Add()([one, L.Multiply()([two, one])])))


def test_frames_under_time():
    eye = ferrnn.Sequential(
        [
            ferrnn.Input((HEIGHT, WIDTH, FEATURES)),
            L.Conv2D(3, 3),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Flatten(),
        ]
    )
    check(
        ferrnn.Sequential(
            [
                ferrnn.Input((None, HEIGHT, WIDTH, FEATURES)),
                L.TimeDistributed(L.SeparableConv2D(4, 2, padding="same")),
                L.TimeDistributed(eye),
                L.LSTM(5),
            ]
        )
    )


def test_models_of_rows_under_time_stay_rows():
    inner = ferrnn.Sequential([L.Dense(5, "relu"), L.LayerNormalization(), L.Dense(2)])
    content = check(of_sequences(L.TimeDistributed(inner), L.GRU(3)))
    nodes = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert "Reshape" not in nodes


CONV_LSTMS = {
    "valid": {"kernel_size": (3, 2)},
    "same": {"kernel_size": (2, 3), "padding": "same", "return_sequences": True},
    "strides": {"kernel_size": 3, "strides": (2, 1), "return_state": True},
    "dilated": {"kernel_size": 2, "dilation_rate": (2, 3), "use_bias": False},
    "backwards": {"kernel_size": 2, "go_backwards": True, "return_sequences": True},
    "hard": {"kernel_size": 2, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
}


@each_case("order", ["channels_last", "channels_first"])
@each_case("name", CONV_LSTMS)
def test_convolutional_lstms(name, order):
    shape = (HEIGHT, WIDTH, FEATURES) if order == "channels_last" else (FEATURES, HEIGHT, WIDTH)
    x = ferrnn.Input((None, *shape))
    outputs = L.ConvLSTM2D(3, data_format=order, **CONV_LSTMS[name])(x)
    check(ferrnn.Model(x, list(outputs) if isinstance(outputs, list | tuple) else outputs))


def test_a_convolutional_lstm_over_a_row_and_from_given_states():
    x = ferrnn.Input((None, 9, 2))
    y, *states = L.ConvLSTM1D(3, 2, padding="same", return_sequences=True, return_state=True)(x)
    z = L.ConvLSTM1D(3, 3, padding="same")(y, initial_state=states)
    check(ferrnn.Model(x, z))


def test_states_of_frames_are_carried_from_call_to_call():
    x = ferrnn.Input((None, 5, 6, 2))
    layer = L.ConvLSTM2D(3, 2, padding="same", return_sequences=True, name="rain")
    model = randomized(ferrnn.Model(x, layer(x)))
    session = session_of(ferrnn.to_onnx(model, states=True))
    names = [each.name for each in session.get_inputs()]
    assert names[1:] == ["rain/h", "rain/c"]
    given = np.random.default_rng(4).normal(size=(2, 6, 5, 6, 2)).astype("float32")
    states, parts = [np.zeros((2, 3, 5, 6), "float32")] * 2, []
    for part in (given[:, :1], given[:, 1:4], given[:, 4:]):
        outputs, *states = session.run(None, dict(zip(names, [part, *states], strict=True)))
        parts.append(outputs)
    whole = model.predict_on_batch(given)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=2e-6)


def two_inputs():
    return ferrnn.Input((None, FEATURES)), ferrnn.Input((None, FEATURES))


@each_case(
    "layer",
    [
        L.Attention(),
        L.Attention(use_scale=True, score_mode="concat"),
        L.AdditiveAttention(),
        L.AdditiveAttention(use_scale=False),
    ],
    ids=lambda layer: layer.name,
)
@each_case("causal", [False, True])
@each_case("scores", [False, True])
def test_attention(layer, causal, scores):
    query, value = two_inputs()
    made = layer([query, value], use_causal_mask=causal, return_attention_scores=scores)
    check(ferrnn.Model([query, value], list(made) if scores else made))


@each_case(
    "settings",
    [
        {},
        {"use_bias": False, "value_dim": 5},
        {"output_shape": 6},
        {"output_shape": (2, 3), "use_gate": True},
        {"sliding_window": 2},
    ],
)
@each_case("causal", [False, True])
def test_several_heads(settings, causal):
    query, value = two_inputs()
    layer = L.MultiHeadAttention(2, 3, **settings)
    outputs, weights = layer(query, value, use_causal_mask=causal, return_attention_scores=True)
    check(ferrnn.Model([query, value], [outputs, weights]))
    x = ferrnn.Input((None, FEATURES))
    if "output_shape" not in settings:
        check(ferrnn.Model(x, L.GRU(2)(L.MultiHeadAttention(2, 3, **settings)(x, x))))


@pytest.mark.parametrize(
    ("axes", "normalize"), [(2, False), (-1, True), ((2, 2), True), ((-1, 2), False)]
)
def test_dot(axes, normalize):
    one, two = two_inputs()
    check(ferrnn.Model([one, two], L.Dot(axes, normalize=normalize)([one, two])))
    rows = ferrnn.Input((5,)), ferrnn.Input((5,))
    check(ferrnn.Model(list(rows), L.Dot(1, normalize=normalize)(list(rows))))


def test_float64_stays():
    layers = [L.Conv1D(3, 2, dtype="float64"), L.GRU(2, dtype="float64")]
    model = ferrnn.Sequential([ferrnn.Input((None, 4), dtype="float64"), *layers])
    content = ferrnn.to_onnx(randomized(model))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x = np.random.default_rng(1).normal(size=(2, 6, 4))
    np.testing.assert_allclose(ferrnn.from_onnx(content)(x), model.predict_on_batch(x), rtol=1e-12)


def test_frames_that_are_refused():
    layer = L.UpSampling2D(2, interpolation="lanczos3", name="odd")
    with pytest.raises(ValueError, match="layer 'odd' must have frames of a known size"):
        ferrnn.to_onnx(of_frames(layer, shape=(None, 4, 2)))


def test_attention_that_is_refused():
    frames = ferrnn.Input((5, 6, FEATURES))
    with pytest.raises(
        ValueError, match=r"layer 'odd' can be written to ONNX only for .* received 4 axes"
    ):
        ferrnn.to_onnx(ferrnn.Model(frames, L.MultiHeadAttention(2, 3, name="odd")(frames, frames)))
