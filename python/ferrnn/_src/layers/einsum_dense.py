"""A product with a kernel over any axes, named by an equation."""

from __future__ import annotations

import functools
import math
import re
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.cells.base import refuse
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.weight_settings import KernelAndBias
from ferrnn._src.native import DenseWeights, dense_backward, dense_forward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import regularizers
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random_initializers import with_axes

_FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class Equation(NamedTuple):
    """The letters of all axes of inputs, kernel and outputs."""

    inputs: str
    kernel: str
    outputs: str
    sizes: dict[str, int | None]

    def shape(self, letters: str) -> tuple[Any, ...]:
        """The lengths of axes."""
        return tuple(self.sizes[letter] for letter in letters)


@functools.lru_cache(maxsize=256)
def read_equation(equation: str, shape: tuple[Any, ...], outputs: tuple[Any, ...]) -> Equation:
    """Reads an equation such as "abc,cd->abd", for shapes of inputs and (without batch) of outputs.

    >>> read_equation("...x,xy->...y", (2, 3, 4), (5,)).shape("xy")
    (4, 5)
    """
    found = _FORM.fullmatch(equation.replace(" ", ""))
    if found is None or found[1] != found[5] or found[3] != found[7] or (found[1] and found[3]):
        raise ValueError(
            f"Invalid einsum equation '{equation}'. Equations must be in the form "
            "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
        )
    own, kernel, out = found[2], found[4], found[6]
    free = [letter for letter in string.ascii_letters if letter not in equation]
    elided = "".join(free[: max(len(shape) - len(own), 0)])
    inputs = elided + own if found[1] else own + elided
    if len(inputs) != len(shape) or (elided and not (found[1] or found[3])):
        raise ValueError(
            f"the equation '{equation}' names {len(own)} axes of the inputs, received inputs of "
            f"the shape {tuple(shape)}"
        )
    sizes = dict(zip(inputs, shape, strict=True))
    named = out if found[1] else out[1:]
    if len(named) != len(outputs):
        raise ValueError(
            f"`output_shape` must have the lengths of the axes '{named}' of the outputs of "
            f"'{equation}', received {tuple(outputs)}"
        )
    for letter, length in zip(named, outputs, strict=True):
        known = sizes.get(letter)
        if letter in sizes and length is not None and length != known:
            raise ValueError(
                f"Input shape and output shape do not match at shared dimension '{letter}'. Input "
                f"shape is {known}, and output shape is {length}."
            )
        sizes[letter] = known if letter in sizes else length
    return _checked(Equation(inputs, kernel, elided + out if found[1] else out + elided, sizes))


def _checked(read: Equation) -> Equation:
    for letter in read.outputs:
        if letter not in read.inputs + read.kernel:
            raise ValueError(
                f"Dimension '{letter}' was specified in the output '{read.outputs}' but has no "
                f"corresponding dim in the input spec '{read.inputs}' or weight spec "
                f"'{read.kernel}'"
            )
    for letter in read.kernel:
        if letter not in read.sizes:
            raise ValueError(
                f"Weight dimension '{letter}' did not have a match in either the input spec "
                f"'{read.inputs}' or the output spec '{read.outputs}'. For this layer, the weight "
                "must be fully specified."
            )
        if not read.sizes[letter]:
            raise ValueError(
                f"the length of axis '{letter}' of the kernel must be known and at least 1, "
                f"received {read.sizes[letter]}"
            )
    return read


