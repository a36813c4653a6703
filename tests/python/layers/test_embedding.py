"""Embedding and Masking: ids, masks made from values, and sums of gradients for each id."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.native import embedding_backward
from ferrnn._src.tree.results import Output
from ferrnn.layers import LSTM, Dense, Embedding, Flatten, Masking, Reshape
from ferrnn.testing import check_vjp

DIFFERENTIABLE = Call(differentiable=True)


@each_case("shape", [(4,), (3, 5), (2, 3, 4)])
@each_case("kind", ["int32", "int64", "uint8", "float32"])
def test_outputs_are_rows_of_the_matrix(shape, kind):
    ids = np.random.default_rng(1).integers(0, 9, size=shape).astype(kind)
    layer = Embedding(9, 4)
    outputs = layer(ids)
    np.testing.assert_array_equal(outputs, layer.embeddings.value[ids.astype(int)])
    assert outputs.shape == layer.compute_output_shape(shape)
    assert type(outputs) is Output


def test_the_gradient_by_the_matrix_matches_finite_differences():
    layer = Embedding(7, 3, dtype="float64")
    layer.build()
    ids = np.random.default_rng(2).integers(0, 6, size=(4, 9))

    def forward(scale):
        outputs, vjp = layer.forward(ids, DIFFERENTIABLE)

        def backward(d_outputs, grads):
            vjp(scale * d_outputs, grads)
            return (d_outputs * outputs).sum().reshape(1)

        return scale * outputs, backward

    check_vjp(forward, np.array([1.5]), layer.weights)
    grads = Gradients()
    outputs, vjp = layer.forward(ids, DIFFERENTIABLE)
    vjp(np.ones_like(outputs), grads)
    counts = np.bincount(ids.ravel(), minlength=7)
    np.testing.assert_array_equal(grads[layer.embeddings], np.repeat(counts[:, None], 3, 1))


@each_case("count", [0, 1, 2, 17, 400])
@each_case("distinct", [1, 5, 300])
def test_sums_by_id_are_those_of_a_loop(count, distinct):
    rng = np.random.default_rng(count + distinct)
    ids = np.minimum(rng.zipf(1.5, count) - 1, distinct - 1)
    rows = rng.normal(size=(count, 3))
    expected = np.zeros((300, 3))
    np.add.at(expected, ids, rows)
    np.testing.assert_array_equal(embedding_backward(ids, rows, 300), expected)
    expected = expected.astype(np.float32)
    received = embedding_backward(ids, rows.astype(np.float32), 300)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def test_zero_is_padding_if_asked():
    ids = np.array([[3, 0, 1], [0, 0, 2]])
    layer = Embedding(4, 2, mask_zero=True)
    np.testing.assert_array_equal(layer(ids)._keras_mask, ids != 0)
    assert layer.compute_mask(ids, None).dtype == bool
    assert Embedding(4, 2).compute_mask(ids, np.ones((2, 3), bool)) is None


@pytest.mark.parametrize("ids", [[[0, 4]], [[-1, 2]]])
def test_ids_out_of_range_are_named(ids):
    with pytest.raises(ValueError, match=r"'mine' must be ids from 0 to input_dim - 1 = 3, rec"):
        Embedding(4, 2, name="mine")(np.array(ids))


def test_the_matrix_may_be_given():
    matrix = np.random.default_rng(3).normal(size=(5, 2)).astype("float32")
    for weights in (matrix, [matrix]):
        layer = Embedding(5, 2, weights=weights, trainable=False)
        np.testing.assert_array_equal(layer(np.arange(5)), matrix)
        assert layer.trainable_weights == []
        assert [weight.name for weight in layer.weights] == ["embeddings"]
    with pytest.raises(ValueError, match="not compatible with provided weight shape"):
        Embedding(4, 2, weights=matrix)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"input_dim": 0, "output_dim": 2}, "`input_dim` must be a positive integer. Received"),
        ({"input_dim": 4, "output_dim": 2.0}, "`output_dim` must be a positive integer. Received"),
        ({"input_dim": True, "output_dim": 2}, "`input_dim` must be a positive integer. Received"),
    ],
)
def test_wrong_sizes(options, error):
    with pytest.raises(ValueError, match=error):
        Embedding(**options)


def test_words_for_ids_are_refused():
    with pytest.raises(TypeError, match="must hold integers"):
        Embedding(4, 2)(np.array(["a"]))


def test_input_length_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="`input_length` is deprecated"):
        Embedding(4, 2, input_length=3)


def test_masked_steps_are_set_to_zero_and_carry_no_gradient():
    inputs = np.ones((1, 3, 2))
    inputs[0, 1] = -5.0
    layer = Masking(-5.0, dtype="float64")
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    assert outputs.tolist() == [[[1, 1], [0, 0], [1, 1]]]
    assert vjp(np.ones_like(inputs), Gradients()).tolist() == outputs.tolist()
    np.testing.assert_array_equal(layer(inputs)._keras_mask, [[True, False, True]])


@pytest.mark.parametrize("padding", ["embedding", "masking"])
def test_padding_changes_nothing_in_a_model(padding):
    rng = np.random.default_rng(4)
    if padding == "embedding":
        first = [ferrnn.Input((None,)), Embedding(9, 3, mask_zero=True)]
        data = rng.integers(1, 9, size=(6, 4))
    else:
        first = [Masking()]
        data = rng.normal(size=(6, 4, 3)).astype("float32")
    model = ferrnn.Sequential([*first, LSTM(5), Dense(1)])
    longer = np.concatenate([data, np.zeros_like(data)], axis=1)
    np.testing.assert_array_equal(model.predict_on_batch(longer), model.predict_on_batch(data))
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    y = rng.normal(size=6)
    history = model.fit(longer, y, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


def test_ids_may_pass_through_other_layers():
    ids = np.random.default_rng(5).integers(0, 9, size=(6, 4))
    model = ferrnn.Sequential([Reshape((2, 2)), Embedding(9, 3), Flatten(), Dense(1)])
    assert model.predict_on_batch(ids).shape == (6, 1)
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(ids, np.ones(6)))
