"""A process that loads a model and predicts takes little memory, and imports little."""

import subprocess
import sys

import numpy as np
import pytest

import ferrnn

PEAK = (
    "import sys\n"
    "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))\n"
    "print(*sys.modules)"
)
LOADING = (
    "import numpy as np, ferrnn\n"
    "model = ferrnn.load_model('model.safetensors')\n"
    "model.predict(np.zeros((1, 20, 8), 'float32'), verbose=0)\n"
)
# What each would add, in MB: 7, 4, 5, 4, 0.7, 0.3, 0.4, 0.3, 0.9, 0.3.
HEAVY = {
    *("numpy.random", "hashlib", "h5py", "autograd", "zipfile", "html", "logging", "tempfile"),
    *("ferrnn._src.models.stream", "ferrnn._src.interop.keras"),
}


def run(folder, code):
    """The peak in KiB, and the modules that were imported."""
    found = subprocess.run(
        [sys.executable, "-c", code + PEAK], cwd=folder, check=True, capture_output=True, text=True
    )
    peak, modules = found.stdout.splitlines()
    return int(peak), set(modules.split())


@pytest.fixture
def saved(tmp_path):
    layers = ferrnn.layers
    model = ferrnn.Sequential([ferrnn.Input((20, 8)), layers.LSTM(64), layers.Dense(1)])
    model.save(tmp_path / "model.safetensors")
    return tmp_path, model


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_and_predicting_take_less_than_15_mib_above_numpy(saved):
    folder, model = saved
    alone, of_numpy = run(folder, "import numpy\n")  # NumPy 1 loads numpy.random by itself
    with_us, modules = run(folder, LOADING)
    assert modules & HEAVY <= of_numpy
    weights = sum(weight.nbytes for weight in model.get_weights()) / 1024
    assert with_us - alone < 15 * 1024 + weights


def test_a_loaded_model_has_the_numbers_of_the_file_and_draws_others_anew(saved):
    folder, model = saved
    again = ferrnn.models.load_model(folder / "model.safetensors")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    fresh = type(again.layers[0]).from_config(again.layers[0].get_config())
    fresh.build((None, 20, 8))
    assert all(np.ptp(weight) > 0 for weight in fresh.get_weights())
