"""Traced code as instructions on registers, of which the engine's programs consist.

A value of one row is a register of the engine, or some of it: a `View`. Values are of two levels:
those that depend on weights alone are computed once, the others step by step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.programs.instructions import Instruction, Map, Product, Reduce
from ferrnn._src.tree.types import Array

FIXED, STEP = range(2)
# The sections of a program: forward by level, back by level, and the sums over steps between them.
# (The engine has one more: what `hoisting` takes out of the steps.)
BACK = {STEP: 2, FIXED: 4}
SUMS = 3
SECTIONS = 5
# Axes of an instruction's loops.
_AXES = 3


class UnsupportedError(Exception):
    """What the engine's programs do not have, in words."""


@dataclass(frozen=True)
class View:
    """Some elements of a register's row: `shape` from `offset` on, `strides` elements apart.

    A value that is fixed has no batch; of others the shape is that of one row.
    """

    register: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    is_bool: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether the elements lie side by side, in order."""
        return all(
            length == 1 or stride == wanted
            for length, stride, wanted in zip(
                self.shape, self.strides, dense(self.shape), strict=True
            )
        )

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """The same elements, repeated along axes that are missing or of length one."""
        extra = len(shape) - len(self.shape)
        old = (1,) * extra + self.shape
        if extra < 0 or any(n not in (1, m) for n, m in zip(old, shape, strict=True)):
            raise UnsupportedError(f"shapes {self.shape} and {shape} that do not broadcast")
        strides = (0,) * extra + self.strides
        repeated = (0 if n == 1 else s for n, s in zip(old, strides, strict=True))
        return replace(self, shape=shape, strides=tuple(repeated))


def dense(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of elements that lie side by side.

    >>> dense((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[at + 1 :]) for at in range(len(shape)))


# (gradients so far, gradient of the value) adds to the gradients.
Back: TypeAlias = Callable[[Any, View], None]


@dataclass
class Step:
    """One value of the trace: all of a register, its level, and its backward rule.

    A backward rule that takes spread gradients works on gradients whose elements are all the same.
    """

    view: View
    level: int
    back: Back
    takes_spread: bool

    @property
    def register(self) -> int:
        """The register of the value."""
        return self.view.register


@dataclass
class Recorder:
    """Registers and instructions so far. Those of `apart` are summed by themselves.

    `widths`, `levels` and `wanted` are the registers': elements of a row, level, and whether a
    gradient of them is of use. `given` are the arrays of registers that are constants.
    """

    dtype: np.dtype[Any]
    widths: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    wanted: list[bool] = field(default_factory=list)
    given: dict[int, Array] = field(default_factory=dict)
    sections: list[list[Instruction]] = field(default_factory=lambda: [[] for _ in range(SECTIONS)])
    tape: list[Step] = field(default_factory=list)
    touched: list[set[int]] = field(default_factory=list)
    numbers: dict[float, View] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)

    def register(self, width: int, level: int, wanted: bool = False) -> int:
        """A new register."""
        if not width:
            raise UnsupportedError("an array without elements")
        self.widths.append(width)
        self.levels.append(level)
        self.wanted.append(wanted)
        self.touched.append(set())
        return len(self.widths) - 1

    def value(self, shape: Sequence[int], level: int, wanted: bool = False) -> View:
        """A new register for a value of that shape."""
        shape = tuple(shape)
        return View(self.register(math.prod(shape), level, wanted), shape, dense(shape))

    def constant(self, array: Array) -> View:
        """An array that is the same for all rows and calls."""
        if array.dtype.kind not in "fiub":
            raise UnsupportedError(f"an array of the dtype {array.dtype}")
        if array.size == 1:
            return self.number(float(array.reshape(()))).broadcast(array.shape)
        view = self.value(array.shape, FIXED)
        self.given[view.register] = np.ascontiguousarray(array, self.dtype)
        return replace(view, is_bool=array.dtype.kind == "b")

    def number(self, value: float) -> View:
        """A number, as a view without axes."""
        known = self.numbers.get(value)
        if known is None or math.isnan(value):
            known = self.numbers[value] = self.value((), FIXED)
            self.given[known.register] = np.array([value], self.dtype)
        return known

    def level(self, *views: View) -> int:
        """The level of what depends on all of them."""
        return max(self.levels[view.register] for view in views)

    def wants(self, *views: View) -> bool:
        """Whether the gradient of any of them is of use."""
        return any(self.wanted[view.register] for view in views)

    def whole(self, view: View) -> bool:
        """Whether a view is all of its register, in order."""
        return view.is_dense and view.size == self.widths[view.register]

    # Instructions.

    def put(self, section: int, instruction: Instruction) -> None:
        """Adds an instruction to a section."""
        for register in (instruction.writes, *instruction.reads):
            self.touched[register].add(section)
        self.sections[section].append(instruction)

    def write(
        self, section: int, op: str, dest: View, sources: Sequence[View], *, add: bool = False
    ) -> None:
        """`dest = op(sources)` in a section, or added to it; shapes are the destination's."""
        views = [dest, *(source.broadcast(dest.shape) for source in sources)]
        counts, strides = _loops(dest.shape, [view.strides for view in views])
        to, *operands = (
            (view.register, view.offset, by) for view, by in zip(views, strides, strict=True)
        )
        self.put(section, Map(op, add, counts, to, operands))

    def map(self, op: str, *sources: View, section: int | None = None) -> View:
        """A new value `op(sources)`, without a gradient."""
        shape = np.broadcast_shapes(*(source.shape for source in sources))
        level = self.level(*sources)
        view = self.value(shape, level, self.wants(*sources))
        self.write(level if section is None else section, op, view, sources)
        return view

    def copied(self, view: View, level: int | None = None, section: int | None = None) -> View:
        """The same elements as a whole register, of that level at least."""
        level = max(self.level(view), FIXED if level is None else level)
        copy = self.value(view.shape, level, self.wants(view))
        self.write(level if section is None else section, "copy", copy, [view])
        return replace(copy, is_bool=view.is_bool)

    def reduced(
        self, join: str, view: View, axes: Sequence[int], section: int | None = None
    ) -> View:
        """The sum or an extreme over neighbouring axes, which stay with length one."""
        first, last = min(axes), max(axes) + 1
        groups = [view.shape[:first], view.shape[first:last], view.shape[last:]]
        by = [view.strides[:first], view.strides[first:last], view.strides[last:]]
        before, along, after = map(_merged, groups, by)
        if before is None or along is None or after not in (0, 1):
            return self.reduced(join, self.copied(view, section=section), axes, section)
        shape = (*groups[0], *(1 for _ in groups[1]), *groups[2])
        level = self.level(view)
        out = self.value(shape, level, self.wants(view))
        outer, length, inner = map(math.prod, groups)
        if inner > 1 and after != 1:
            return self.reduced(join, self.copied(view, section=section), axes, section)
        to = (out.register, 0, (inner, 0, 1))
        source = (view.register, view.offset, (before, along, 1))
        reduction = Reduce(join, False, (outer, length, inner), to, source)
        self.put(level if section is None else section, reduction)
        return out

    def multiplied(
        self,
        left: View,
        matrix: int,
        columns: int,
        *,
        transposed: bool = False,
        section: int | None = None,
    ) -> View:
        """`left [..., depth]` times a whole register `[depth, columns]`, or its transpose."""
        if not left.is_dense:
            left = self.copied(left, section=section)
        out = self.value((*left.shape[:-1], columns), STEP, True)
        shape = (math.prod(left.shape[:-1]), left.shape[-1], columns)
        begin = (left.register, left.offset)
        product = Product(out.register, begin, shape, (matrix, transposed), False)
        self.put(STEP if section is None else section, product)
        return out


