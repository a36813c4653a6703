"""Numbers as categories: ids as vectors, and values by the interval that they lie in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.adapting import batches_of_data
from ferrnn._src.layers.encoding import checked_mode, encoded, encoded_shape, refuse_sparse
from ferrnn._src.tree.types import Array


class CategoryEncoding(Layer):
    """Ids from 0 to `num_tokens - 1` as vectors `[..., num_tokens]`.

    "one_hot" gives a vector for each id, "multi_hot" and "count" one for the ids along the last
    axis: whether each is there, or how often. `count_weights` of a call, of the shape of the ids,
    say how much each counts.

    >>> CategoryEncoding(num_tokens=4)(np.array([[0, 1], [3, 3]])).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    >>> layer = CategoryEncoding(num_tokens=2, output_mode="count")
    >>> layer(np.array([0, 1, 0]), count_weights=np.array([0.5, 3.0, 1.0])).tolist()
    [1.5, 3.0]
    """

    supports_masking = False

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse_sparse(sparse)
        self.sparse = False
        self.output_mode = checked_mode(
            output_mode, ("count", "one_hot", "multi_hot"), "CategoryEncoding"
        )
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer. If the number of tokens is not known "
                "beforehand, use the IntegerLookup layer instead."
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self.num_tokens = int(num_tokens)

    def gather(self, inputs: Any, count_weights: Any = None) -> Any:
        """The ids, or a tuple of the ids and their weights."""
        if count_weights is None:
            return inputs
        if self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. "
                f"Received `count_weights={count_weights}`."
            )
        return inputs, count_weights

    def main_input(self, inputs: Any) -> Any:
        return inputs[0] if isinstance(inputs, tuple) else inputs

    def cast_inputs(self, inputs: Any) -> Any:
        """Ids as integers, weights in the layer's dtype."""
        if isinstance(inputs, tuple):
            ids, weights = inputs
            return self.cast_inputs(ids), self.cast_array(weights, "count_weights")
        array = np.asarray(inputs)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"`inputs` of layer {self.name!r} must hold integers, received the dtype "
                f"{array.dtype}"
            )
        return array if array.dtype.kind == "i" else array.astype(np.int64)

    def forward(self, inputs: Any, call: Call) -> tuple[Array, Vjp | None]:
        """Vectors `[..., num_tokens]` and a vjp: ids have no gradient, weights have one."""
        ids, weights = inputs if isinstance(inputs, tuple) else (inputs, None)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.num_tokens:
            raise ValueError(
                f"the inputs of layer {self.name!r} must be ids from 0 to num_tokens - 1 = "
                f"{self.num_tokens - 1}, received ids from {ids.min()} to {ids.max()}"
            )
        if weights is not None and weights.shape != ids.shape:
            raise ValueError(
                f"`count_weights` of layer {self.name!r} must have the shape {ids.shape} of the "
                f"inputs, received {weights.shape}"
            )
        outputs = encoded(ids, self.output_mode, self.num_tokens, self._float, weights)
        if weights is None:
            return outputs, lambda d_outputs, grads: None

        def vjp(d_outputs: Array, grads: Any) -> tuple[None, Array]:
            rows = np.asarray(d_outputs).reshape(-1, self.num_tokens)
            places = ids.reshape(len(rows), -1)
            return None, np.take_along_axis(rows, places, axis=1).reshape(ids.shape)

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        own = {"num_tokens": self.num_tokens, "output_mode": self.output_mode}
        return {**super().get_config(), **own}


