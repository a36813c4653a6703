"""The instructions of the engine's programs: their parts in its order, what they read and write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

# A register, the first element in a row, and the elements between neighbours of three axes.
Operand: TypeAlias = "tuple[int, int, tuple[int, ...]]"
# The lengths of three axes.
Counts: TypeAlias = "tuple[int, ...]"


@dataclass(frozen=True)
class Instruction:
    """What is done to registers. A part that names one is its number, or a tuple with it first.

    >>> total = SumRows(dest=3, source=4)
    >>> total.writes, list(total.reads), total.reading(4, 5).told()
    (3, [4], ('sum_rows', (3, 5)))
    """

    name: ClassVar[str]
    sources_in: ClassVar[tuple[str, ...]]  # the parts that name what is read

    def told(self) -> tuple[str, tuple[Any, ...]]:
        """The instruction as the engine takes it."""
        return self.name, tuple(vars(self).values())

    @property
    def writes(self) -> int:
        """The register that it writes."""
        (register,) = _registers(vars(self)["dest"])
        return register

    @property
    def reads(self) -> Iterator[int]:
        """The registers that it reads, as often as it does."""
        return (each for part in self.sources_in for each in _registers(vars(self)[part]))

    def reading(self, old: int, new: int) -> Instruction:
        """The same instruction, which reads one register where this one reads another."""
        parts = {part: _swapped(vars(self)[part], old, new) for part in self.sources_in}
        return replace(self, **parts)


@dataclass(frozen=True)
class Map(Instruction):
    """`dest = op(sources)`, element by element, or added to it."""

    name, sources_in = "map", ("sources",)
    op: str
    accumulate: bool
    counts: Counts
    dest: Operand
    sources: list[Operand]


@dataclass(frozen=True)
class Reduce(Instruction):
    """`dest[outer][inner] = join of source[outer][..][inner]`, or added to it."""

    name, sources_in = "reduce", ("source",)
    join: str
    accumulate: bool
    counts: Counts
    dest: Operand
    source: Operand


@dataclass(frozen=True)
class Product(Instruction):
    """`dest [rows, columns] = left [rows, depth] · matrix [depth, columns]`, or added to it.

    `left` begins at an offset, `shape` is rows, depth and columns; the matrix may be transposed.
    """

    name, sources_in = "product", ("left", "matrix")
    dest: int
    left: tuple[int, int]
    shape: Counts
    matrix: tuple[int, bool]
    accumulate: bool


@dataclass(frozen=True)
class Outer(Instruction):
    """`dest [depth, columns] += left^T [depth, rows] · right [rows, columns]`, over steps and rows.

    `left` begins at an offset, `shape` is rows, depth and columns.
    """

    name, sources_in = "outer", ("left", "right")
    dest: int
    left: tuple[int, int]
    right: int
    shape: Counts


@dataclass(frozen=True)
class SumRows(Instruction):
    """`dest += source`, summed over all rows."""

    name, sources_in = "sum_rows", ("source",)
    dest: int
    source: int


def _registers(part: Any) -> Iterator[int]:
    if isinstance(part, list):
        for each in part:
            yield from _registers(each)
    else:
        yield part[0] if isinstance(part, tuple) else part


def _swapped(part: Any, old: int, new: int) -> Any:
    if isinstance(part, list):
        return [_swapped(each, old, new) for each in part]
    if isinstance(part, tuple):
        return (new, *part[1:]) if part[0] == old else part
    return new if part == old else part
