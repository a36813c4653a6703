"""Random numbers of layers: those of NumPy's Philox, wherever they are computed."""

import copy
import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn.random import SeedGenerator


@each_case("shape", [(), (0, 4), (1,), (3, 5), (8,), (2, 3, 7)])
@each_case("dtype", ["float32", "float64"])
@each_case("seed", [0, 7, 2**64 - 1])
def test_dropout_masks_have_the_numbers_of_numpy(shape, dtype, seed):
    ours, theirs = SeedGenerator(seed), SeedGenerator(seed)
    for rate in (0.25, 0.9, 0.3):
        mask = ours.dropout_mask(shape, rate, dtype)
        keep = theirs.keep_mask(shape, rate)
        np.testing.assert_array_equal(mask, keep * np.dtype(dtype).type(1 / (1 - rate)))
        assert (mask.dtype, mask.shape) == (np.dtype(dtype), shape)
    assert ours.state.numpy().tolist() == theirs.state.numpy().tolist()


def test_a_whole_rate_drops_all_and_counts():
    seeds = SeedGenerator(3)
    assert not seeds.dropout_mask((4, 5), 1.0, "float32").any()
    assert seeds.counter == 1


def test_the_rewound_generator_gives_what_a_new_one_would():
    ours, theirs = SeedGenerator(5), SeedGenerator(5)
    for count in (3, 1, 8):
        for draw in (
            lambda generator, n=count: generator.standard_normal(n, np.float32),
            lambda generator, n=count: generator.integers(0, 9, n, np.uint8),
        ):
            expected = draw(theirs.generator())
            np.testing.assert_array_equal(draw(ours.rewound_generator()), expected)
    ours.state = np.array([9, 2], np.uint64)
    theirs.state = ours.state
    expected = theirs.generator().random(4)
    np.testing.assert_array_equal(ours.rewound_generator().random(4), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda seeds: pickle.loads(pickle.dumps(seeds))])
def test_copies_go_on_by_themselves(copied):
    seeds = SeedGenerator(5)
    seeds.rewound_generator()
    twin = copied(seeds)
    expected = seeds.rewound_generator().random(3)
    np.testing.assert_array_equal(twin.rewound_generator().random(3), expected)
