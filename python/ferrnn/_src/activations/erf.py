"""The error function on arrays, which NumPy lacks."""

import numpy as np

from ferrnn._src import native
from ferrnn._src.tree.types import Array


def erf(values: Array) -> Array:
    """`2 / sqrt(pi) * integral of exp(-t^2) from 0 to x`, in the dtype of the values.

    >>> erf(np.array([0.0, 1.0])).round(6).tolist()
    [0.0, 0.842701]
    """
    values = np.asarray(values)
    wide = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
    return native.erf(values.astype(wide, copy=False)).astype(values.dtype, copy=False)
