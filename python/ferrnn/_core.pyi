"""The native engine: what Rust offers Python."""

from collections.abc import Sequence
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self, disjoint_base

Array: TypeAlias = NDArray[np.floating[Any]]
Mask: TypeAlias = NDArray[np.bool_]

class InternalError(RuntimeError):
    """A bug in the engine itself, never in its arguments: please report it."""

@final
class Weights:
    """One recurrent cell's weights, packed for this machine; frozen."""

    def __new__(
        cls,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array | None,
        bias: Array | None = None,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        reset_after: bool = True,
        precision: str = "full",
        vectors: Array | None = None,
        clip: float | None = None,
        recurrent_clip: float | None = None,
        projection: Array | None = None,
    ) -> Weights: ...
    @property
    def features(self) -> int: ...
    @property
    def units(self) -> int: ...

@final
class Problem:
    """What a recurrent call reads: checked once, then plain data; frozen."""

    def __new__(
        cls,
        weights: Weights,
        inputs: Array,
        initial_state: Sequence[Array] | None = None,
        mask: Mask | None = None,
        input_dropout: Array | None = None,
        recurrent_dropout: Array | None = None,
        go_backwards: bool = False,
        return_sequences: bool = True,
        zero_output_for_mask: bool = False,
    ) -> Problem: ...

@final
class Residuals:
    """What forward kept for backward; opaque."""

@final
class Program:
    """A user's cell as instructions on registers, checked and frozen; see `programs/lowering.py`.

    Registers are `(home, width)`, sections five lists of instructions `(name, arguments)`, states
    `(before, after, gradient of after, gradient of before)`; the rest are numbers of registers.
    """

    def __new__(
        cls,
        double: bool,
        registers: Sequence[tuple[str, int]],
        sections: Sequence[Sequence[tuple[Any, ...]]],
        *,
        inputs: Sequence[int],
        weights: Sequence[int],
        states: Sequence[tuple[int, int, int | None, int | None]],
        output: int,
        output_state: int | None = None,
        d_output: int | None = None,
        d_inputs: Sequence[int | None] = ...,
        d_weights: Sequence[int | None] = ...,
    ) -> Program: ...

@final
class ProgramRun:
    """What a program's forward kept for backward; opaque."""

@final
class DenseWeights:
    """A Dense layer's kernel and bias, packed for this machine; frozen.

    The kernel is `[*features, *units]`, with so many axes of features as `inputs` says.
    """

    def __new__(
        cls,
        kernel: Array,
        bias: Array | None = None,
        activation: str = "linear",
        inputs: int = 1,
    ) -> DenseWeights: ...
    @property
    def keeps_input(self) -> bool: ...
    @property
    def features(self) -> int: ...
    @property
    def units(self) -> int: ...

@final
class EmbeddingWeights:
    """An Embedding layer's matrix for a stream; frozen."""

    def __new__(cls, rows: Array, mask_zero: bool = False) -> EmbeddingWeights: ...

@final
class NormalizationWeights:
    """A layer normalization's scale and shift, in whole vectors; frozen.

    Rows are `centered` around their mean, or around zero.
    """

    def __new__(
        cls,
        features: int,
        epsilon: float,
        gamma: Array | None = None,
        beta: Array | None = None,
        double: bool = False,
        centered: bool = True,
    ) -> NormalizationWeights: ...

@disjoint_base
class Stream:
    """A chain of layers that takes one step a call and keeps its states."""

    def __new__(
        cls,
        parts: list[
            Weights | DenseWeights | EmbeddingWeights | NormalizationWeights | str | tuple[Any, ...]
        ],
        features: int,
        streams: int = 1,
        double: bool = False,
    ) -> Self: ...
    def __call__(self, inputs: ArrayLike, out: Array | None = None) -> Array: ...
    @property
    def streams(self) -> int: ...
    @property
    def ids(self) -> int | None: ...
    @property
    def features(self) -> int: ...
    @property
    def units(self) -> int: ...
    def _read_states(self) -> tuple[Array, ...]: ...
    def _write_states(self, states: Sequence[Array]) -> None: ...
    def _reset(self, rows: Sequence[int] | None = None) -> None: ...
    def _resize(
        self,
        parts: list[
            Weights | DenseWeights | EmbeddingWeights | NormalizationWeights | str | tuple[Any, ...]
        ],
        streams: int,
    ) -> None: ...

def program_forward(
    program: Program,
    inputs: Sequence[Array],
    weights: Sequence[Array],
    states: Sequence[Array],
    mask: Mask | None,
    options: tuple[bool, bool, bool],
    final_state: bool,
) -> tuple[Array, tuple[Array, ...], ProgramRun | None]: ...
def program_backward(
    run: ProgramRun,
    d_outputs: Array | None,
    d_states: Sequence[Array | None] | None,
    inputs_need_gradient: bool,
) -> tuple[tuple[Array, ...] | None, tuple[Array | None, ...], tuple[Array, ...]]: ...
def rnn_forward(
    weights: Weights, problem: Problem, differentiable: bool = False, final_state: bool = True
) -> tuple[Array, tuple[Array, ...], Residuals | None]:
    """Outputs `[batch, time, units]` or `[batch, units]`, final states if wanted, residuals."""

