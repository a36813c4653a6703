"""Ranks, dtypes and lengths that a layer requires of its inputs, checked when it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferrnn._src.tree.tree import flatten


class InputSpec:
    """The rank, dtype and lengths that an input must have; None stands for any.

    A layer whose `input_spec` is one (or a structure of them, one for each input) refuses inputs
    that do not match. `axes` maps axes to lengths. With `allow_last_axis_squeeze`, a last axis of
    length 1 is ignored.

    >>> InputSpec(shape=(None, 3)), InputSpec(min_ndim=2, axes={-1: 4})
    (InputSpec(shape=(None, 3), ndim=2), InputSpec(min_ndim=2, axes={-1: 4}))
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else str(getattr(dtype, "name", dtype))
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name, self.optional = name, optional
        try:
            self.axes = {int(axis): length for axis, length in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise TypeError(
                f"Argument `axes` must be a dict with integer keys. Received: axes={axes}"
            ) from None
        most = self.ndim if self.ndim is not None else max_ndim
        if self.axes and most is not None and max(self.axes) >= most:
            raise ValueError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: {most - 1}"
            )

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        known = {name: getattr(self, name) for name in names}
        return (
            f"InputSpec({', '.join(f'{name}={value}' for name, value in known.items() if value)})"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new spec from what `get_config` returned."""
        return cls(**config)


def check_inputs(spec: Any, inputs: Any, layer: str) -> None:
    """Raises ValueError for inputs that do not match `spec`, one InputSpec or a structure of them.

    >>> import numpy as np
    >>> check_inputs(InputSpec(ndim=2), np.zeros((1, 2)), "dense")
    """
    specs = flatten(spec)
    given = flatten(_by_name(specs, inputs, layer))
    if len(given) != len(specs):
        raise ValueError(
            f'Layer "{layer}" expects {len(specs)} input(s), but it received {len(given)} input '
            "tensors."
        )
    for index, (each, one) in enumerate(zip(given, specs, strict=True)):
        if one is None or (each is None and one.optional):
            continue
        if not hasattr(each, "shape"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got {each!r} (of type "
                f"{type(each).__name__}) as input for layer {layer!r}."
            )
        wrong = _wrong(one, tuple(each.shape), getattr(each, "dtype", None))
        if wrong is not None:
            raise ValueError(
                f"Input {index} with name {one.name!r} of layer {layer!r} is incompatible with the "
                f"layer: {wrong}. Full shape received: {tuple(each.shape)}"
            )


def _by_name(specs: list[Any], inputs: Any, layer: str) -> Any:
    names = [spec.name for spec in specs if spec is not None]
    if not isinstance(inputs, dict) or len(names) < len(specs) or not all(names):
        return inputs
    missing = [name for name in names if name not in inputs]
    if missing:
        raise ValueError(
            f'Missing data for input "{missing[0]}" of layer {layer!r}. You passed a data '
            f"dictionary with keys {list(inputs)}. Expected the following keys: {names}"
        )
    return [inputs[name] for name in names]


def _wrong(spec: InputSpec, shape: tuple[int | None, ...], dtype: Any) -> str | None:
    """Says how an input of this shape and dtype differs from a spec; None if it matches."""
    ndim, found = len(shape), str(getattr(dtype, "name", dtype))
    checks = [
        (None if spec.allow_last_axis_squeeze else spec.ndim, ndim, "ndim"),
        (spec.max_ndim and max(spec.max_ndim, ndim), spec.max_ndim, "max_ndim"),
        (spec.min_ndim and min(spec.min_ndim, ndim), spec.min_ndim, "min_ndim"),
    ]
    for wanted, have, name in checks:
        if wanted is not None and wanted != have:
            return f"expected {name}={getattr(spec, name)}, found ndim={ndim}"
    if spec.dtype not in (None, found):
        return f"expected dtype={spec.dtype}, found dtype={found}"
    for axis, length in spec.axes.items():
        if length is not None and (not -ndim <= axis < ndim or shape[axis] not in (length, None)):
            return f"expected axis {axis} of input shape to have value {length}"
    return None if _fits(spec, shape) else f"expected shape={spec.shape}, found shape={shape}"


def _fits(spec: InputSpec, shape: tuple[int | None, ...]) -> bool:
    if spec.shape is None:
        return True
    wanted, have = spec.shape, shape
    if spec.allow_last_axis_squeeze:
        wanted, have = _squeezed(wanted), _squeezed(have)
    pairs = zip(wanted, have, strict=False)
    return len(wanted) == len(have) and all(a is None or b is None or a == b for a, b in pairs)


def _squeezed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return shape[:-1] if shape and shape[-1] == 1 else shape