class EinsumDense(KernelAndBias):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    `output_shape` gives the lengths of the outputs' axes after the batch, None for one that the
    inputs have; "..." stands for any further axes. `bias_axes` names the axes that have biases.

    >>> EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d")(np.ones((2, 3, 4))).shape
    (2, 3, 7)
    """

    supports_masking = False
    kernel: Parameter
    bias: Parameter | None

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse({"lora_rank": lora_rank, "lora_alpha": lora_alpha}, self.name)
        self.equation, self.bias_axes = equation, bias_axes
        whole = isinstance(output_shape, int | np.integer)
        lengths: Any = (output_shape,) if whole else output_shape
        self.partial_output_shape = tuple(lengths)
        self.activation = activations.get(activation)
        self._take_weight_settings(locals())

    def build(self, input_shape: Any) -> None:
        read = self._read(input_shape)
        axes = {letter: axis for axis, letter in enumerate(read.kernel)}
        outputs = [axis for letter, axis in axes.items() if letter in read.outputs]
        inputs = [axis for letter, axis in axes.items() if letter not in read.outputs]
        self.kernel = self.add_weight(
            read.shape(read.kernel),
            with_axes(self.kernel_initializer, inputs, outputs),
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                self._bias_shape(read),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _read(self, input_shape: Any) -> Equation:
        return read_equation(self.equation, tuple(input_shape), self.partial_output_shape)

    def _bias_shape(self, read: Equation) -> tuple[Any, ...]:
        """The shape of the bias, from its first axis on, with 1 for axes without biases."""
        axes: Any = self.bias_axes
        for letter in axes:
            if letter not in read.outputs:
                raise ValueError(
                    f"Bias dimension '{letter}' was requested, but is not part of the output spec "
                    f"'{read.outputs}'"
                )
        first = min(read.outputs.index(letter) for letter in axes)
        return tuple(read.sizes[letter] if letter in axes else 1 for letter in read.outputs[first:])

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        read = self._read(inputs.shape)
        shared = set(read.kernel) & set(read.inputs) & set(read.outputs)
        left_out = set(read.inputs) - set(read.outputs + read.kernel)
        product = _contracted if shared or left_out else _by_engine
        linear, product_vjp = product(read, inputs, self.kernel.snapshot(), call)
        if self.bias is not None:
            linear = linear + self.bias.value
        activation = activations.differentiable(self.activation)
        outputs = activation.of_layer(linear)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_linear = activation.backward(linear, outputs, d_outputs)
            if self.bias is not None:
                grads.add(self.bias, _summed_to(d_linear, self.bias.shape))
            d_inputs, d_kernel = product_vjp(d_linear)
            grads.add(self.kernel, d_kernel)
            return d_inputs  # type: ignore[no-any-return]

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        read = self._read(input_shape)
        return read.shape(read.outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            **self._weights_config(),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }


class _Orders(NamedTuple):
    """The orders of axes for one product of rows with a matrix, and their inverses."""

    inner: int  # the number of the kernel's axes that are summed over
    inputs: tuple[int, ...]
    kernel: tuple[int, ...]
    outputs: tuple[int, ...]
    inputs_back: tuple[int, ...]
    kernel_back: tuple[int, ...]
    outputs_back: tuple[int, ...]


@functools.lru_cache(maxsize=256)
def _orders(inputs: str, kernel: str, outputs: str) -> _Orders:
    inner = [letter for letter in kernel if letter not in outputs]
    outer = [letter for letter in kernel if letter in outputs]
    rows = [letter for letter in inputs if letter in outputs]
    made = (*rows, *outer)
    ways = [
        tuple(inputs.index(letter) for letter in (*rows, *inner)),
        tuple(kernel.index(letter) for letter in (*inner, *outer)),
        tuple(made.index(letter) for letter in outputs),
    ]
    backs = [tuple(int(axis) for axis in np.argsort(way)) for way in ways]
    return _Orders(len(inner), *ways, *backs)


def _by_engine(read: Equation, inputs: Array, kernel: Array, call: Call) -> tuple[Array, Any]:
    """The product of rows with a matrix, and the vjp for inputs and kernel."""
    orders = _orders(read.inputs, read.kernel, read.outputs)
    turned, ordered = kernel.transpose(orders.kernel), inputs.transpose(orders.inputs)
    depth = math.prod(turned.shape[: orders.inner])
    weights = DenseWeights(np.ascontiguousarray(turned).reshape(depth, -1))
    flat = np.ascontiguousarray(ordered).reshape(-1, depth)
    linear, saved = dense_forward(weights, flat, call.differentiable)
    shape = ordered.shape[: ordered.ndim - orders.inner] + turned.shape[orders.inner :]
    outputs = linear.reshape(shape).transpose(orders.outputs)

    def vjp(d_outputs: Array) -> tuple[Array | None, Array]:
        d_linear = np.ascontiguousarray(d_outputs.transpose(orders.outputs_back))
        d_flat, d_weights = dense_backward(
            weights, flat, linear, saved, d_linear.reshape(linear.shape), call.inputs_need_gradient
        )
        d_kernel = d_weights[0].reshape(turned.shape).transpose(orders.kernel_back)
        if d_flat is None:
            return None, np.ascontiguousarray(d_kernel)
        d_inputs = d_flat.reshape(ordered.shape).transpose(orders.inputs_back)
        return d_inputs, np.ascontiguousarray(d_kernel)

    return np.ascontiguousarray(outputs), vjp


def _contracted(read: Equation, inputs: Array, kernel: Array, call: Call) -> tuple[Array, Any]:
    """As `_by_engine`, for an axis of inputs and outputs along which kernels differ."""
    forward = f"{read.inputs},{read.kernel}->{read.outputs}"
    left_out = "".join(each for each in read.inputs if each not in read.outputs + read.kernel)
    whole = [axis for axis, each in enumerate(read.inputs) if each in left_out]
    kept = "".join(each for each in read.inputs if each not in left_out)

    def vjp(d_outputs: Array) -> tuple[Array, Array]:
        d_kernel = np.einsum(f"{read.inputs},{read.outputs}->{read.kernel}", inputs, d_outputs)
        d_kept = np.einsum(f"{read.outputs},{read.kernel}->{kept}", d_outputs, kernel)
        d_inputs = np.empty_like(inputs)
        d_inputs[...] = np.expand_dims(d_kept, tuple(whole))
        return d_inputs, d_kernel

    return np.einsum(forward, inputs, kernel), vjp


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient for an array of that shape that was broadcast."""
    front = gradient.ndim - len(shape)
    ones = [axis + front for axis, length in enumerate(shape) if length == 1]
    summed: Array = gradient.sum(axis=(*range(front), *ones), keepdims=True)
    return summed.reshape(shape)
