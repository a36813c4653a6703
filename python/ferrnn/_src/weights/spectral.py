"""The kernel of a short-time Fourier transform, as the initial value of a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ferrnn._src.configs.config import standardize_dtype
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.initializer import Initializer


class STFT(Initializer):
    """Cosines (`side="real"`) or sines ("imag") of `-2 pi t f / F`, for a kernel `[T, 1, F/2 + 1]`.

    They are multiplied by a `window` over the T steps, which is a name that SciPy knows (SciPy must
    then be installed), T numbers or None. `scaling="density"` divides by the window's root of
    squares, "spectrum" by its sum of magnitudes, None not at all.

    >>> STFT("real", None)((4, 1, 3))[1].round(3).tolist()
    [[1.0, 0.0, -1.0]]
    """

    def __init__(
        self,
        side: str = "real",
        window: str | Sequence[float] | None = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"side should be 'real' or 'imag', not {side!r}")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                "Scaling is invalid, it must be `None`, 'density' or 'spectrum'. Received "
                f"scaling={scaling!r}"
            )
        if isinstance(window, str):
            _window_of_scipy(window, 1, periodic=False)  # raises for an unknown name
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        if len(shape) != 3:
            raise ValueError(
                "`shape` must be [steps, channels, frequencies], the shape of a Conv1D kernel, "
                f"received {tuple(shape)}"
            )
        steps, _, frequencies = shape
        period = max(2 * (frequencies - 1), 1)
        turns = np.arange(steps)[:, None, None] * (np.arange(frequencies)[None, None] / period)
        angles = -2 * np.pi * turns
        waves = np.cos(angles) if self.side == "real" else np.sin(angles)
        if self.window is not None:
            waves = waves * self._scaled_window(steps)[:, None, None]
        return np.asarray(waves, standardize_dtype(dtype))

    def _scaled_window(self, steps: int) -> Array:
        if isinstance(self.window, str):
            window = _window_of_scipy(self.window, steps, periodic=self.periodic)
        else:
            window = np.asarray(self.window, np.float64)
        if window.shape != (steps,):
            raise ValueError(
                "The shape of `window` must be equal to [frame_length]. Received: window shape="
                f"{window.shape} for a frame_length of {steps}"
            )
        if self.scaling == "density":
            return np.asarray(window / np.sqrt(np.square(window).sum()))
        return np.asarray(window / np.abs(window).sum()) if self.scaling else window

    def get_config(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "window": self.window,
            "periodic": self.periodic,
            "scaling": self.scaling,
        }


def _window_of_scipy(name: str, steps: int, *, periodic: bool) -> Array:
    try:
        windows = import_module("scipy.signal")
    except ImportError as error:
        raise ImportError(
            f"The window {name!r} of the initializer STFT is computed by SciPy, which is not "
            "installed: `pip install scipy`, or pass the window as an array"
        ) from error
    return np.asarray(windows.get_window(name, steps, periodic), np.float64)
