"""Uses an installed ferrnn as a reader of its README would: a layer, a short fit, the data set."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np

import ferrnn


def main() -> None:
    """Each step raises if the installation lacks something."""
    checkout = Path(__file__).resolve().parent.parent
    where = Path(ferrnn.__file__).resolve()
    assert checkout not in where.parents, f"this is the checkout, not an installation: {where}"
    assert ferrnn.__version__ == importlib.metadata.version("ferrnn")

    inputs = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    output, h, c = ferrnn.layers.LSTM(4, return_sequences=True, return_state=True)(inputs)
    assert output.shape == (2, 5, 4)
    assert h.shape == c.shape == (2, 4)
    np.testing.assert_array_equal(output[:, -1], h)

    weather = ferrnn.datasets.load_seattle_weather()
    assert weather is not None

    ferrnn.utils.set_random_seed(1)
    x = np.random.default_rng(2).normal(size=(64, 6, 2)).astype(np.float32)
    y = x.sum(axis=(1, 2), keepdims=False)[:, np.newaxis]
    model = ferrnn.Sequential([ferrnn.layers.GRU(8), ferrnn.layers.Dense(1)])
    model.compile(optimizer=ferrnn.optimizers.Adam(0.02), loss="mse")
    losses = model.fit(x, y, epochs=5, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0], losses

    command = [Path(sys.executable).with_name("ferrnn"), "config"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"ferrnn: {ferrnn.__version__}" in told, told
    print(f"ferrnn {ferrnn.__version__} works on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