def rnn_backward(
    weights: Weights,
    residuals: Residuals,
    problem: Problem,
    outputs: Array,
    d_outputs: Array | None = None,
    d_final_state: Sequence[Array | None] | None = None,
    inputs_need_gradient: bool = True,
    consume: bool = False,
) -> tuple[Array | None, tuple[Array, ...], tuple[Array, ...]]:
    """Gradients of inputs, of the weights in the order of `Weights`, and of initial states."""

# How windows lie over an axis: size, stride, dilation, places before the first, windows.
_Axis: TypeAlias = tuple[int, int, int, int, int]

def convolution_forward(
    weights: DenseWeights, inputs: Array, lines: _Axis, columns: _Axis
) -> Array:
    """`[frame, line, column, unit]` for `[frame, line, columns and features]`."""

def conv_lstm_step(
    weights: tuple[DenseWeights, DenseWeights],
    arrays: tuple[Array, Array, Array],
    lines: _Axis,
    columns: _Axis,
    activations: tuple[str, str],
) -> tuple[Array, Array]:
    """The h and c that follow inputs, h and c, `[frame, line, columns and features]`."""

def max_pool(inputs: Array, features: int, lines: _Axis, columns: _Axis) -> Array:
    """`[frame, line, column, feature]` for `[frame, line, columns and features]`."""

def max_pool_backward(
    inputs: Array,
    outputs: Array,
    d_outputs: Array,
    features: int,
    lines: _Axis,
    columns: _Axis,
) -> Array:
    """The gradient of the inputs; arrays are `[frame, line, columns and features]`."""

def dense_forward(
    weights: DenseWeights, inputs: Array, differentiable: bool = False
) -> tuple[Array, Array | None]:
    """`activation(inputs . kernel + bias)` for `[..., *features]`, and what backward wants."""

def dense_backward(
    weights: DenseWeights,
    inputs: Array,
    outputs: Array,
    saved: Array | None,
    d_outputs: Array,
    inputs_need_gradient: bool = True,
) -> tuple[Array | None, tuple[Array, ...]]:
    """Gradients of the inputs, of the kernel and, if there is one, of the bias."""

def embedding_forward(rows: Array, ids: NDArray[np.int64]) -> Array:
    """The row of each id."""

def embedding_backward(ids: NDArray[np.int64], d_outputs: Array, count: int) -> Array:
    """The gradient of the rows: for each id the sum of the gradients of its outputs."""

def normalization_forward(
    weights: NormalizationWeights, inputs: Array, differentiable: bool = False
) -> tuple[Array, Array | None]:
    """The normalized rows, and what backward wants besides the inputs."""

