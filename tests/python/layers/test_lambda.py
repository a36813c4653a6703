"""Lambda: functions of `ops` in models, that train, with shapes and masks of their own."""

import numpy as np
import pytest

import ferrnn
from ferrnn import Call, ops
from ferrnn._src.layer.masked import mask_of
from ferrnn.layers import GRU, Dense, Lambda
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(10)
MASK = np.array([[True, True, False], [True, False, False]])


def test_gradients_match_finite_differences():
    layer = Lambda(lambda x, scale: ops.tanh(x[:, 1:] * scale), arguments={"scale": 0.5})
    layer = Lambda.from_config({**layer.get_config(), "dtype": "float64"})
    call = Call(differentiable=True)
    check_vjp(lambda x: layer.forward(x, call), RNG.normal(size=(2, 4, 3)))


def test_shapes_are_found_by_trying_or_given():
    inputs = ferrnn.Input((None, 3))
    assert Lambda(lambda x: x[:, -1])(inputs).shape == (None, 3)
    assert Lambda(lambda x: x * 2)(inputs).shape == (None, None, 3)
    assert Lambda(lambda x: x[:, -1], output_shape=(3,))(inputs).shape == (None, 3)
    given = Lambda(lambda x: x[:, -1], output_shape=lambda shape: (shape[0], shape[2]))
    assert given(inputs).shape == (None, 3)
    assert Lambda(lambda x: x[:, -1]).compute_output_shape((None, 5, 3)) == (None, 3)
    two = Lambda(lambda pair: pair[0] - pair[1])
    assert two([inputs, inputs]).shape == (None, None, 3)
    assert two([np.ones((1, 2, 3)), np.ones((1, 2, 3))]).tolist() == np.zeros((1, 2, 3)).tolist()


def test_the_function_gets_mask_and_training_if_it_asks():
    seen = []

    def function(x, mask=None, training=None):
        seen.append((mask, training))
        return x

    Lambda(function)(np.ones((2, 3, 1)), mask=MASK, training=True)
    np.testing.assert_array_equal(seen[0][0], MASK)
    assert seen[0][1] is True


def test_masks_end_unless_one_is_given():
    inputs = np.ones((2, 3, 1))
    assert mask_of(Lambda(lambda x: x + 1)(inputs, mask=MASK)) is None
    kept = Lambda(lambda x: x + 1, mask=lambda inputs, mask: mask)
    np.testing.assert_array_equal(mask_of(kept(inputs, mask=MASK)), MASK)
    np.testing.assert_array_equal(mask_of(Lambda(lambda x: x + 1, mask=MASK)(inputs)), MASK)


def test_a_model_with_it_trains():
    x = RNG.normal(size=(64, 6, 2)).astype("float32")
    y = x[:, :, :1].mean(axis=1) * 3
    model = ferrnn.Sequential(
        [GRU(6, return_sequences=True), Lambda(lambda h: ops.mean(h, axis=1)), Dense(1)]
    )
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    history = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"`function` of layer 'mine' must be a callable"):
        Lambda("mean", name="mine")
