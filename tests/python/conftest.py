"""Every test starts from the same names, seeds and settings."""

import os

# NumPy's BLAS threads get in each other's way on products this small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from ferrnn._src.configs import config
from ferrnn._src.configs.names import clear_session
from ferrnn._src.weights.random import set_random_seed


@pytest.fixture(autouse=True)
def fresh_session():
    clear_session()
    set_random_seed(1)
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
