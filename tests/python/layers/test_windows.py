"""Convolution and pooling: every placing of windows, equal bits, and what is refused."""

import itertools

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.tree.results import Output
from ferrnn.layers import (
    GRU,
    AveragePooling1D,
    Conv1D,
    Dense,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)

RNG = np.random.default_rng(7)
DIFFERENTIABLE = Call(differentiable=True)


def by_loops(inputs, kernel, *, strides=1, padding="valid", dilation=1):
    """A convolution of one group, output by output."""
    size, _, filters = kernel.shape
    reach, steps = (size - 1) * dilation + 1, inputs.shape[1]
    count = (steps - reach) // strides + 1 if padding == "valid" else -(-steps // strides)
    missing = max((count - 1) * strides + reach - steps, 0)
    before = {"valid": 0, "same": missing // 2, "causal": reach - 1}[padding]
    outputs = np.zeros((len(inputs), count, filters))
    for step, place in itertools.product(range(count), range(size)):
        at = step * strides + place * dilation - before
        if 0 <= at < steps:
            outputs[:, step] += inputs[:, at] @ kernel[place]
    return outputs


@each_case("padding", ["valid", "same", "causal"])
@each_case(
    ("size", "strides", "dilation"),
    [(1, 1, 1), (3, 1, 1), (4, 3, 1), (2, 5, 1), (3, 1, 3), (9, 1, 1)],
)
@each_case("steps", [9, 24, 41])
def test_windows_lie_where_they_should(padding, size, strides, dilation, steps):
    layer = Conv1D(
        5, size, strides, padding, dilation_rate=dilation, use_bias=False, dtype="float64"
    )
    inputs = RNG.normal(size=(3, steps, 2))
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    expected = by_loops(inputs, layer.kernel.value, **options)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)
    assert outputs.shape == layer.compute_output_shape(inputs.shape)
    # The outputs are linear in the inputs and in the kernel, so gradients give them back.
    grads = Gradients()
    d_inputs = vjp(outputs, grads)
    np.testing.assert_allclose((d_inputs * inputs).sum(), (outputs**2).sum(), rtol=1e-12)
    d_kernel = grads[layer.kernel]
    np.testing.assert_allclose(
        (d_kernel * layer.kernel.value).sum(), (outputs**2).sum(), rtol=1e-12
    )


@pytest.mark.parametrize("size", [3, 20])
def test_a_sequence_gets_the_same_bits_alone_and_in_a_batch(size):
    layer = Conv1D(7, size, padding="same", activation="tanh")
    inputs = RNG.normal(size=(5, 23, 4)).astype("float32")
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    d_inputs = vjp(outputs, Gradients())
    for row in range(5):
        alone, vjp = layer.forward(inputs[row : row + 1], DIFFERENTIABLE)
        np.testing.assert_array_equal(alone[0], outputs[row])
        np.testing.assert_array_equal(vjp(alone, Gradients())[0], d_inputs[row])


def test_nan_stays_in_its_own_sequence():
    layer = Conv1D(7, 3)
    inputs = RNG.normal(size=(3, 23, 4)).astype("float32")
    inputs[1] = np.nan
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    d_inputs = vjp(np.ones_like(outputs), Gradients())
    assert np.isnan(outputs[1]).all()
    for clean in (outputs[[0, 2]], d_inputs[[0, 2]]):
        assert np.isfinite(clean).all()


@each_case("shape", [(0, 7, 3), (2, 7, 3)])
@each_case("size", [1, 2, 7])
def test_an_empty_batch_gives_an_empty_array(shape, size):
    layer = Conv1D(4, size)
    outputs, vjp = layer.forward(np.ones(shape, "float32"), DIFFERENTIABLE)
    assert outputs.shape == (shape[0], 8 - size, 4)
    assert vjp(np.ones_like(outputs), Gradients()).shape == shape


def test_strided_and_read_only_inputs_are_taken():
    layer = Conv1D(4, 3)
    wide = RNG.normal(size=(6, 14, 6)).astype("float32")
    view = wide[::2, ::2, 1:4]
    view.flags.writeable = False
    np.testing.assert_array_equal(layer(view), layer(view.copy()))
    reversed_ = wide[:, ::-1, ::-1][..., :3]
    np.testing.assert_array_equal(layer(reversed_), layer(reversed_.copy()))


