"""Models of given batches and of several inputs are trained together too."""

import math

import pytest

import ferrnn as keras
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
