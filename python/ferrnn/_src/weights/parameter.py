"""A layer's weights, and their gradients."""

from __future__ import annotations

import itertools
import operator
from collections.abc import ItemsView, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, DTypeLike

from ferrnn._src.configs.names import path_of
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version

# One counter for all parameters: a version names one write of one parameter, so that a cache may
# keep versions without keeping parameters.
_versions = itertools.count(1)
_VERSION = itertools.repeat("version")
_data_of = operator.attrgetter("_data")


class _Structure:
    version = 0
    assignments = 0


def note_change() -> None:
    """Counts up `structure_version`: weights were made, or other weights are trainable now."""
    _Structure.version += 1


def structure_version() -> int:
    """A number that `note_change` counts up; a plan is valid as long as it does not change.

    >>> before = structure_version()
    >>> Parameter([1.0], "weight").trainable = False
    >>> structure_version() > before
    True
    """
    return _Structure.version


def assignments() -> int:
    """How often parameters were given other arrays; read it as a holder of `one_version`.

    >>> before, bias = assignments(), Parameter([1.0], "bias")
    >>> bias.assign([2.0])
    >>> assignments() > before
    True
    """
    return _Structure.assignments


# NumPy 1's mixin has no `__slots__`, and so has a slot for weak references already.
_REFERENCES = () if hasattr(NDArrayOperatorsMixin, "__weakref__") else ("__weakref__",)


