"""Sums of products as products that add to each other, beginning with the bias."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from ferrnn._src.programs.instructions import Instruction, Map, Operand, Product
from ferrnn._src.programs.recorder import BACK, FIXED, STEP, Recorder


@dataclass
class _Chain:
    """Products whose sum a register is, by their place, and how what it begins with is copied."""

    products: list[int]
    start: Map | None = None


def join_products(recorder: Recorder, kept: set[int]) -> None:
    """Replaces additions of products, and of a row that is the same for all, by accumulation.

    `kept` are the registers that something else reads than instructions.
    """
    instructions = (each for section in recorder.sections for each in section)
    reads = Counter(register for each in instructions for register in each.reads)
    for section in (STEP, BACK[STEP]):
        _join(recorder, section, reads, kept)


def _join(recorder: Recorder, section: int, reads: Counter[int], kept: set[int]) -> None:
    instructions = recorder.sections[section]
    chains: dict[int, _Chain] = {}
    gone = set()
    writes = Counter(each.writes for each in instructions)
    for place, each in enumerate(instructions):
        if writes[each.writes] > 1:
            continue
        if isinstance(each, Product):
            chains[each.writes] = _Chain([place])
        elif isinstance(each, Map) and each.op == "add" and is_whole(recorder, each):
            joined = _joined(recorder, chains, each, reads, kept)
            if joined is not None:
                for source in each.reads:
                    chains.pop(source, None)
                chains[each.writes] = joined
                gone.add(place)
    _rewrite(recorder, section, chains, gone)


def is_whole(recorder: Recorder, copy: Map) -> bool:
    """Whether a map writes all of a register, in order."""
    counts, (register, offset, by) = copy.counts, copy.dest
    in_order = (
        0 if counts[0] == 1 else counts[1] * counts[2],
        0 if counts[1] == 1 else counts[2],
        1,
    )
    whole = (math.prod(counts), offset, by) == (recorder.widths[register], 0, in_order)
    return not copy.accumulate and whole and recorder.widths[register] > 1


def _joined(
    recorder: Recorder,
    chains: dict[int, _Chain],
    addition: Map,
    reads: Counter[int],
    kept: set[int],
) -> _Chain | None:
    """The chain of a sum, if nothing else reads its parts."""
    dest, (a, b) = addition.dest, addition.sources

    def free(source: Operand) -> _Chain | None:
        register = source[0]
        width = recorder.widths[register]
        whole = source[1:] == dest[1:] and width == recorder.widths[dest[0]]
        is_free = whole and reads[register] == 1 and register not in kept
        return chains.get(register) if is_free else None

    left, right = free(a), free(b)
    if left and right and not (left.start and right.start):
        return _Chain(sorted(left.products + right.products), left.start or right.start)
    for chain, other in ((left, b), (right, a)):
        if chain and not chain.start and recorder.levels[other[0]] == FIXED:
            return _Chain(chain.products, replace(addition, op="copy", sources=[other]))
    return None


def _rewrite(recorder: Recorder, section: int, chains: dict[int, _Chain], gone: set[int]) -> None:
    """Lets the products of each chain write its register."""
    dests = {place: (dest, chain) for dest, chain in chains.items() for place in chain.products}
    made: list[Instruction] = []
    for place, each in enumerate(recorder.sections[section]):
        if place in gone:
            continue
        if place not in dests or not isinstance(each, Product):
            made.append(each)
            continue
        dest, chain = dests[place]
        first = place == chain.products[0]
        if first and chain.start is not None:
            made.append(replace(chain.start, dest=(dest, *chain.start.dest[1:])))
        recorder.touched[each.dest].discard(section)
        recorder.touched[dest].add(section)
        adds = not first or chain.start is not None
        made.append(replace(each, dest=dest, accumulate=adds))
    recorder.sections[section] = made
