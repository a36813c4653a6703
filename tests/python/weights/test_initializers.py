import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.weights import initializers
from ferrnn.layers import MultiHeadAttention
from ferrnn.random import SeedGenerator

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


@each_case("name", RANDOM)
def test_spread_is_that_of_the_definition(name):
    drawn = initializers.get(name)(SHAPE, "float64")
    assert abs(drawn.mean()) < 0.05 * drawn.std()
    np.testing.assert_allclose(drawn.std(), DEVIATIONS[name], rtol=0.03)


@each_case("name", RANDOM)
def test_one_initializer_gives_the_same_each_time_and_two_differ(name):
    one, two = initializers.get(name), initializers.get(name)
    np.testing.assert_array_equal(one((3, 4)), one((3, 4)))
    assert not np.array_equal(one((3, 4)), two((3, 4)))
    assert one((3, 4)).dtype == np.float32


@each_case("name", RANDOM)
def test_the_configuration_makes_an_equal_one(name):
    kind = type(initializers.get(name))
    made = kind(seed=7)
    again = initializers.get(initializers.serialize(made))
    np.testing.assert_array_equal(made((5, 4)), again((5, 4)))
    np.testing.assert_array_equal(made.clone()((5, 4)), again((5, 4)))


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


@each_case(
    ("make", "message"),
    [
        (lambda: initializers.get("foo"), "Could not interpret initializer identifier"),
        (lambda: initializers.get(3), "Could not interpret initializer identifier"),
        (lambda: initializers.VarianceScaling(scale=0), "`scale` must be positive float"),
        (lambda: initializers.VarianceScaling(mode="in"), "Invalid `mode` argument"),
        (lambda: initializers.VarianceScaling(distribution="x"), "Invalid `distribution` argument"),
        (lambda: initializers.Orthogonal()((3,)), "at least 2 axes"),
        (lambda: initializers.Identity()((3,)), "only be used for 2D"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_seed_generator_draws_on_and_is_written_down():
    made = initializers.RandomNormal(seed=SeedGenerator(3))
    first, second = made((4, 3)), made((4, 3))
    assert not np.array_equal(first, second)
    again = initializers.get(initializers.serialize(made))
    assert again.get_config() == made.get_config()
    np.testing.assert_array_equal(again((4, 3)), first)
    with pytest.raises(ValueError, match="`seed` argument should be an instance of"):
        initializers.RandomNormal(seed="x")


def test_an_array_is_an_initializer_for_its_shape():
    values = np.random.default_rng(1).normal(size=(3, 5))
    made = initializers.get(values)
    np.testing.assert_array_equal(made((3, 5), "float64"), values)
    with pytest.raises(ValueError, match="Expected `shape` to be"):
        made((5, 3))


def test_fans_are_counted_along_the_axes_that_are_given():
    made = initializers.VarianceScaling(seed=1, input_axes=[0], output_axes=[1, 2])
    np.testing.assert_allclose(made((50, 8, 40)).std(), (1 / 50) ** 0.5, rtol=0.03)
    np.testing.assert_allclose(
        initializers.VarianceScaling(seed=1)((50, 8, 40)).std(), (1 / 400) ** 0.5, rtol=0.03
    )
    assert initializers.get(initializers.serialize(made)).output_axes == [1, 2]


def test_projections_of_several_heads_are_scaled_by_all_their_axes():
    layer = MultiHeadAttention(8, 20, kernel_initializer=initializers.HeNormal(seed=1))
    layer(np.ones((2, 5, 50)), np.ones((2, 5, 50)))
    np.testing.assert_allclose(layer.query_dense.kernel.value.std(), (2 / 50) ** 0.5, rtol=0.03)
    np.testing.assert_allclose(layer.output_dense.kernel.value.std(), (2 / 160) ** 0.5, rtol=0.03)


def test_a_fourier_kernel_is_cosines_and_sines_under_a_window():
    steps, window = np.arange(6), np.arange(1.0, 7.0)
    angles = -2 * np.pi * steps[:, None, None] * np.arange(5)[None, None] / 8
    real = initializers.STFT("real", None)((6, 1, 5), "float64")
    np.testing.assert_allclose(real, np.cos(angles), atol=1e-14)
    for scaling, divisor in (("density", 91**0.5), ("spectrum", 21), (None, 1)):
        made = initializers.STFT("imag", window.tolist(), scaling)
        expected = np.sin(angles) * window[:, None, None] / divisor
        np.testing.assert_allclose(made((6, 1, 5), "float64"), expected, atol=1e-14)
    with pytest.raises(ValueError, match="window shape"):
        made((7, 1, 5))
    for arguments in ({"side": "both"}, {"scaling": "l2"}):
        with pytest.raises(ValueError, match=r"should be 'real'|Scaling is invalid"):
            initializers.STFT(**arguments)


def test_stft_wants_the_shape_of_a_convolution():
    with pytest.raises(ValueError, match=r"`shape` must be \[steps, .* received \(4, 3\)"):
        initializers.STFT(window=None)((4, 3))
