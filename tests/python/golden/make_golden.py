"""Makes the golden files beside it, from real Keras on its JAX backend.

Run it in an environment of its own, then look at the difference::

    python3.11 -m venv /tmp/golden && /tmp/golden/bin/pip install keras==3.15.1 jax==0.10.2 numpy
    /tmp/golden/bin/python tests/python/golden/make_golden.py

Names of files (`losses metrics`) make only these. The same versions on the same machine write the
same bytes. Inputs and weights are random multiples of 1/256 (exact in both dtypes, and they
compress), biases included; nothing is constant. On JAX, Keras computes tanh, mean and others of
float64 in float32, because of a table of dtypes; here that entry is replaced by the TensorFlow
backend's, so that float64 files are float64 throughout. Each `.npz` holds a table in JSON
(versions, cases, arrays named `<case>/<what>`) and the numbers of all arrays of a dtype in a row;
`golden.py` reads it.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import json
import platform
import sys
from pathlib import Path

import jax
import keras
import numpy as np
from keras.src.backend.common import dtypes

from make_custom import custom_cases
from make_feedforward import feedforward_cases, frame_cases
from make_graphs import graph_cases
from make_layers import dense_cases, recurrent_cases, stacked_cases
from make_losses import loss_cases
from make_metrics import metric_cases
from make_operations import operation_cases
from make_optimizers import optimizer_cases, schedule_cases
from make_penalties import constraint_cases, regularizer_cases
from make_runs import run_cases as model_run_cases
from make_shared_runs import shared_run_cases
from make_training import run_cases
from make_wrappers import wrapper_cases
from making import Cases

HERE = Path(__file__).parent
MAKERS = {
    "recurrent": recurrent_cases,
    "stacked": stacked_cases,
    "dense": dense_cases,
    "feedforward": feedforward_cases,
    "frames": frame_cases,
    "losses": loss_cases,
    "optimizers": optimizer_cases,
    "schedules": schedule_cases,
    "metrics": metric_cases,
    "training": run_cases,
    "regularizers": regularizer_cases,
    "constraints": constraint_cases,
    "runs": model_run_cases,
    "shared_runs": shared_run_cases,
    "wrappers": wrapper_cases,
    "custom": custom_cases,
    "operations": operation_cases,
    "graphs": graph_cases,
}


def main() -> None:
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    versions = {
        "keras": keras.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(versions))
    total = 0
    for name in sys.argv[1:] or MAKERS:
        cases = Cases()
        MAKERS[name](cases)
        target = HERE / f"{name}.npz"
        cases.write(target, versions)
        size = target.stat().st_size
        total += size
        print(f"{target.name}: {len(cases.table)} cases, {size / 1e3:.0f} kB")
    print(f"total {total / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
