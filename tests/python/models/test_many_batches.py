"""Models of given batches and of several inputs are trained together too."""

import math

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import GRU, Dense
from models.many import alone, build, compare, counted, groups, same  # noqa: F401 - a fixture


class Given(keras.utils.PyDataset):
    def __init__(self, x, y, size=8):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return math.ceil(len(self.y) / self.size)

    def __getitem__(self, at):
        part = slice(at * self.size, (at + 1) * self.size)
        return self.x[part], self.y[part]


@pytest.mark.parametrize("once", [False, True])
def test_batches_that_are_given_one_by_one_are_trained_together(once, together):
    def given():
        def endless(x, y):
            batches = Given(x, y)
            while True:
                yield from (batches[at] for at in range(len(batches)))

        return {
            key: {
                "x": endless(x, y) if once else Given(x, y),
                "steps_per_epoch": 3 if once else None,
                "validation_data": Given(x[:9], y[:9]),
            }
            for key, (x, y) in groups(4).items()
        }

    many = keras.fit_many(build, given(), seed=3, epochs=2)
    assert together.count(4) >= 2 * (2 + 1)  # the smallest group has two batches and one to judge
    for at, (key, group) in enumerate(given().items()):
        model, history = alone(build, group, 3 + at, epochs=2)
        assert history.history == many.history(key).history
        same(model, many[key])


def test_models_of_past_known_and_static_inputs_are_trained_together(together):
    layers = keras.layers

    def forecaster():
        past, known, static = (keras.Input(shape) for shape in ((6, 2), (3, 4), (5,)))
        _, state = GRU(4, return_state=True)(past)
        ahead = layers.Concatenate()([known, layers.RepeatVector(3)(static)])
        decoded = GRU(4, return_sequences=True)(ahead, initial_state=state)
        model = keras.Model([past, known, static], Dense(1)(decoded))
        model.compile("adam", loss="mae")
        return model

    def given(seed):
        random, count = np.random.default_rng(seed), 12 + seed
        parts = [random.normal(size=(count, *shape)) for shape in ((6, 2), (3, 4), (5,), (3, 1))]
        *x, y = (part.astype("float32") for part in parts)
        return x, y

    many = compare(forecaster, {n: given(n) for n in range(3)}, epochs=2, batch_size=4)
    assert together.count(3) == 1
    assert all(not node.why and not node.back for node in many[0].explain_plan())
