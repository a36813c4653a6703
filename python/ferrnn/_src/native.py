"""The engine's names that are not recurrent: layers, activations, optimizers, and settings.

The number of threads may be set at any time and changes no bit of a result; buffers that calls
keep for each other are given back on request.

>>> before = num_threads()
>>> set_num_threads(2)
>>> num_threads()
2
>>> set_num_threads(before)
>>> simd_level() in ("portable", "avx2", "avx512", "neon")
True
>>> clear_buffers()
"""

from ferrnn._core import (
    DenseWeights,
    EmbeddingWeights,
    InternalError,
    NormalizationWeights,
    Plan,
    Program,
    activate,
    adam_update,
    attention_backward,
    attention_forward,
    clear_buffers,
    conv_lstm_step,
    convolution_forward,
    dense_backward,
    dense_forward,
    embedding_backward,
    embedding_forward,
    erf,
    limits,
    machine,
    max_pool,
    max_pool_backward,
    mean_loss,
    noise,
    normalization_backward,
    normalization_forward,
    num_threads,
    penalty,
    penalty_gradient,
    products,
    set_num_threads,
    sgd_update,
    simd_level,
    squared_norms,
)

__all__ = [
    "DenseWeights",
    "EmbeddingWeights",
    "InternalError",
    "NormalizationWeights",
    "Plan",
    "Program",
    "activate",
    "adam_update",
    "attention_backward",
    "attention_forward",
    "clear_buffers",
    "conv_lstm_step",
    "convolution_forward",
    "dense_backward",
    "dense_forward",
    "embedding_backward",
    "embedding_forward",
    "erf",
    "limits",
    "machine",
    "max_pool",
    "max_pool_backward",
    "mean_loss",
    "noise",
    "normalization_backward",
    "normalization_forward",
    "num_threads",
    "penalty",
    "penalty_gradient",
    "products",
    "set_num_threads",
    "sgd_update",
    "simd_level",
    "squared_norms",
]
