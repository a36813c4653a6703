"""Stand-ins for arrays that are not there yet."""

from __future__ import annotations

from ferrnn.core.names import unique_name
from ferrnn.core.types import Shape


class SymbolicTensor:
    """The shape, dtype and name of an array to come; `None` stands for a length not known yet.

    >>> SymbolicTensor((None, 10, 3), "float32", name="series")
    <SymbolicTensor name=series shape=(None, 10, 3) dtype=float32>
    """

    def __init__(self, shape: Shape, dtype: str, name: str | None = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = unique_name("input_layer") if name is None else name

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor name={self.name} shape={self.shape} dtype={self.dtype}>"
