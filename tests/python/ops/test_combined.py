"""What has no gradient among the combined operations, their edges, and errors."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import ops

NAN = float("nan")


def test_sparsemax_gives_the_nearest_probabilities():
    x = np.random.default_rng(1).normal(size=(50, 6))
    found = ops.sparsemax(x)
    np.testing.assert_allclose(found.sum(-1), 1)
    assert (found >= 0).all()
    assert (found == 0).any()
    rng = np.random.default_rng(2)
    for _ in range(20):
        other = rng.dirichlet(np.ones(6), size=50)
        assert (np.square(other - x).sum(-1) >= np.square(found - x).sum(-1)).all()


def test_rows_without_a_number():
    x = np.array([[NAN, NAN], [1.0, NAN]])
    for reduction in (ops.nanmax, ops.nanmin, ops.nanmean, ops.nanvar):
        assert np.isnan(reduction(x, axis=1)).tolist() == [True, False]
    assert ops.nansum(x, axis=1).tolist() == [0.0, 1.0]
    assert ops.nanargmax(x, axis=1).tolist() == [-1, 0]
    assert ops.nanargmin([[3.0, NAN, 1.0]], axis=-1).tolist() == [2]


def test_whole_numbers_keep_their_dtype():
    x = np.array([[1, 2], [3, 4]], "int32")
    for reduction in (ops.nanmax, ops.nanmin, ops.trace):
        assert reduction(x).dtype == np.int32
    assert ops.kron(x, x).dtype == np.int32
    assert ops.median(x).dtype == np.float32
    assert ops.fmod(x, 2).tolist() == [[1, 0], [1, 0]]


def test_a_segment_without_rows_has_no_extreme():
    x = np.array([[1.0], [5.0]])
    assert ops.segment_max(x, [2, 0]).ravel().tolist() == [5.0, -np.inf, 1.0]
    assert ops.segment_min(x, [2, 0], num_segments=2).ravel().tolist() == [5.0, np.inf]


def test_a_singular_place_has_no_nan():
    assert ops.sinc([0.0, 0.5]).round(4).tolist() == [1.0, pytest.approx(0.6366)]
    assert ops.vander([2.0, 3.0], 0).shape == (2, 0)


def test_they_are_nodes_of_models():
    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, ops.median(inputs, axis=1))
    assert model.output_shape == (None, 6)
    x = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")
    np.testing.assert_allclose(model(x), np.median(x, axis=1), rtol=1e-6)


def test_the_parts_of_the_module_are_the_module():
    assert ops.nn.softmax is ops.numpy.softmax is ops.softmax


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"`method` must be 'linear'.*received 'exact'"):
        ops.quantile([1.0], 0.5, method="exact")
    with pytest.raises(ValueError, match=r"`x1` and `x2` must hold vectors.*\(2, 4\)"):
        ops.cross(np.ones((2, 4)), np.ones((2, 4)))
