"""Where values stay between forward and back: kept for every step, or computed once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ferrnn._src.programs.instructions import Instruction, Map, SumRows
from ferrnn._src.programs.recorder import BACK, FIXED, STEP, SUMS, Recorder

# What costs less to compute than to keep: a value for each step and row leaves the caches.
_CHEAP = ("copy", "negative", "add", "subtract", "multiply")


def homes_of(recorder: Recorder, ends: set[int], states: set[int], *, goes_back: bool) -> list[str]:
    """How many rows each register has: one for each step where another section reads it.

    `ends` are the registers of inputs and of their gradients, which have one too.
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


def sum_last(recorder: Recorder, homes: Sequence[str]) -> None:
    """Sums over rows wait for those over steps, where what they read is kept for each step."""
    steps: list[Instruction] = []
    sums = recorder.sections[SUMS]
    for each in recorder.sections[BACK[STEP]]:
        waits = isinstance(each, SumRows) and homes[each.source] == "series"
        (sums if waits else steps).append(each)
    recorder.sections[BACK[STEP]] = steps


def recompute(recorder: Recorder, given: set[int]) -> None:
    """Lets steps back compute once more what is cheap and made of values they read anyway.

    `given` are the registers that a call fills: they are there for every step.
    """
    back = BACK[STEP]
    writes = Counter(each.writes for each in recorder.sections[STEP])
    for each in recorder.sections[STEP]:
        if not isinstance(each, Map):
            continue
        dest = each.writes
        once = writes[dest] == 1 and recorder.touched[dest] == {STEP, back}
        if each.op not in _CHEAP or not once:
            continue
        is_there = all(
            recorder.levels[source] == FIXED or source in given or len(recorder.touched[source]) > 1
            for source in each.reads
        )
        if each.counts == (1, 1, recorder.widths[dest]) and is_there:
            _again(recorder, each)


def _again(recorder: Recorder, cheap: Map) -> None:
    """Puts a copy of an instruction before the first step back that reads its result."""
    back, register = BACK[STEP], cheap.writes
    again = recorder.register(recorder.widths[register], recorder.levels[register])
    old = recorder.sections[back]
    new = [each.reading(register, again) for each in old]
    first = next(n for n, each in enumerate(new) if each != old[n])
    new.insert(first, replace(cheap, dest=(again, *cheap.dest[1:])))
    recorder.sections[back] = new
    recorder.touched[register].discard(back)
    for each in (again, *cheap.reads):
        recorder.touched[each].add(back)
