"""States of stateful layers are values: given, taken, and refused where they do not belong."""

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import GRU, LSTM, Bidirectional, Dense, Input


def stateful(units=3):
    ferrnn.utils.set_random_seed(2)
    inner = ferrnn.Sequential(
        [Input(batch_shape=(2, None, units)), GRU(4, stateful=True, name="deep")], name="inner"
    )
    layers = [
        Input(batch_shape=(2, None, 2)),
        Bidirectional(
            LSTM(units, stateful=True, return_sequences=True), merge_mode="sum", name="both"
        ),
        inner,
        Dense(1),
    ]
    return ferrnn.Sequential(layers)


X = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")


def test_a_model_goes_on_from_its_state_in_another_one():
    one, other = stateful(), stateful()
    assert not any(np.any(state) for state in one.get_state().values())
    one.predict(X, verbose=0)
    state = one.get_state()
    names = ["both/backward/0", "both/backward/1", "both/forward/0", "both/forward/1"]
    assert sorted(state) == [*names, "inner/deep/0"]
    other.state_from_bytes(one.state_to_bytes())
    np.testing.assert_array_equal(other.predict(X, verbose=0), one.predict(X, verbose=0))
    assert not np.array_equal(one.get_state()["inner/deep/0"], state["inner/deep/0"])
    one.set_state({})
    np.testing.assert_array_equal(one.predict(X, verbose=0), stateful().predict(X, verbose=0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: {"lstm/0": np.zeros((2, 3))},
            r"no stateful layer has the states \['lstm/0'\]",
        ),
        (lambda state: {**state, "inner/deep/0": np.zeros((2, 9))}, "another model"),
        (lambda state: {**state, "inner/deep/1": np.zeros((2, 4))}, "another model"),
    ],
)
def test_states_of_other_models_are_refused_and_change_nothing(change, said):
    model = stateful()
    model.predict(X, verbose=0)
    before = model.get_state()
    with pytest.raises(ValueError, match=said):
        model.set_state(change(before))
    for name, state in model.get_state().items():
        np.testing.assert_array_equal(state, before[name])
    with pytest.raises(ValueError, match="must be the bytes of a state"):
        model.state_from_bytes(model.state_to_bytes()[:-2])
    with pytest.raises(TypeError, match="`state` must be a mapping, received list"):
        model.set_state([1])
