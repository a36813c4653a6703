"""Learning step by step: truncated backpropagation with carried state, in bounded memory."""

import gc
import pickle
import tracemalloc

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import GRU, LSTM, Conv1D, Dense, Input
from ferrnn.models import OnlineLearner, Sequential


def built(stateful=False):
    ferrnn.utils.set_random_seed(3)
    layers = [
        LSTM(5, return_sequences=True, stateful=stateful),
        GRU(4, return_sequences=True, stateful=stateful),
        Dense(1),
    ]
    model = Sequential([Input(batch_shape=(1 if stateful else None, None, 2)), *layers])
    model.compile(ferrnn.optimizers.Adam(0.01), loss="mse")
    return model


def sequence(steps=40):
    random = np.random.default_rng(0)
    x = random.normal(size=(steps, 2)).astype("float32")
    return x, np.roll(x[:, 0], 1)


def same(one, other):
    for own, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_it_learns_as_a_stateful_model_does_window_by_window():
    x, y = sequence()
    learner = OnlineLearner(built(), window=8).partial_fit(x, y)
    stateful = built(stateful=True)
    for first in range(0, 40, 8):
        part = slice(first, first + 8)
        loss = stateful.train_on_batch(x[None, part], y[None, part, None])
    same(learner.model, stateful)
    assert learner.loss == loss
    assert (learner.steps, learner.updates) == (40, 5)


def test_predictions_are_those_of_a_stream_that_has_read_the_steps():
    x, y = sequence(13)
    learner = OnlineLearner(built(), window=20)
    stream = learner.model.stream()
    for step, target in zip(x, y, strict=True):
        expected = stream.copy()(step)[0]
        assert learner.predict_one(step) == learner.predict_one(step) == expected
        learner.learn_one(step, target)
        stream(step)


def test_states_go_on_where_the_last_window_ended():
    x, y = sequence(20)
    learner = OnlineLearner(built(), window=8)
    learner.partial_fit(x[:8], y[:8])
    before = learner._at_end().copy()
    model = built()
    stream = model.stream()
    for step in x[:8]:
        stream(step)  # with the weights that the window was read with
    for name, state in stream.state.items():
        ours = dict(zip(stream.state, before.state.values(), strict=True))[name]
        np.testing.assert_array_equal(ours, state)


def test_the_model_itself_stays_without_states():
    x, y = sequence()
    learner = OnlineLearner(built(), window=8)
    model = learner.model
    learner.partial_fit(x, y)
    first = model.predict(x[None], verbose=0)
    np.testing.assert_array_equal(model.predict(x[None], verbose=0), first)
    assert not any(layer.stateful for layer in model.layers[:2])


def test_dicts_and_numbers_are_taken_as_river_gives_them():
    x, y = sequence(16)
    one, other = OnlineLearner(built(), window=4), OnlineLearner(built(), window=4)
    for step, target in zip(x, y, strict=True):
        one.learn_one({"a": step[0], "b": step[1]}, float(target))
        other.learn_one(step, target)
        assert one.predict_one({"b": step[1], "a": step[0]}) == other.predict_one(step)
    same(one.model, other.model)


def test_pickles_go_on_with_the_same_bits():
    x, y = sequence(30)
    learner = OnlineLearner(built(), window=8).partial_fit(x[:13], y[:13])
    again = pickle.loads(pickle.dumps(learner))
    assert again.predict_one(x[13]) == learner.predict_one(x[13])
    same(learner.partial_fit(x[13:], y[13:]).model, again.partial_fit(x[13:], y[13:]).model)
    assert again.steps == learner.steps == 30


def test_a_new_sequence_begins_from_zero_states():
    x, y = sequence(24)
    learner = OnlineLearner(built(), window=8).partial_fit(x[:11], y[:11])
    learner.reset()
    np.testing.assert_array_equal(learner.predict_one(x[0]), learner.model.stream()(x[0])[0])
    learner.learn_one(x[0], y[0])
    learner.flush()
    assert learner.updates == 2


def test_endless_data_takes_no_more_memory():
    learner = OnlineLearner(built(), window=10)
    x, y = sequence(100)

    def taken(rounds):
        for _ in range(rounds):
            learner.partial_fit(x, y)
            learner.predict_one(x[0])
        gc.collect()  # what has ended may wait for it
        return tracemalloc.get_traced_memory()[0]

    taken(2)  # the first calls import modules and fill caches
    tracemalloc.start()
    before = taken(50)  # what was there before is replaced bit by bit, and counted from then on
    after = taken(50)
    tracemalloc.stop()
    assert after - before < 30_000  # an array of a hundred numbers for each round would be more
    assert len(learner._window) < 10


def test_it_learns():
    learner = OnlineLearner(built(), window=8)
    x, y = sequence(1200)
    learner.partial_fit(x[:16], y[:16])
    first = learner.loss
    learner.partial_fit(x[16:], y[16:])
    assert learner.loss < 0.5 * first


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([LSTM(3)], "must have return_sequences=True"),
        ([Conv1D(3, 2, padding="causal"), GRU(2, return_sequences=True)], "keep only the states"),
    ],
)
def test_models_that_cannot_are_refused(layers, said):
    model = Sequential([Input((None, 2)), *layers])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=said):
        OnlineLearner(model)


def test_wrong_arguments_are_named():
    model = built()
    learner = OnlineLearner(model)
    with pytest.raises(ValueError, match="`window` must be a positive integer, received 0"):
        OnlineLearner(model, 0)
    with pytest.raises(ValueError, match="`x` must have 2 numbers"):
        learner.predict_one([1.0])
    with pytest.raises(ValueError, match="`y` must have 1 numbers"):
        learner.learn_one([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"received the shapes \(3, 2\) and \(2,\)"):
        learner.partial_fit(np.ones((3, 2)), np.ones(2))
    learner.learn_one({"a": 1.0, "b": 2.0}, 1.0)
    with pytest.raises(ValueError, match=r"the features \['a', 'b'\], received \['a', 'c'\]"):
        learner.learn_one({"a": 1.0, "c": 2.0}, 1.0)
    with pytest.raises(ValueError, match="must be compiled"):
        OnlineLearner(Sequential([Input((None, 2)), GRU(1, return_sequences=True)]))
    assert learner.steps == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_would_stay_in_the_weights_are_refused(wrong):
    learner = OnlineLearner(built(), window=2)
    x, y = np.ones((5, 2)), np.ones(5)
    with pytest.raises(ValueError, match=r"`x` must be finite, received (nan|inf) at \[1\]"):
        learner.learn_one([1.0, wrong], 1.0)
    with pytest.raises(ValueError, match=r"`y` must be finite, received (nan|inf) at"):
        learner.learn_one([1.0, 1.0], wrong)
    x[3, 1] = wrong
    with pytest.raises(ValueError, match=r"`x` must be finite, received (nan|inf) at \[3, 1\]"):
        learner.partial_fit(x, y)
    with pytest.raises(TypeError, match="`y` must be numbers, received 'high'"):
        learner.learn_one([1.0, 1.0], "high")
    assert learner.steps == 0
    learner.partial_fit(x[:2], y[:2])
    assert learner.updates == 1
