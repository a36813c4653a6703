import numpy as np
import pytest

from ferrnn._src.weights import initializers

RANDOM = [
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "variance_scaling",
]
SHAPE = (60, 300)
DEVIATIONS = {
    "random_normal": 0.05,
    "random_uniform": 0.1 / 12**0.5,
    "truncated_normal": 0.05 * 0.87962566,
    "glorot_uniform": (2 / 360) ** 0.5,
    "glorot_normal": (2 / 360) ** 0.5,
    "he_uniform": (2 / 60) ** 0.5,
    "he_normal": (2 / 60) ** 0.5,
    "lecun_uniform": (1 / 60) ** 0.5,
    "lecun_normal": (1 / 60) ** 0.5,
    "variance_scaling": (1 / 60) ** 0.5,
    "orthogonal": (1 / 300) ** 0.5,
}


@pytest.mark.parametrize("name", RANDOM)
def test_spread_is_that_of_the_definition(name):
    drawn = initializers.get(name)(SHAPE, "float64")
    assert abs(drawn.mean()) < 0.05 * drawn.std()
    np.testing.assert_allclose(drawn.std(), DEVIATIONS[name], rtol=0.03)


@pytest.mark.parametrize("name", RANDOM)
def test_one_initializer_gives_the_same_each_time_and_two_differ(name):
    one, two = initializers.get(name), initializers.get(name)
    np.testing.assert_array_equal(one((3, 4)), one((3, 4)))
    assert not np.array_equal(one((3, 4)), two((3, 4)))
    assert one((3, 4)).dtype == np.float32


@pytest.mark.parametrize("name", RANDOM)
def test_the_configuration_makes_an_equal_one(name):
    kind = type(initializers.get(name))
    made = kind(seed=7)
    again = initializers.get(initializers.serialize(made))
    np.testing.assert_array_equal(made((5, 4)), again((5, 4)))


def test_uniform_stays_inside_its_limit():
    drawn = initializers.GlorotUniform(seed=1)((4, 8), "float64")
    assert np.abs(drawn).max() <= (6 / 12) ** 0.5


def test_truncated_normal_stays_inside_two_deviations():
    assert np.abs(initializers.TruncatedNormal(stddev=1.0)((100, 100))).max() <= 2


@pytest.mark.parametrize("shape", [(4, 16), (16, 4), (5, 5)])
def test_orthogonal_is_one_factor_over_the_whole_matrix(shape):
    matrix = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64")
    small = matrix @ matrix.T if shape[0] < shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_takes_either_sign():
    drawn = [initializers.Orthogonal(seed=seed)((1, 1)).item() for seed in range(1, 40)]
    assert {round(value) for value in drawn} == {-1, 1}
    assert 8 < sum(value > 0 for value in drawn) < 31


def test_constants():
    assert initializers.get("zeros")((2,)).tolist() == [0, 0]
    assert initializers.get("ones")((2,)).tolist() == [1, 1]
    assert initializers.Constant(3)((2,)).tolist() == [3, 3]
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]


def test_get_takes_classes_and_callables():
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    assert initializers.get(np.zeros) is np.zeros
    assert initializers.get(None) is None
    glorot = {"class_name": "GlorotUniform", "config": {"seed": 1, "input_axes": None}}
    assert initializers.get(glorot).seed == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.get("foo"), "Could not interpret initializer identifier"),
        (lambda: initializers.get(3), "Could not interpret initializer identifier"),
        (lambda: initializers.VarianceScaling(scale=0), "`scale` must be positive"),
        (lambda: initializers.VarianceScaling(mode="in"), "`mode` must be"),
        (lambda: initializers.VarianceScaling(distribution="x"), "`distribution` must be"),
        (lambda: initializers.Orthogonal()((3,)), "at least 2 axes"),
        (lambda: initializers.Identity()((3,)), "must have 2 axes"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
