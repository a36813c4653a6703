"""The backward pass of recorded code: instructions that compute gradients, from last to first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferrnn._src.programs.instructions import SumRows
from ferrnn._src.programs.recorder import BACK, FIXED, STEP, Recorder, Step, View, dense


class Adjoints:
    """Gradients of registers, as far as they are known.

    A gradient is a register of its own, of which `spans` tell what has been written, or is lent by
    another value as long as nothing is added to it: all of a register, or fewer elements that
    stand for all.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.section = BACK[STEP]
        self._of: dict[int, int] = {}
        self._lent: dict[int, View] = {}
        self._spans: dict[int, list[tuple[int, int]]] = {}

    def run(self) -> None:
        """Goes back through the whole tape, level by level as the engine runs the sections."""
        for level, section in BACK.items():
            self.section = section
            for step in reversed(self.recorder.tape):
                if step.level == level and self._is_known(step.register):
                    step.back(self, self._arriving(step))

    def seed(self, register: int, given: Sequence[View]) -> None:
        """Begins with gradients that come from outside."""
        op = "copy" if len(given) == 1 else "add"
        total = self.temporary(op, *given[:2])
        for more in given[2:]:
            total = self.temporary("add", total, more)
        self._of[register] = total.register
        self._spans[register] = [(0, self.recorder.widths[register])]

    def _is_known(self, register: int) -> bool:
        return register in self._of or register in self._lent

    def _arriving(self, step: Step) -> View:
        """The complete gradient of a step's value, in that value's shape."""
        lent = self._lent.get(step.register)
        shape = step.view.shape
        if step.takes_spread and lent is not None and not any(lent.strides):
            return replace(lent, shape=shape, strides=(0,) * len(shape))
        return replace(step.view, register=self._whole(step.register))

    def found(self, register: int) -> int | None:
        """The register of a complete gradient; None where it is zero."""
        return self._whole(register) if self._is_known(register) else None

    def _whole(self, register: int) -> int:
        """The register of a complete gradient; nothing is added to it afterwards."""
        lent = self._lent.get(register)
        if lent is not None and self.recorder.whole(lent):
            return lent.register
        if lent is not None:
            self._keep(self._all_of(register))
        self._fill(register, 0, self.recorder.widths[register])
        return self._of[register]

    # Adding to gradients.

    def add(self, target: View, op: str, *sources: View) -> None:
        """Adds `op(sources)`, of the target's shape or repeated along some of its axes."""
        recorder = self.recorder
        if not recorder.wanted[target.register]:
            return
        axes = [
            axis
            for axis, (length, stride) in enumerate(zip(target.shape, target.strides, strict=True))
            if length > 1 and stride == 0
        ]
        if axes:
            self._add_repeated(target, axes, op, sources)
        elif recorder.levels[target.register] == FIXED and self.section != BACK[FIXED]:
            self._add_fixed(target, op, sources)
        else:
            self._add(target, op, sources)

    def temporary(self, op: str, *sources: View) -> View:
        """A new value in the section at hand; what is the same along an axis is computed once."""
        shape = np.broadcast_shapes(*(source.shape for source in sources))
        spread = [source.broadcast(shape) for source in sources]
        once = [not any(source.strides[at] for source in spread) for at in range(len(shape))]
        narrow = tuple(1 if same else n for n, same in zip(shape, once, strict=True))
        cut = [replace(source, shape=narrow) for source in spread]
        return self.recorder.map(op, *cut, section=self.section).broadcast(shape)

    def total(self, view: View, axes: Sequence[int]) -> View:
        """A sum over neighbouring axes, which stay with length one."""
        return self.recorder.reduced("sum", view, axes, section=self.section)

    def _add_repeated(
        self, target: View, axes: list[int], op: str, sources: Sequence[View]
    ) -> None:
        shape = target.shape
        spread = [source.broadcast(shape) for source in sources]
        value = spread[0]
        # A sum of negatives is the negative of the sum, of fewer elements.
        op, final = ("copy", "negative") if op == "negative" else (op, "copy")
        if op != "copy" or not value.is_dense:
            value = self.recorder.value(shape, self._level(sources))
            self.recorder.write(self.section, op, value, spread)
        while axes:
            run = [axes.pop()]
            while axes and axes[-1] == run[-1] - 1:
                run.append(axes.pop())
            value = self.total(value, run)
        self.add(replace(target, shape=value.shape), final, value)

    def _level(self, sources: Sequence[View]) -> int:
        levels = {section: level for level, section in BACK.items()}
        return max(self.recorder.level(*sources), levels[self.section])

    def _add_fixed(self, target: View, op: str, sources: Sequence[View]) -> None:
        """Sums over all rows and steps, for what is the same in all of them."""
        recorder = self.recorder
        value = sources[0].broadcast(target.shape)
        if op != "copy" or not recorder.whole(value) or self._is_fixed(value):
            value = recorder.value(target.shape, self._level(sources))
            recorder.write(self.section, op, value, sources)
        section = self.section
        if recorder.whole(target):
            recorder.put(section, SumRows(self.summed(target.register), value.register))
            return
        total = recorder.register(value.size, FIXED)
        recorder.put(section, SumRows(total, value.register))
        self.section = BACK[FIXED]
        self._add(target, "copy", [View(total, target.shape, dense(target.shape))])
        self.section = section

    def _is_fixed(self, view: View) -> bool:
        return self.recorder.levels[view.register] == FIXED

    def summed(self, register: int) -> int:
        """The gradient of a fixed register, zero before anything is added."""
        own = self._of.get(register)
        if own is None:
            width = self.recorder.widths[register]
            own = self._of[register] = self.recorder.register(width, FIXED)
            self._spans[register] = [(0, width)]
        return own

    def _add(self, target: View, op: str, sources: Sequence[View]) -> None:
        recorder, register = self.recorder, target.register
        if recorder.levels[register] == FIXED:
            own = replace(target, register=self.summed(register))
            recorder.write(self.section, op, own, sources, add=True)
            return
        if not self._is_known(register):
            (first, *_) = sources
            if op == "copy" and not self._is_fixed(first) and self._may_lend(target, first):
                self._lent[register] = first.broadcast(target.shape)
                return
            self._own(register)
        elif register in self._lent:
            if op == "copy" and recorder.whole(target):
                self._keep(target, *sources)
                return
            self._keep(self._all_of(register))
        self._add_to_own(target, op, sources)

    def _may_lend(self, target: View, source: View) -> bool:
        """Whether a value may stand for a gradient to which nothing has been added yet."""
        spread = source.broadcast(target.shape)
        is_whole = self.recorder.whole(spread)
        return self.recorder.whole(target) and (is_whole or not any(spread.strides))

    def _own(self, register: int) -> int:
        """A register of its own for a gradient, of which nothing is written."""
        width = self.recorder.widths[register]
        own = self._of[register] = self.recorder.register(width, self.recorder.levels[register])
        self._spans[register] = []
        return own

    def _all_of(self, register: int) -> View:
        return View(register, (self.recorder.widths[register],), (1,))

    def _keep(self, target: View, *more: View) -> None:
        """A register of its own for a gradient that another value lent, with `more` added to it."""
        lent = self._lent.pop(target.register)
        own = replace(target, register=self._own(target.register))
        strides = target.strides if any(lent.strides) else (0,) * len(target.shape)
        lent = replace(lent, shape=target.shape, strides=strides)
        self.recorder.write(self.section, "add" if more else "copy", own, [lent, *more])
        self._spans[target.register] = [(0, own.size)]

    def _add_to_own(self, target: View, op: str, sources: Sequence[View]) -> None:
        own = self._of[target.register]
        spans = self._spans[target.register]
        first, last = target.offset, target.offset + target.size
        into = replace(target, register=own)
        fresh = target.is_dense and all(end <= first or last <= start for start, end in spans)
        if fresh:
            spans.append((first, last))
        elif target.is_dense:
            self._fill(target.register, first, last)
        else:
            self._fill(target.register, 0, self.recorder.widths[target.register])
        self.recorder.write(self.section, op, into, sources, add=not fresh)

    def _fill(self, register: int, first: int, last: int) -> None:
        """Zero where nothing has been written between two places."""
        spans = self._spans[register]
        at = first
        gaps = []
        for start, end in sorted(spans):
            if start > at:
                gaps.append((at, min(start, last)))
            at = max(at, end)
            if at >= last:
                break
        if at < last:
            gaps.append((at, last))
        zero = self.recorder.number(0.0)
        for start, end in gaps:
            if start < end:
                hole = View(self._of[register], (end - start,), (1,), start)
                self.recorder.write(self.section, "copy", hole, [zero])
                spans.append((start, end))
