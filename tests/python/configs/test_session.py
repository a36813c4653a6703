"""Names, seeds and settings."""

import numpy as np
import pytest

from ferrnn import name_scope
from ferrnn._src.configs import config
from ferrnn._src.configs.names import path_of, snake_case, unique_name
from ferrnn._src.layer.masked import attach_mask, mask_of
from ferrnn._src.tree.results import Output
from ferrnn._src.weights.random import draw_seed
from ferrnn.random import SeedGenerator
from ferrnn.utils import clear_session, set_random_seed


def test_names_are_counted_until_the_session_is_cleared():
    assert [unique_name("lstm") for _ in range(3)] == ["lstm", "lstm_1", "lstm_2"]
    clear_session()
    assert unique_name("lstm") == "lstm"


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("LSTM", "lstm"),
        ("SimpleRNN", "simple_rnn"),
        ("StackedRNNCells", "stacked_rnn_cells"),
        ("RNN", "rnn"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
    ],
)
def test_snake_case_is_that_of_keras(name, snake):
    assert snake_case(name) == snake


def test_scopes_nest_and_an_owner_counts_once():
    owner = object()
    with name_scope("model"), name_scope("lstm", owner), name_scope("lstm", owner):
        assert path_of("kernel") == "model/lstm/kernel"
    assert path_of("kernel") == "kernel"


def test_a_seed_fixes_what_follows():
    set_random_seed(5)
    first = draw_seed(), SeedGenerator().bits(3).tolist()
    set_random_seed(5)
    assert (draw_seed(), SeedGenerator().bits(3).tolist()) == first


@pytest.mark.parametrize("seed", [True, 1.5, "a", None])
def test_a_seed_must_be_an_integer(seed):
    with pytest.raises(TypeError, match="`seed` must be an integer"):
        set_random_seed(seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_must_be_in_range(seed):
    with pytest.raises(ValueError, match="`seed` must"):
        set_random_seed(seed)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_the_seed_of_a_generator_must_be_in_range(seed):
    with pytest.raises(ValueError, match="`seed` must lie in"):
        SeedGenerator(seed)
    with pytest.raises(TypeError, match="`seed` must be an integer or None"):
        SeedGenerator(1.5)
    assert len(SeedGenerator(2**64 - 1).bits(2)) == 2


def test_a_generator_goes_on_from_its_state():
    generator = SeedGenerator(3)
    generator.bits(4)
    other = SeedGenerator(8)
    other.state = generator.state
    assert other.state.numpy().tolist() == [3, 1]
    assert other.bits(5).tolist() == generator.bits(5).tolist()
    assert other.bits(5).tolist() != SeedGenerator(3).bits(5).tolist()


def test_bits_never_change():
    assert SeedGenerator(1).bits(3).tolist() == [1969390303, 1303814779, 3133017647]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate):
    mask = SeedGenerator(1).dropout_mask((200, 300), rate, "float32")
    assert mask.dtype == np.float32
    np.testing.assert_allclose((mask == 0).mean(), rate, atol=0.01)
    np.testing.assert_allclose(mask.mean(), 1, atol=0.03)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / (1 - rate))}


def test_a_rate_of_one_drops_all():
    assert not SeedGenerator(1).dropout_mask((3, 4), 1.0, "float64").any()


def test_floatx_and_epsilon_can_be_set():
    config.set_floatx(np.float64)
    config.set_epsilon(1e-3)
    assert (config.floatx(), config.epsilon()) == ("float64", 1e-3)
    with pytest.raises(ValueError, match="`dtype` must be 'float32' or 'float64'"):
        config.set_floatx("float16")
    with pytest.raises(ValueError, match="positive"):
        config.set_epsilon(0)


def test_a_mask_rides_on_an_array_until_something_is_done_with_it():
    mask = np.array([[True, False]])
    carried = attach_mask(np.ones((1, 2, 3)), mask)
    assert mask_of(carried) is mask
    assert mask_of(np.ones(2)) is None
    for changed in (carried + 1, carried[0], np.concatenate([carried, carried]), carried.copy()):
        assert mask_of(changed) is None
    assert type(carried * 2) is Output
    assert carried.sum() == 6
    total = np.zeros((1, 2, 3))
    total += carried
    carried += 1
    assert total.sum() == 6
    assert carried.sum() == 12
