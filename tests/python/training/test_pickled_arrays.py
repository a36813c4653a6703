"""Arrays that come from another process."""

import pickle

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import LSTM, Dense, Input


@pytest.mark.parametrize("penalty", [None, "l2"])  # by the engine's plan, and layer by layer
def test_pickled_arrays_train_to_the_same_bits(penalty):
    random = np.random.default_rng(1)
    x = random.normal(size=(203, 7, 2)).astype("float32")
    y = x[:, :3, 0] * x[:, 4:, 1]
    trained = []
    for data in ((x, y), pickle.loads(pickle.dumps((x, y)))):
        ferrnn.utils.set_random_seed(3)
        model = ferrnn.Sequential([Input((7, 2)), LSTM(5, kernel_regularizer=penalty), Dense(3)])
        model.compile("adam", loss="mse")
        model.fit(*data, epochs=2, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    for here, there in zip(*trained, strict=True):
        np.testing.assert_array_equal(here, there)
