"""`keras.random`: streams fixed by seeds, distributions of the right shape."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import random
from ferrnn._src.symbolic.tracing import differentiate

DRAWS = {
    "normal": lambda seed: random.normal((20, 30), 1.0, 2.0, seed=seed),
    "truncated_normal": lambda seed: random.truncated_normal((20, 30), 1.0, 2.0, seed=seed),
    "uniform": lambda seed: random.uniform((20, 30), -1.0, 3.0, seed=seed),
    "gamma": lambda seed: random.gamma((20, 30), 2.0, seed=seed),
    "beta": lambda seed: random.beta((20, 30), 2.0, 3.0, seed=seed),
    "binomial": lambda seed: random.binomial((20, 30), 5.0, 0.4, seed=seed),
    "randint": lambda seed: random.randint((20, 30), 0, 5, seed=seed),
    "categorical": lambda seed: random.categorical(np.log([[0.2, 0.8]] * 20), 30, seed=seed),
    "shuffle": lambda seed: random.shuffle(np.arange(600).reshape(20, 30), 1, seed=seed),
    "dropout": lambda seed: random.dropout(np.ones((20, 30), "float32"), 0.25, seed=seed),
}
MEANS = {"normal": 1, "truncated_normal": 1, "uniform": 1, "gamma": 2, "beta": 0.4, "binomial": 2,
         "randint": 2, "categorical": 0.8, "shuffle": 299.5, "dropout": 1}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
class TestDraws:
    def test_a_number_gives_the_same_array_again(self, name):
        draw = DRAWS[name]
        np.testing.assert_array_equal(draw(1), draw(1))
        assert not np.array_equal(draw(1), draw(2))

    def test_a_generator_goes_on(self, name):
        draw, generator = DRAWS[name], random.SeedGenerator(1)
        first = draw(generator)
        assert not np.array_equal(first, draw(generator))
        np.testing.assert_array_equal(first, draw(random.SeedGenerator(1)))

    def test_none_follows_the_session(self, name):
        draw = DRAWS[name]
        keras.utils.set_random_seed(5)
        first, second = draw(None), draw(None)
        assert not np.array_equal(first, second)
        keras.utils.set_random_seed(5)
        np.testing.assert_array_equal(draw(None), first)

    def test_shape_dtype_and_mean(self, name):
        drawn = DRAWS[name](7)
        whole = {"randint": "int32", "categorical": "int32", "shuffle": "int64"}
        assert drawn.shape == (20, 30)
        assert drawn.dtype == whole.get(name, "float32")
        assert drawn.mean() == pytest.approx(MEANS[name], abs=0.2)


def test_bounds_hold():
    assert np.abs(random.truncated_normal((5000,), seed=1)).max() <= 2
    drawn = random.uniform((5000,), 2.0, 3.0, seed=1)
    assert drawn.min() >= 2
    assert drawn.max() < 3
    assert set(random.uniform((200,), 1, 4, dtype="int32", seed=1).tolist()) == {1, 2, 3}


def test_dropout_is_traced_and_shares_masks():
    x = np.ones((3, 4, 5))
    outputs, vjp = differentiate(lambda x: random.dropout(x, 0.5, (None, 1, 5), seed=3), x)
    d_x = vjp(np.ones_like(x), None)
    np.testing.assert_array_equal(d_x, outputs)
    assert (outputs == outputs[:, :1]).all()
    assert set(np.unique(outputs)) == {0.0, 2.0}


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="Argument `seed` must be either"):
        random.normal((2,), seed="a")
    with pytest.raises(ValueError, match="`rate` must lie between 0 and 1, received 2"):
        random.dropout(np.ones(2), 2)
    with pytest.raises(ValueError, match=r"`logits` must have the shape \[batch, classes\]"):
        random.categorical([0.5, 0.5], 3)