def test_every_way_of_writing_a_weight_reaches_the_engine():
    layer = Conv1D(4, 3)
    inputs = RNG.normal(size=(2, 9, 3))
    before = layer(inputs)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    np.testing.assert_allclose(layer(inputs), 2 * before, rtol=1e-6)
    layer.bias.assign(np.ones(4))
    np.testing.assert_allclose(layer(inputs), 2 * before + 1, rtol=1e-5, atol=1e-6)


def test_the_first_layer_of_a_model_computes_no_gradient_by_its_inputs():
    layer = Conv1D(4, 3)
    call = Call(differentiable=True, inputs_need_gradient=False)
    _, vjp = layer.forward(np.ones((2, 9, 3), "float32"), call)
    grads = Gradients()
    assert vjp(np.ones((2, 7, 4), "float32"), grads) is None
    assert len(grads) == 2


def test_equal_maxima_give_the_gradient_to_the_first():
    inputs = np.array([[[1.0], [3.0], [3.0], [2.0], [3.0]]])
    outputs, vjp = MaxPooling1D(3, 2).forward(inputs, DIFFERENTIABLE)
    assert outputs.ravel().tolist() == [3, 3]
    d_outputs = np.array([[[1.0], [10.0]]])
    assert vjp(d_outputs, Gradients()).ravel().tolist() == [0, 1, 10, 0, 0]
    outputs, vjp = GlobalMaxPooling1D().forward(inputs, DIFFERENTIABLE)
    shares = vjp(np.array([[3.0]]), Gradients())
    assert shares.ravel().tolist() == [0, 1, 1, 0, 1]


def test_the_mean_of_no_step_is_zero():
    layer = GlobalAveragePooling1D()
    outputs = layer(np.ones((2, 3, 1)), mask=np.array([[True, True, False], [False] * 3]))
    assert outputs.tolist() == [[1.0], [0.0]]
    assert type(outputs) is Output


def test_a_model_of_convolution_pooling_and_recurrence_trains():
    x = RNG.normal(size=(64, 20, 3)).astype("float32")
    y = x[:, :, 0].mean(axis=1, keepdims=True) * 4
    model = ferrnn.Sequential(
        [Conv1D(8, 3, padding="causal", activation="relu"), MaxPooling1D(2), GRU(6), Dense(1)]
    )
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    history = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]


@each_case(
    ("make", "text"),
    [
        (lambda: Conv1D(0, 3), "`filters`. Expected a strictly positive value"),
        (lambda: Conv1D(4, 0), "`kernel_size` argument must be a tuple of 1 integers"),
        (lambda: Conv1D(4, (1, 2)), "`kernel_size` argument must be a tuple of 1 integers"),
        (lambda: Conv1D(4, 3, 0), "`strides` argument .* do not satisfy `value > 0`"),
        (lambda: Conv1D(4, 3, padding="full"), "`padding` argument must be one of .*'causal'"),
        (lambda: Conv1D(4, 3, data_format="last"), "`data_format` argument must be one of"),
        (lambda: Conv1D(4, 3, strides=2, dilation_rate=2), "`strides > 1` not supported in"),
        (lambda: Conv1D(4, 3, groups=3), "filters must be evenly divisible by the number of"),
        (lambda: Conv1D(4, 3, groups=2)(np.ones((2, 5, 3))), "input channels must be known and"),
        (lambda: Conv1D(4, 9, name="mine")(np.ones((2, 5, 3))), "size would be zero .*'mine'"),
        (lambda: Conv1D(4, 3, name="mine")(np.ones((2, 5))), "'mine'.* ndim=3, found ndim=2"),
        (lambda: MaxPooling1D(0), "`pool_size` argument must be a tuple of 1 integers"),
        (lambda: MaxPooling1D(3, padding="causal"), "`padding` argument must be one of"),
        (lambda: AveragePooling1D(7)(np.ones((2, 5, 3))), "output size would be negative"),
        (lambda: GlobalMaxPooling1D(name="mine")(np.ones((2, 5))), "'mine'.* ndim=3, found"),
        (lambda: GlobalMaxPooling1D(name="mine")(np.ones((2, 0, 3))), "'mine'.* at least one"),
    ],
)
def test_what_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_another_number_of_features_is_named():
    layer = Conv1D(4, 3, name="mine")
    layer(np.ones((2, 5, 3)))
    with pytest.raises(ValueError, match=r"'mine'.* expected 3 features on axis 2, found 4"):
        layer(np.ones((2, 5, 4)))
