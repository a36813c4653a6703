"""What every step would compute alike, computed once before the first: loop-invariant code motion.

A state that a step hands on as it is, such as the memory that attention looks at, is the same at
all steps, and so is what a cell makes of it and of weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferrnn._src.programs.instructions import Instruction, Map
from ferrnn._src.programs.joining import is_whole
from ferrnn._src.programs.recorder import FIXED, STEP, Recorder


def hoisted(
    recorder: Recorder, homes: Sequence[str], states: Sequence[tuple[int, int]]
) -> list[Instruction]:
    """Takes such instructions out of the steps, and gives them in order.

    `states` are the registers before and after a step. What a backward pass reads is kept for each
    step, and stays where it is: only what is "local" has one place for all steps.
    """
    writers: dict[int, list[Instruction]] = {}
    for each in recorder.sections[STEP]:
        writers.setdefault(each.writes, []).append(each)
    same = {before for before, after in states if _copies(recorder, writers.get(after, []), before)}
    found = True
    while found:
        found = False
        for register, own in writers.items():
            if register in same or homes[register] != "local":
                continue
            reads = (read for each in own for read in each.reads)
            if all(recorder.levels[read] == FIXED or read in same for read in reads):
                same.add(register)
                found = True
    out = [each for each in recorder.sections[STEP] if each.writes in same]
    recorder.sections[STEP] = [each for each in recorder.sections[STEP] if each.writes not in same]
    return out


def _copies(recorder: Recorder, writers: Sequence[Instruction], before: int) -> bool:
    """Whether the register that they write is a copy of another."""
    copy = writers[0] if len(writers) == 1 else None
    if not isinstance(copy, Map):
        return False
    register, *place = copy.sources[0]
    in_order = is_whole(recorder, copy) and tuple(place) == copy.dest[1:]
    return copy.op == "copy" and register == before and in_order
