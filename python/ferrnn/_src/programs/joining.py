"""Sums of products as products that add to each other, beginning with the bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferrnn._src.programs.recorder import BACK, FIXED, STEP, Instruction, Recorder, written


@dataclass
class _Chain:
    """Products whose sum a register is, by their place, and the row that it begins with."""

    products: list[int]
    start: tuple[Any, ...] | None = None


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
            left, right = (source for source, *_ in rest[4])
            joined = _joined(recorder, chains, (left, right), rest[4], reads, kept)
            if joined is not None:
                for source in (left, right):
                    chains.pop(source, None)
                chains[dest] = joined
                gone.add(place)
    _rewrite(recorder, section, chains, gone)


def _is_whole(recorder: Recorder, rest: tuple[Any, ...]) -> bool:
    """Whether a map is of whole registers of one width."""
    _, add, counts, dest, sources = rest
    width = recorder.widths[dest[0]]
    whole = all(
        offset == 0 and by == (0, 0, 1) and recorder.widths[register] == width
        for register, offset, by in (dest, *sources)
    )
    return not add and counts == (1, 1, width) and width > 1 and whole


def _joined(
    recorder: Recorder,
    chains: dict[int, _Chain],
    pair: tuple[int, int],
    sources: list[Any],
    reads: Counter[int],
    kept: set[int],
) -> _Chain | None:
    """The chain of a sum, if nothing else reads its parts."""

    def free(register: int) -> _Chain | None:
        chain = chains.get(register)
        return chain if reads[register] == 1 and register not in kept else None

    (a, b), (left, right) = pair, map(free, pair)
    if left and right and not (left.start and right.start):
        return _Chain(sorted(left.products + right.products), left.start or right.start)
    for chain, other, source in ((left, b, sources[1]), (right, a, sources[0])):
        if chain and not chain.start and recorder.levels[other] == FIXED:
            return _Chain(chain.products, source)
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
            to = (dest, 0, (0, 0, 1))
            counts = (1, 1, recorder.widths[dest])
            made.append(("map", ("copy", False, counts, to, [chain.start])))
        recorder.touched[rest[0]].discard(section)
        recorder.touched[dest].add(section)
        made.append((kind, (dest, *rest[1:4], not first or chain.start is not None)))
    recorder.sections[section] = made
