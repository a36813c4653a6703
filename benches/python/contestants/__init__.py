"""The contestants. Each module offers `Contestant`; a missing package is reported, not an error."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cases import Array, Data, Job

# name: (module, packages it needs)
KNOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "ferrnn": ("contestants.ours", ("ferrnn",)),
    "predict": ("contestants.ours_model", ("ferrnn",)),
    "numpy": ("contestants.plain_numpy", ("numpy",)),
    "onnxruntime": ("contestants.onnx_runtime", ("onnx", "onnxruntime")),
    "openvino": ("contestants.open_vino", ("openvino",)),
    "jax": ("contestants.jax_jit", ("jax",)),
    "torch": ("contestants.py_torch", ("torch",)),
    "keras": ("contestants.keras_eager", ("keras",)),
}


@dataclass(frozen=True)
class Prepared:
    """One job, ready to be timed.

    `run` does one call and waits for its end. `check` does the job from a fresh start and gives
    what must agree between contestants, in this layout:

    - step: the outputs of three steps, `[3, units]`
    - call: the outputs `[batch, time, units]`
    - backprop: outputs, then gradients with respect to inputs, kernel, recurrent kernel and bias
    - train: the losses of three steps `[3]`
    """

    run: Callable[[], object]
    check: Callable[[], list[Array]]


class Contestant(Protocol):
    """One library, at a given number of threads."""

    version: str

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """The job made ready, or None if this library cannot do it."""


def load(names: list[str], threads: int) -> tuple[dict[str, Contestant], list[str]]:
    """The contestants that can be imported, and a sentence for each that cannot."""
    found: dict[str, Contestant] = {}
    missing: list[str] = []
    for name in names:
        module, packages = KNOWN[name]
        try:
            made: Contestant = importlib.import_module(module).Contestant(threads)
        except ImportError as error:
            missing.append(f"{name}: needs {' and '.join(packages)} ({error})")
            continue
        found[name] = made
    return found, missing