class Parameter(NDArrayOperatorsMixin):
    """An array that training changes; readers see it read-only, and every write has a version.

    Operators and NumPy's functions take its value. In traced code (see `ferrnn.ops`) it
    stands for itself, so that it gets a gradient.

    >>> kernel = Parameter([[1.0, 2.0]], "kernel")
    >>> kernel.shape, kernel.dtype.name, kernel.value.flags.writeable
    ((1, 2), 'float64', False)
    >>> before = kernel.version
    >>> kernel.assign([[3.0, 4.0]])
    >>> kernel.numpy().tolist(), kernel.version > before
    ([[3.0, 4.0]], True)
    """

    __slots__ = (
        *_REFERENCES,
        "_data",
        "_snapshot",
        "_trainable",
        "_view",
        "constraint",
        "name",
        "path",
        "regularizer",
        "version",
    )

    _data: Array
    _trainable: bool
    _view: Array
    _snapshot: tuple[int, Array] | None  # the version that was copied, and the copy

    def __init__(
        self,
        value: ArrayLike,
        name: str,
        *,
        trainable: bool = True,
        path: str | None = None,
        dtype: DTypeLike | None = None,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
        self.name = name
        self.regularizer, self.constraint = regularizer, constraint
        self.path = path_of(name) if path is None else path
        self.trainable = trainable
        self._replace(np.array(value, dtype=dtype, order="C"))

    def _replace(self, data: Array) -> None:
        view = data.view()
        view.flags.writeable = False
        self._data, self._view, self._snapshot = data, view, None
        self._changed()

    def _changed(self) -> None:
        self.version = next(_versions)

    @property
    def trainable(self) -> bool:
        """Whether training changes the weight."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        note_change()

    @property
    def value(self) -> Array:
        """A read-only view of the array; in traced code, a traced array."""
        trace = tracing.current.get()
        return self._view if trace is None else trace.parameter(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's dtype."""
        return self._data.dtype

    def numpy(self) -> Array:
        """A copy of the array."""
        tracing.leaving("the numbers of a weight")
        return np.array(self._data)

    def assign(self, value: ArrayLike | Parameter) -> None:
        """Takes a new value of the same shape, cast to the parameter's dtype."""
        tracing.leaving("an assignment to a weight")
        value = value._view if isinstance(value, Parameter) else tracing.plain(value)
        data = np.array(value, order="C")
        if data.shape != self.shape:
            raise ValueError(
                f"`value` for the weight {self.path!r} must have the shape {self.shape}, "
                f"received {data.shape}"
            )
        if data.dtype.kind not in "fiub":
            raise TypeError(
                f"`value` for the weight {self.path!r} must hold real numbers, "
                f"received the dtype {data.dtype}"
            )
        data = data.astype(self.dtype, copy=False)
        with one_version():
            self._replace(data)
            _Structure.assignments += 1

    def snapshot(self) -> Array:
        """A read-only copy that no later write changes, for a vjp to keep; one for each version."""
        kept = self._snapshot
        if kept is None or kept[0] != self.version:
            copy = np.array(self._data)
            copy.flags.writeable = False
            kept = self._snapshot = (self.version, copy)
        return kept[1]

    def writing(self) -> Writing:
        """A writable view, for an update in place; leaving the block makes a new version."""
        return Writing(self)

    def assign_add(self, value: ArrayLike | Parameter) -> None:
        """Adds `value` to the array."""
        self.assign(self._view + tracing.plain(value))

    def assign_sub(self, value: ArrayLike | Parameter) -> None:
        """Subtracts `value` from the array."""
        self.assign(self._view - tracing.plain(value))

    __hash__ = object.__hash__

    # Parameters are equal only if they are the same object, so that lists can be searched for them.

    def __eq__(self, other: object) -> Any:
        return self is other if isinstance(other, Parameter) else super().__eq__(other)

    def __ne__(self, other: object) -> Any:
        return self is not other if isinstance(other, Parameter) else super().__ne__(other)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        trace = tracing.current.get()
        if trace is not None:
            return trace.ufunc(ufunc, method, inputs, options)
        plain = [part._view if isinstance(part, Parameter) else part for part in inputs]
        return as_output(getattr(ufunc, method)(*plain, **options))

    def __getitem__(self, index: Any) -> Any:
        return as_output(self.value[index])

    def __iter__(self) -> Iterator[Any]:
        return map(as_output, self.value)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.trainable and tracing.current.get() is not None:
            raise TypeError(
                "numpy.asarray (or another NumPy function that makes an array) of the weight "
                f"{self.path!r} would cut its gradient: use the functions of `ferrnn.ops`, or "
                "`ops.stop_gradient(weight)` where no gradient is wanted"
            )
        tracing.leaving("the numbers of a weight")
        if copy is None:  # NumPy 1 does not take None for "copy if needed"
            return np.asarray(self._view, dtype)
        return np.array(self._view, dtype=dtype, copy=copy)

    # The state is set after the object is made, as a regularizer may refer back to the layer. The
    # view and the version are not copied; attributes of subclasses are.

    def __reduce__(self) -> Any:
        kept = {name: getattr(self, name) for name in _KEPT}
        return _empty, (type(self),), {**getattr(self, "__dict__", {}), **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if name != "_data":
                setattr(self, name, value)
        self._replace(np.array(state["_data"], order="C"))
        note_change()

    def __len__(self) -> int:
        return len(self._data)

    def __float__(self) -> float:
        return float(np.asarray(self))

    def __int__(self) -> int:
        return int(np.asarray(self))

    def __repr__(self) -> str:
        return f"<Parameter path={self.path} shape={self.shape} dtype={self.dtype}>"


class Writing:
    """The context of `Parameter.writing`; one of `contextlib` would take three times as long.

    >>> bias = Parameter([1.0, 2.0], "bias")
    >>> with bias.writing() as array:
    ...     array *= 2
    >>> bias.numpy().tolist()
    [2.0, 4.0]
    """

    __slots__ = ("_lock", "_parameter")

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def __enter__(self) -> Array:
        self._lock = one_version()
        self._lock.acquire()
        return self._parameter._data

    def __exit__(self, *raised: object) -> None:
        self._parameter._changed()
        self._lock.release()


class WritingAll:
    """Writable views of several parameters at once; leaving the block makes a new version of each.

    >>> weights = [Parameter([1.0], "a"), Parameter([2.0], "b")]
    >>> with WritingAll(weights) as arrays:
    ...     arrays[1] += 1
    >>> [weight.numpy().tolist() for weight in weights]
    [[1.0], [3.0]]
    """

    __slots__ = ("_lock", "_parameters")

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._parameters = list(parameters)

    def __enter__(self) -> list[Array]:
        self._lock = one_version()
        self._lock.acquire()
        return list(map(_data_of, self._parameters))

    def __exit__(self, *raised: object) -> None:
        written(self._parameters)
        self._lock.release()


def written(parameters: Iterable[Parameter]) -> None:
    """Makes a new version of each weight, after writing them; the caller must hold `one_version`.

    >>> bias = Parameter([1.0], "bias")
    >>> before = bias.version
    >>> written([bias])
    >>> bias.version > before
    True
    """
    # A loop takes ten times the instructions, in every update. `setattr` gives None, so that `any`
    # goes through them all; the counter is asked only when there is another parameter.
    any(map(setattr, parameters, _VERSION, _versions))


_KEPT = ("_data", "_trainable", "constraint", "name", "path", "regularizer")


def _empty(kind: type[Parameter]) -> Parameter:
    """An empty parameter, for a pickle or a copy to set its state."""
    return kind.__new__(kind)


class Gradients:
    """Gradients of a scalar for parameters, summed over every use of a parameter.

    >>> bias = Parameter([0.0, 0.0], "bias")
    >>> grads = Gradients()
    >>> grads.add(bias, np.array([1.0, 2.0]))
    >>> grads.add(bias, np.array([1.0, 1.0]))
    >>> grads[bias].tolist(), len(grads)
    ([2.0, 3.0], 1)
    """

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[Parameter, Array] = {}

    def add(self, parameter: Parameter, gradient: Array) -> None:
        """Adds `gradient` to the sum; never writes to an array that was given."""
        if gradient.shape != parameter._data.shape:
            raise ValueError(
                f"`gradient` for the weight {parameter.path!r} must have the shape "
                f"{parameter.shape}, received {gradient.shape}"
            )
        known = self._sums.get(parameter)
        self._sums[parameter] = gradient if known is None else known + gradient

    def times(self, factor: float) -> Gradients:
        """Gradients of the scalar times `factor`."""
        scaled = Gradients()
        for parameter, gradient in self._sums.items():
            scaled.add(parameter, np.asarray(gradient * factor))
        return scaled

    def __getitem__(self, parameter: Parameter) -> Array:
        try:
            return self._sums[parameter]
        except KeyError:
            raise KeyError(f"no gradient for the weight {parameter.path!r}") from None

    def get(self, parameter: Parameter, default: Array | None = None) -> Array | None:
        """The gradient for `parameter`, or `default`."""
        return self._sums.get(parameter, default)

    def of(self, parameters: Iterable[Parameter]) -> list[Array] | None:
        """The gradients for these parameters, or None if one of them has no gradient."""
        try:
            return list(map(self._sums.__getitem__, parameters))
        except KeyError:
            return None

    def items(self) -> ItemsView[Parameter, Array]:
        """Pairs of parameter and gradient, in order of first use."""
        return self._sums.items()

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._sums)

    def __contains__(self, parameter: object) -> bool:
        return parameter in self._sums

    def __len__(self) -> int:
        return len(self._sums)