class Discretization(Layer):
    """Numbers to the index of the interval between `bin_boundaries` that they lie in.

    A number on a boundary belongs to the interval above. `adapt` finds boundaries of `num_bins`
    intervals that hold about as many numbers each, to within `epsilon` of them. `output_mode` is
    "int", or makes vectors of the indices as `CategoryEncoding` does.

    >>> Discretization([0.0, 1.0, 2.0])(np.array([-1.5, 1.0, 3.4, 0.5])).tolist()
    [0, 2, 3, 1]
    >>> layer = Discretization(num_bins=4)
    >>> layer.adapt(np.arange(100.0))
    >>> [round(each) for each in layer.bin_boundaries]
    [24, 49, 74]
    """

    supports_masking = False

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        refuse_sparse(sparse)
        self.sparse = False
        self.output_mode = checked_mode(
            output_mode, ("int", "one_hot", "multi_hot", "count"), "Discretization"
        )
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                f"`num_bins` must be greater than or equal to 0. Received: `num_bins={num_bins}`"
            )
        if (num_bins is None) == (bin_boundaries is None):
            both = "Both `num_bins` and `bin_boundaries` should not be set"
            neither = "You need to set either `num_bins` or `bin_boundaries`"
            raise ValueError(
                f"{neither if num_bins is None else both}. Received: `num_bins={num_bins}` and "
                f"`bin_boundaries={bin_boundaries}`"
            )
        self.bin_boundaries = None if bin_boundaries is None else list(bin_boundaries)
        self.num_bins, self.epsilon = num_bins, float(epsilon)
        self._summary = np.zeros((2, 0), np.float32)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds the boundaries in `data`: an array, or an iterable of batches of arrays."""
        if self.num_bins is None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with "
                "`bin_boundaries`, use `num_bins` instead."
            )
        self.reset_state()
        for batch in itertools.islice(batches_of_data(data, self.name), steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the summary of the data."""
        merged = np.concatenate([_summary(data, self.epsilon), self._summary], axis=1)
        order = np.argsort(merged[0], kind="stable")
        self._summary = _compressed(merged[:, order], self.epsilon)

    def finalize_state(self) -> None:
        """Computes the boundaries from the summary of the data."""
        if self.num_bins and self._summary.size:
            made = _compressed(self._summary, 1.0 / self.num_bins)
            self.bin_boundaries = made[0, :-1].tolist()

    def reset_state(self) -> None:
        """Discards the summary of the data."""
        self._summary = np.zeros((2, 0), np.float32)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Indices, or vectors of them; the inputs have no gradient."""
        if self.bin_boundaries is None:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument at construction time or "
                "call `adapt(dataset)` before you can start using the `Discretization` layer."
            )
        indices = np.digitize(inputs, self.bin_boundaries)
        if self.output_mode == "int":
            return indices.astype(np.int32), lambda d_outputs, grads: None
        depth = len(self.bin_boundaries) + 1
        made = encoded(indices, self.output_mode, depth, self._float)
        return made, lambda d_outputs, grads: None

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        known = self.bin_boundaries
        depth = self.num_bins if known is None else len(known) + 1
        return encoded_shape(input_shape, self.output_mode, depth)

    def compute_output_dtype(self) -> str:
        return "int32" if self.output_mode == "int" else self.dtype

    @property
    def output_dtype(self) -> str:
        """The dtype of the outputs."""
        return self.compute_output_dtype()

    def get_config(self) -> dict[str, Any]:
        return {  # Keras' configuration has no `trainable`
            "name": self.name,
            "dtype": self.dtype,
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": False,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer; one that was adapted has both a number of bins and their boundaries."""
        given: Mapping[str, Any] = config
        boundaries = config.get("bin_boundaries") if config.get("num_bins") is not None else None
        if boundaries is not None:
            given = {key: value for key, value in config.items() if key != "bin_boundaries"}
        made = cls(**given)
        if boundaries is not None:
            made.bin_boundaries = list(boundaries)
        return made


def _summary(data: Any, epsilon: float) -> Array:
    """About `1 / epsilon` of the values in order, and how many values each stands for."""
    values = np.sort(np.asarray(data, np.float32).ravel())
    each = max(values.size * epsilon, 1.0)
    chosen = values[int(each - 1) :: int(each)]
    return np.stack([chosen, np.full(chosen.shape, each, np.float32)])


def _compressed(summary: Array, share: float) -> Array:
    """A shorter summary, of values that each stand for about `share` of the data."""
    if summary.shape[1] * share < 1:
        return summary
    values, counts = summary
    so_far = counts.cumsum()
    wanted = share + np.arange(0.0, 1.0, share)
    parts = so_far / so_far[-1]
    found = np.interp(wanted, parts, so_far)
    made = np.stack([np.interp(wanted, parts, values), np.diff(found, prepend=0.0)])
    return made.astype(np.float32)
