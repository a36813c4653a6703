"""Sums of products as products that add to each other, beginning with the bias."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferrnn._src.programs.recorder import BACK, FIXED, STEP, Instruction, Recorder, written


@dataclass
class _Chain:
    """Products whose sum a register is, by their place, and how what it begins with is copied."""

    products: list[int]
    start: Instruction | None = None


def join_products(recorder: Recorder, kept: set[int]) -> None:
    """Replaces additions of products, and of a row that is the same for all, by accumulation.

    `kept` are the registers that something else reads than instructions.
    """
    reads = Counter(each for section in recorder.sections for each in _read(section))
    for section in (STEP, BACK[STEP]):
        _join(recorder, section, reads, kept)


def _read(section: list[Instruction]) -> Iterator[int]:
    """The registers that instructions read, as often as they do."""
    for kind, rest in section:
        if kind == "map":
            yield from (source for source, *_ in rest[4])
        elif kind == "product":
            yield from (rest[1][0], rest[3][0])
        elif kind == "outer":
            yield from (rest[1][0], rest[2])
        else:
            last = rest[-1]
            yield last[0] if isinstance(last, tuple) else last


def _join(recorder: Recorder, section: int, reads: Counter[int], kept: set[int]) -> None:
    instructions = recorder.sections[section]
    chains: dict[int, _Chain] = {}
    gone = set()
    writes = Counter(written(each) for each in instructions)
    for place, (kind, rest) in enumerate(instructions):
        dest = written((kind, rest))
        if writes[dest] > 1:
            continue
        if kind == "product":
            chains[dest] = _Chain([place])
        elif kind == "map" and rest[0] == "add" and _is_whole(recorder, rest):
            joined = _joined(recorder, chains, rest, reads, kept)
            if joined is not None:
                for source, *_ in rest[4]:
                    chains.pop(source, None)
                chains[dest] = joined
                gone.add(place)
    _rewrite(recorder, section, chains, gone)


def _is_whole(recorder: Recorder, rest: tuple[Any, ...]) -> bool:
    """Whether a map writes all of a register, in order."""
    _, add, counts, (register, offset, by), _ = rest
    in_order = (
        0 if counts[0] == 1 else counts[1] * counts[2],
        0 if counts[1] == 1 else counts[2],
        1,
    )
    whole = (math.prod(counts), offset, by) == (recorder.widths[register], 0, in_order)
    return not add and whole and recorder.widths[register] > 1


def _joined(
    recorder: Recorder,
    chains: dict[int, _Chain],
    rest: tuple[Any, ...],
    reads: Counter[int],
    kept: set[int],
) -> _Chain | None:
    """The chain of a sum, if nothing else reads its parts."""
    _, _, counts, dest, (a, b) = rest

    def free(source: tuple[Any, ...]) -> _Chain | None:
        register, *where = source
        width = recorder.widths[register]
        whole = where == [*dest[1:]] and width == recorder.widths[dest[0]]
        is_free = whole and reads[register] == 1 and register not in kept
        return chains.get(register) if is_free else None

    left, right = free(a), free(b)
    if left and right and not (left.start and right.start):
        return _Chain(sorted(left.products + right.products), left.start or right.start)
    for chain, other in ((left, b), (right, a)):
        if chain and not chain.start and recorder.levels[other[0]] == FIXED:
            return _Chain(chain.products, ("map", ("copy", False, counts, dest, [other])))
    return None


def _rewrite(recorder: Recorder, section: int, chains: dict[int, _Chain], gone: set[int]) -> None:
    """Lets the products of each chain write its register."""
    dests = {place: (dest, chain) for dest, chain in chains.items() for place in chain.products}
    made: list[Instruction] = []
    for place, (kind, rest) in enumerate(recorder.sections[section]):
        if place in gone:
            continue
        if place not in dests:
            made.append((kind, rest))
            continue
        dest, chain = dests[place]
        first = place == chain.products[0]
        if first and chain.start is not None:
            name, (op, add, counts, (_, *where), source) = chain.start
            made.append((name, (op, add, counts, (dest, *where), source)))
        recorder.touched[rest[0]].discard(section)
        recorder.touched[dest].add(section)
        made.append((kind, (dest, *rest[1:4], not first or chain.start is not None)))
    recorder.sections[section] = made
