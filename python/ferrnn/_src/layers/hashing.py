"""Strings and integers to buckets by their hashes, without a vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.encoding import checked_mode, encoded, encoded_shape, refuse_sparse
from ferrnn._src.layers.fingerprints import bucket_of, checked_key
from ferrnn._src.tree.types import Array

_MODES = ("int", "one_hot", "multi_hot", "count")


class Hashing(Layer):
    """Strings or integers `[...]` to numbers from 0 to `num_bins - 1`, by a hash of their text.

    The buckets are those of Keras and TensorFlow: by FarmHash or, with a `salt` (a number, or a
    pair of them), by SipHash. `mask_value` has bucket 0 to itself. Numbers are truncated to
    integers. `output_mode` is "int", or makes vectors of the buckets as `CategoryEncoding` does.

    >>> Hashing(num_bins=3)(np.array([["A"], ["B"], ["E"]])).tolist()
    [[1], [0], [2]]
    >>> Hashing(3, mask_value="", output_mode="count")(np.array(["A", "", "A"])).tolist()
    [1.0, 2.0, 0.0]
    """

    supports_masking = False

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        mode = checked_mode(output_mode, _MODES, "Hashing")
        dtype = kwargs.pop("dtype", None) or ("int64" if mode == "int" else floatx())
        # Files hold a policy.
        named = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
        dtype = str(getattr(named, "name", named))
        super().__init__(**kwargs, dtype=None if mode == "int" else dtype)
        refuse_sparse(sparse)
        if type(num_bins) is not int or num_bins <= 0:
            raise ValueError(
                "The `num_bins` for `Hashing` cannot be `None` or non-positive values. "
                f"Received: num_bins={num_bins}."
            )
        if mode == "int" and dtype not in ("int32", "int64"):
            raise ValueError(
                "When `output_mode=\"int\"`, `dtype` should be an integer type, 'int32' or "
                f"'int64'. Received: dtype={dtype}"
            )
        self.num_bins, self.mask_value, self.output_mode = num_bins, mask_value, mode
        key = checked_key(salt, "Hashing")
        self.salt = None if key is None else list(key)
        self._numbers = dtype

    def cast_inputs(self, inputs: Any) -> Array:
        """`inputs` as an array of strings or integers."""
        array = inputs if type(inputs) is np.ndarray else np.asarray(inputs)
        if array.dtype.kind == "f":
            return array.astype(np.int64)
        if array.dtype.kind not in "UOSTiub":
            raise TypeError(
                f"`inputs` of layer {self.name!r} must hold strings or integers, received the "
                f"dtype {array.dtype}"
            )
        return array

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Buckets or vectors of them; the inputs have no gradient."""
        masked = self.mask_value is not None and self.num_bins > 1
        buckets = self.num_bins - masked
        key = None if self.salt is None else (self.salt[0], self.salt[1])
        tokens = [_text(token) for token in inputs.ravel().tolist()]
        known = {token: bucket_of(token, buckets, key) + masked for token in set(tokens)}
        if masked:
            known[_text(self.mask_value)] = 0
        found = np.array([known[token] for token in tokens], np.int64).reshape(inputs.shape)
        if self.output_mode == "int":
            return found.astype(self._numbers, copy=False), _no_gradient
        return encoded(found, self.output_mode, self.num_bins, self._numbers), _no_gradient

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "int":
            return tuple(input_shape)
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def compute_output_dtype(self) -> str:
        return self._numbers

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dtype": self._numbers,
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": False,
        }


def _text(token: Any) -> str:
    if isinstance(token, bytes):
        return token.decode("utf-8", "surrogateescape")
    return str(int(token)) if isinstance(token, bool) else str(token)


def _no_gradient(d_outputs: Any, grads: Any) -> None:
    """The vjp of outputs without derivatives: the inputs have no gradient."""
