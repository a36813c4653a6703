"""Stateful layers in plans: states go from step to step as layer by layer."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense, SimpleRNN
from models.planned import check_step, data, trained


def model_of(*stack, batch=4, dtype="float32"):
    def build():
        inputs = keras.Input(batch_shape=(batch, 6, 5), dtype=dtype)
        x = inputs
        for make in stack:
            x = make()(x)
        return keras.Model(inputs, Dense(3, dtype=dtype)(x))

    return build


STACKS = {
    "lstm": [lambda: LSTM(4, stateful=True)],
    "gru": [lambda: GRU(4, stateful=True, reset_after=False)],
    "simple": [lambda: SimpleRNN(4, stateful=True, dropout=0.2, recurrent_dropout=0.3, seed=1)],
    "stack": [
        lambda: layers.Masking(0.5),
        lambda: LSTM(4, stateful=True, return_sequences=True),
        layers.LayerNormalization,
        lambda: GRU(3, stateful=True, go_backwards=True, use_bias=False),
    ],
}


class Resets(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2:
            self.model.reset_states()


class Judged(keras.callbacks.Callback):
    """Predicts amid training, which moves the states on."""

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = self.model.predict(self.x, batch_size=4, verbose=0)


def pair(kind, monkeypatch, callbacks=lambda x: (), **options):
    x, y = data((20, 6, 5))
    x[:, 5:] = 0.5
    given = {"batch_size": 4, "shuffle": False, "validation_data": (x[:8], y[:8]), **options}
    return [
        trained(model_of(*STACKS[kind]), x, y, monkeypatch, planned=planned,
                callbacks=list(callbacks(x)), **given)
        for planned in (True, False)
    ]  # fmt: skip


def expect_same(pairs):
    (ours, history), (theirs, wanted) = pairs
    assert history == wanted
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    states, expected = (list(model.get_state().values()) for model in (ours, theirs))
    for state, other in zip(states, expected, strict=True):
        assert np.any(state)
        np.testing.assert_array_equal(state, other)
    return ours


@pytest.mark.parametrize("kind", STACKS)
def test_states_are_carried_to_the_same_bits(kind, monkeypatch):
    ours = expect_same(pair(kind, monkeypatch))
    assert all(node.back is None for node in ours.explain_plan())


def test_states_are_reset_and_read_between_epochs(monkeypatch):
    def callbacks(x):
        judged = Judged()
        judged.x = x
        return Resets(), judged

    expect_same(pair("lstm", monkeypatch, callbacks, epochs=5))


def test_states_that_were_set_begin_the_next_call(monkeypatch):
    results = []
    for planned in (True, False):
        x, y = data((8, 6, 5))
        options = {"batch_size": 4, "shuffle": False, "epochs": 1}
        model, _ = trained(model_of(*STACKS["lstm"]), x, y, monkeypatch, planned=planned, **options)
        held = model.layers[1].states
        before = [np.array(state) for state in held]
        model.layers[1].states = [np.full((4, 4), 0.25), np.full((4, 4), -0.5)]
        model.fit(x, y, verbose=0, **options)
        for state, known in zip(held, before, strict=True):
            np.testing.assert_array_equal(state, known)  # arrays that were read stay as they were
        model.layers[1].states = None
        model.fit(x, y, verbose=0, **options)
        results.append([*model.get_weights(), *model.layers[1].states])
        with pytest.raises(ValueError, match="read-only"):
            model.layers[1].states[0][:] = 0
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


def test_states_are_carried_over_single_batches(monkeypatch):
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = model_of(*STACKS["stack"])()
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x, y = data((4, 6, 5))
        losses = [model.train_on_batch(x, y) for _ in range(5)]
        losses += [model.evaluate(x, y, batch_size=4, verbose=0)]
        losses += [model(x) for _ in range(5)]
        results.append([*losses, *model.get_weights(), *model.get_state().values()])
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_batch_of_other_rows_raises_as_layer_by_layer():
    model = model_of(*STACKS["lstm"])()
    model.compile("sgd", "mse")
    x, y = data((10, 6, 5))
    with pytest.raises(ValueError, match="stateful"):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    before = model.get_weights()
    model.fit(x[:8], y[:8], batch_size=4, shuffle=False, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def twice(x):
    layer = GRU(3, stateful=True)
    return layer(x) + layer(x * 2.0)


WHYS = {
    "called twice": twice,
    "return_state=True": lambda x: LSTM(3, stateful=True, return_state=True)(x)[0],
    "is given states": lambda x: LSTM(5, stateful=True)(x, initial_state=[x[:, 0], x[:, 1]]),
    "both_ways": layers.Bidirectional(LSTM(3, stateful=True), name="both_ways"),
}


@pytest.mark.parametrize("why", WHYS)
def test_what_carries_states_in_another_way_is_said(why):
    inputs = keras.Input(batch_shape=(4, 6, 5))
    model = keras.Model(inputs, Dense(1)(WHYS[why](inputs)))
    model.compile("sgd", "mse")
    x, y = data((8, 6, 5), (1,))
    assert why in str(model.explain_plan())
    model.fit(x, y, batch_size=4, verbose=0)


def test_gradients_take_states_as_constants():
    """The step of plain descent is the gradient, by differences, of the loss from those states."""
    keras.utils.set_random_seed(3)
    make = [lambda: LSTM(4, stateful=True, dtype="float64")]
    model = model_of(*make, dtype="float64")()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x, y = data((4, 6, 5), dtype="float64")
    assert model.explain_plan().covered
    model.train_on_batch(x, y)
    states = model.get_state()

    def loss():
        model.set_state(states)
        return float(np.mean((np.asarray(model(x)) - y) ** 2))

    check_step(model, lambda: model.train_on_batch(x, y), loss)


def test_many_models_carry_states_of_their_own():
    def build():
        model = model_of(*STACKS["stack"])()
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return model

    groups = {name: data((12, 6, 5), seed=at) for at, name in enumerate("abc")}
    options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    together = keras.fit_many(build, groups, seed=5, **options)
    for at, (name, (x, y)) in enumerate(groups.items()):
        keras.utils.set_random_seed(5 + at)
        alone = build()
        alone.fit(x, y, **options)
        pairs = zip(together[name].get_weights(), alone.get_weights(), strict=True)
        for own, other in pairs:
            np.testing.assert_array_equal(own, other)
        states = (model.get_state().values() for model in (together[name], alone))
        for own, other in zip(*states, strict=True):
            np.testing.assert_array_equal(own, other)