def _merged(shape: Sequence[int], strides: Sequence[int]) -> int | None:
    """The one stride of several axes in order; None if there is none."""
    pairs = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    for (_, outer), (length, inner) in pairwise(pairs):
        if outer != length * inner:
            return None
    return pairs[-1][1] if pairs else 0


def _loops(
    shape: tuple[int, ...], strides: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """As few axes as will do for operands of those strides: three lengths, three strides each."""
    counts: list[int] = []
    by: list[tuple[int, ...]] = []
    for length, *steps in zip(shape, *strides, strict=True):
        if length == 1:
            continue
        if counts and all(
            outer == length * inner for outer, inner in zip(by[-1], steps, strict=True)
        ):
            counts[-1] *= length
            by[-1] = tuple(steps)
        else:
            counts.append(length)
            by.append(tuple(steps))
    if not by or by[-1][0] != 1 or any(step not in (0, 1) for step in by[-1]):
        counts.append(1)
        by.append((1, *(0 for _ in strides[1:])))
    if len(counts) > _AXES:
        raise UnsupportedError(f"an operation along {len(counts)} axes")
    missing = _AXES - len(counts)
    lengths = (1,) * missing + tuple(counts)
    return lengths, [(0,) * missing + tuple(steps[n] for steps in by) for n in range(len(strides))]
