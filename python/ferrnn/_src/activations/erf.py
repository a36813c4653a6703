"""The error function on arrays, which NumPy lacks."""

import numpy as np

from ferrnn._src.tree.types import Array

# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969).
_NEAR_NUMERATOR = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_NEAR_DENOMINATOR = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
_MIDDLE_NUMERATOR = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_MIDDLE_DENOMINATOR = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
_FAR_NUMERATOR = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_FAR_DENOMINATOR = (
    1.0,
    2.56852019228982242e0,
    1.87295284992346725e0,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def erf(values: Array) -> Array:
    """`2 / sqrt(pi) * integral of exp(-t^2) from 0 to x`, to a few ulp of float64.

    >>> erf(np.array([0.0, 1.0])).round(6).tolist()
    [0.0, 0.842701]
    """
    values = np.asarray(values)
    magnitude = np.abs(values).astype(np.float64)
    result = np.where(np.isnan(magnitude), np.nan, 1.0)  # from 6 on it is 1 to the last bit

    near = magnitude <= 0.46875
    x = magnitude[near]
    result[near] = x * np.polyval(_NEAR_NUMERATOR, x * x) / np.polyval(_NEAR_DENOMINATOR, x * x)
    middle = (magnitude > 0.46875) & (magnitude <= 4.0)
    x = magnitude[middle]
    ratio = np.polyval(_MIDDLE_NUMERATOR, x) / np.polyval(_MIDDLE_DENOMINATOR, x)
    result[middle] = 1.0 - np.exp(-x * x) * ratio

    far = (magnitude > 4.0) & (magnitude < 6.0)
    x = magnitude[far]
    square = 1.0 / (x * x)
    ratio = square * np.polyval(_FAR_NUMERATOR, square) / np.polyval(_FAR_DENOMINATOR, square)
    result[far] = 1.0 - np.exp(-x * x) * (1.0 / np.sqrt(np.pi) - ratio) / x
    return np.copysign(result, values).astype(values.dtype)
