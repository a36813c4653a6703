"""Where values stay between forward and back: kept for every step, or computed once more."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ferrnn._src.programs.recorder import BACK, FIXED, STEP, Recorder, written

# What costs less to compute than to keep: a value for each step and row leaves the caches.
_CHEAP = ("copy", "negative", "add", "subtract", "multiply")


def homes_of(recorder: Recorder, ends: set[int], states: set[int], *, goes_back: bool) -> list[str]:
    """What each register has room for: a row for each step where another section reads it.

    `ends` are the registers of inputs and of the gradients by them, which have one too.
    """
    homes = []
    for register, level in enumerate(recorder.levels):
        sections = recorder.touched[register]
        if not goes_back:
            sections = sections & {STEP}
        if level == FIXED or not (sections or register in ends or register in states):
            homes.append("static")
        elif register in states:
            homes.append("state" if goes_back else "local")
        else:
            homes.append("series" if register in ends or len(sections) > 1 else "local")
    return homes


def recompute(recorder: Recorder, given: set[int]) -> None:
    """Lets steps back compute once more what is cheap and made of values they read anyway.

    `given` are the registers that a call fills: they are there for every step.
    """
    back = BACK[STEP]
    writes = Counter(written(each) for each in recorder.sections[STEP])
    for kind, rest in recorder.sections[STEP]:
        if kind != "map":
            continue
        op, _, counts, (dest, *_), sources = rest
        once = writes[dest] == 1 and recorder.touched[dest] == {STEP, back}
        if op not in _CHEAP or not once:
            continue
        is_there = all(
            recorder.levels[source] == FIXED or source in given or len(recorder.touched[source]) > 1
            for source, *_ in sources
        )
        if counts == (1, 1, recorder.widths[dest]) and is_there:
            _again(recorder, dest, rest)


def _again(recorder: Recorder, register: int, rest: tuple[Any, ...]) -> None:
    """Puts a copy of an instruction before the first step back that reads its result."""
    back = BACK[STEP]
    op, add, counts, (_, *where), sources = rest
    again = recorder.register(recorder.widths[register], recorder.levels[register])
    old = recorder.sections[back]
    new = [(kind, _reading(kind, parts, register, again)) for kind, parts in old]
    first = next(n for n, each in enumerate(new) if each != old[n])
    new.insert(first, ("map", (op, add, counts, (again, *where), sources)))
    recorder.sections[back] = new
    recorder.touched[register].discard(back)
    for each in (again, *(source for source, *_ in sources)):
        recorder.touched[each].add(back)


def _reading(kind: str, parts: tuple[Any, ...], old: int, new: int) -> tuple[Any, ...]:
    """An instruction's operands, of which those that read one register read another."""

    def swapped(operand: tuple[Any, ...]) -> tuple[Any, ...]:
        return (new, *operand[1:]) if operand[0] == old else operand

    if kind == "map":
        *head, sources = parts
        return (*head, [swapped(source) for source in sources])
    if kind == "product":
        dest, left, *rest = parts
        return (dest, swapped(left), *rest)
    if kind == "sum_rows":
        dest, source = parts
        return (dest, new if source == old else source)
    *head, source = parts
    return (*head, swapped(source))
