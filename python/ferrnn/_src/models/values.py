"""What stands for arrays while code is expanded: it must not see what may be any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.programs.sketch import DType
from ferrnn._src.symbolic.symbolic import SymbolicTensor


class _Shape(tuple[int | None, ...]):  # noqa: SLOT001 - tuples cannot have slots
    """A shape whose unknown lengths code must not read: they may be any."""

    recording: Any

    def _see(self, axes: Iterable[int]) -> None:
        if self.recording.layers:
            return  # a layer that is called
        for axis in axes:
            if tuple.__getitem__(self, axis) is None:
                what = "a length that may be any" if axis else "the number of rows"
                raise UnsupportedError(f"a use of {what}")

    def __getitem__(self, index: Any) -> Any:
        axes = range(len(self))[index]
        self._see(axes if isinstance(axes, range) else (axes,))
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[int | None]:
        # That of rows too, but it is seldom used.
        self._see(range(1, len(self)))
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        # Values have the same number of rows.
        self._see(range(int(isinstance(other, _Shape)), len(self)))
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class Value(SymbolicTensor):
    """A value in code that is expanded: calls of layers on it become nodes of a separate graph."""

    takes_layers = True
    _mask = None

    def __init__(self, known: SymbolicTensor, recording: Any) -> None:
        shape = _Shape(known.shape)
        shape.recording = recording
        super().__init__(shape, DType(known.dtype), name="value")
        self._recording = recording

    def recorded_layer(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
        mask: Any,
    ) -> Any:
        return self._recording.call(layer, args, kwargs, training, mask)

    def __getattr__(self, name: str) -> NoReturn:
        # An array may have it: code that asks whether it does must not be told that it does not.
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnsupportedError(f"the attribute {name!r} of a value")