def normalization_backward(
    weights: NormalizationWeights,
    inputs: Array,
    kept: Array,
    d_outputs: Array,
    wanted: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of the inputs, of gamma and of beta, those that are wanted."""

def noise(
    seed: int,
    call: int,
    shape: Sequence[int],
    threshold: int | None,
    scale: float,
    double: bool = False,
) -> Array:
    """Zeros where a 32-bit random number of the call is below `threshold`, else `scale`.

    Without a threshold, normally distributed numbers of the standard deviation `scale`.
    """

def sgd_update(
    weights: list[Array],
    gradients: list[Array],
    momenta: list[Array] | None,
    rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    decay: float | None = None,
    scales: Sequence[float] | None = None,
) -> None:
    """Gradient descent on all weights in place, after `decay`, with each gradient scaled."""

def adam_update(
    weights: list[Array],
    gradients: list[Array],
    momenta: list[Array],
    velocities: list[Array],
    largest: list[Array] | None,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float | None = None,
    scales: Sequence[float] | None = None,
) -> None:
    """Adam on all weights in place, `rate` with its bias corrections; `largest` for amsgrad."""

def squared_norms(arrays: list[Array]) -> list[float]:
    """The sum of the squares of each array."""

def penalty(x: Array, l1: float, l2: float) -> float:
    """`l1 * sum(abs(x)) + l2 * sum(x**2)`."""

def penalty_gradient(x: Array, l1: float, l2: float, slope: float) -> Array:
    """The gradient of the penalty by `x`, times `slope`."""

def mean_loss(
    measures: tuple[str, str, Sequence[float]],
    y_true: Array,
    y_pred: Array,
    differentiable: bool = False,
    weights: Array | None = None,
    divisor: str = "rows",
) -> tuple[float, float, Array | None]:
    """The mean of a loss over all values, the sum of their weights, the gradient of `y_pred`.

    `measures` says of what: "squared" or "absolute" errors, "huber" up to a size, "log cosh",
    "percentage", "logarithmic", "poisson" or "divergence" with an epsilon, "hinge" or "squared
    hinge" (labels 0 and 1 become -1 and 1 if a batch has no others), a "crossentropy" of labels
    ("binary", "one-hot" or "numbers") with their smoothing, the epsilon of probabilities and
    perhaps a label that is ignored, that of "logits", or the "pinball" loss of probabilities.
    `weights` are float64, one for each row; the weighted sum is divided by the number of "rows", by
    the sum of "weights", or by "one".
    """

def attention_forward(
    given: tuple[Array, Array, Array, float, Array | None, Array | None],
    mask: Mask | None = None,
    strictly: bool = True,
) -> tuple[Array, Array]:
    """The means of values `[samples, queries, heads, features]`, and the weights of values.

    `given` are query, key and value `[samples, steps, heads, features]`, what scores are multiplied
    by, None or factors, and the noise that the weights `[samples, heads, queries, values]` are
    multiplied by; those that are given back are without it. With factors, one or as many as there
    are features, the scores are `sum(factors * tanh(scale * (query + key)))`. `mask` says which
    values a query sees, of the shape of the weights or 1 along some axes; if `strictly`, what is
    hidden weighs nothing, also where a query sees nothing at all.
    """

def attention_backward(
    given: tuple[Array, Array, Array, float, Array | None, Array | None],
    weights: Array,
    d_outputs: Array,
    d_weights: Array | None = None,
    by_scale: bool = False,
) -> tuple[Array, Array, Array, float, Array]:
    """The gradients of query, key and value, of the scale if that is wanted, and of factors."""

def products(left: Array, right: Array, turned: tuple[bool, bool] = ...) -> Array:
    """The matrices of one array times those of another, `[samples, rows, columns]` both.

    What is `turned` stands for its transpose.
    """

def activate(activation: str, inputs: Array) -> Array:
    """An activation of each element, or "softmax" over the last axis."""

def erf(inputs: Array) -> Array:
    """The error function of each element."""

@final
class Plan:
    """The layers of a model as a graph, for steps in one call."""

    def __new__(
        cls,
        parts: list[tuple[tuple[Any, ...], list[int], bool, int | None]],
        trained: Sequence[int],
        ends: tuple[int, list[tuple[int, int]]],
        double: bool = False,
    ) -> Plan: ...
    def train(self, said: list[tuple[Any, ...]], told: list[tuple[Any, ...]]) -> None: ...
    def forward(
        self,
        weights: list[Array],
        x: Sequence[NDArray[Any]],
        order: NDArray[Any] | None,
        places: tuple[int, int],
        keep: bool = False,
        draws: list[tuple[int, int]] | None = None,
        packed: bool = False,
    ) -> list[Array]: ...
    def predict(
        self,
        weights: list[Array],
        x: Sequence[NDArray[Any]],
        order: NDArray[Any] | None,
        places: tuple[int, int],
        batch: int,
        limit: float,
        packed: bool = False,
        outputs: list[Array] | None = None,
    ) -> tuple[list[Array], int]: ...
    def mask(self, output: int = 0) -> bytes | None: ...
    def backward(
        self,
        weights: list[Array],
        slots: list[Sequence[Array]],
        d_outputs: list[Array],
        added: list[tuple[int, Array]],
        way: tuple[tuple[Any, ...], tuple[str, float] | None],
        rates: Sequence[float],
        decay: float | None = None,
    ) -> None: ...

def simd_level() -> str:
    """The instruction set in use: `portable`, `avx2`, `avx512` or `neon`."""

def num_threads() -> int:
    """The number of threads a call may use."""

def set_num_threads(threads: int) -> None:
    """Sets the number of threads a call may use."""

def machine() -> dict[str, Any]:
    """What the engine knows of its machine and of its build.

    `version`, `debug` (whether assertions are compiled in), `target` (architecture, system),
    `levels` (the instruction sets of this CPU, slowest first), `threads_source` (where
    `num_threads()` comes from), `caches` (bytes of the levels 1 to 3).
    """

def limits(threads: int, sizes: Sequence[int]) -> tuple[float, list[float]]:
    """Float32 multiply-adds per second of one core; bytes per second read by all threads.

    The second has an entry for each size: memory of so many bytes for each thread.
    """

def clear_buffers() -> None:
    """Returns pooled scratch memory to the system."""

def _panic(place: str) -> None:
    """Panics `here`, without the interpreter's lock (`away`) or in a `team`'s thread: for tests."""

def _leave() -> None:
    """Waits until no other thread is in the binding: for `atexit`."""

def _forked() -> None:
    """Forgets the threads that a child has not got: for the child of a `fork`."""
