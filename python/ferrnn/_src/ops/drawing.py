"""Random arrays: the functions of `keras.random`.

`seed` is a number (the same array every time), a `SeedGenerator` (the next array of its stream), or
None (the stream that `set_random_seed` starts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.ops.arithmetic import multiply
from ferrnn._src.ops.values import dtype_name, floating, one_axis, operation, tensor
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import as_output
from ferrnn._src.weights.random import SeedGenerator, draw_seed

# Where a truncated normal distribution ends, in standard deviations.
_TRUNCATED_AT = 2.0


def _stream(seed: Any) -> SeedGenerator:
    tracing.leaving("random numbers")
    if isinstance(seed, SeedGenerator):
        return seed
    if seed is None:
        return SeedGenerator(draw_seed())
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return SeedGenerator(int(seed))
    raise ValueError(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed} (of type {type(seed)})"
    )


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(map(int, shape))


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of a normal distribution.

    >>> normal((2, 3), seed=1).shape, (normal((2,), seed=1) == normal((2,), seed=1)).all().item()
    ((2, 3), True)
    """
    drawn = _stream(seed).generator().standard_normal(_shape(shape))
    return as_output((mean + stddev * drawn).astype(dtype_name(dtype)))


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers of a normal distribution, redrawn if they lie beyond two standard deviations."""
    generator = _stream(seed).generator()
    drawn = generator.standard_normal(_shape(shape))
    beyond = np.abs(drawn) > _TRUNCATED_AT
    while beyond.any():
        drawn[beyond] = generator.standard_normal(int(beyond.sum()))
        beyond = np.abs(drawn) > _TRUNCATED_AT
    return as_output((mean + stddev * drawn).astype(dtype_name(dtype)))


def uniform(
    shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers in `[minval, maxval)`; integers for an integer dtype."""
    name = dtype_name(dtype)
    if np.dtype(name).kind in "iu":
        return randint(shape, minval, maxval, name, seed)
    low, high = np.dtype(name).type(minval), np.dtype(name).type(maxval)
    drawn = _stream(seed).generator().random(_shape(shape)).astype(name)
    drawn = np.minimum(low + (high - low) * drawn, np.nextafter(high, low))
    return as_output(np.asarray(drawn, name))


def randint(shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers in `[minval, maxval)`.

    >>> sorted(set(randint((100,), 0, 3, seed=1).tolist()))
    [0, 1, 2]
    """
    drawn = _stream(seed).generator().integers(minval, maxval, _shape(shape))
    return as_output(drawn.astype(dtype))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Classes `[batch, num_samples]`, drawn with the probabilities `softmax(logits)`."""
    scores = np.asarray(tracing.plain(tensor(logits)), np.float64)
    if scores.ndim != 2:
        raise ValueError(f"`logits` must have the shape [batch, classes], received {scores.shape}")
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    edges = np.cumsum(raised, axis=-1)
    drawn = _stream(seed).generator().random((len(scores), num_samples)) * edges[:, -1:]
    found = (drawn[..., None] >= edges[:, None, :-1]).sum(axis=-1)
    return as_output(np.asarray(found, dtype))


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers of a gamma distribution of scale 1."""
    drawn = _stream(seed).generator().standard_gamma(alpha, _shape(shape))
    return as_output(np.asarray(drawn, dtype_name(dtype)))


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers of a beta distribution."""
    drawn = _stream(seed).generator().beta(alpha, beta, _shape(shape))
    return as_output(np.asarray(drawn, dtype_name(dtype)))


def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> Any:
    """The number of successes in `counts` trials."""
    attempts = np.asarray(tracing.plain(tensor(counts))).astype(np.int64)
    chances = np.asarray(tracing.plain(tensor(probabilities)), np.float64)
    drawn = _stream(seed).generator().binomial(attempts, chances, _shape(shape))
    return as_output(np.asarray(drawn, dtype_name(dtype)))


@operation
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """`x` with its entries along an axis in random order."""
    x = tensor(x)
    at = one_axis(axis, x.ndim)
    order = _stream(seed).generator().permutation(x.shape[at])
    return x[(slice(None),) * at + (order,)]


@operation
def dropout(
    inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None
) -> Any:
    """Zeros with probability `rate`, the other entries scaled up by `1 / (1 - rate)`.

    `noise_shape` says where the mask is shared: along axes on which it is 1.

    >>> dropout(np.ones((2, 2), "float32"), 0.0).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x = floating(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"`rate` must lie between 0 and 1, received {rate}")
    given = x.shape if noise_shape is None else noise_shape
    shape = tuple(have if want is None else want for want, have in zip(given, x.shape, strict=True))
    return multiply(x, _stream(seed).dropout_mask(shape, rate, x.dtype.name)) if rate else x
