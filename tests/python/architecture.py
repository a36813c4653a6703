"""What the checks of the sources share: long files, and circles in a graph."""

from collections.abc import Iterator, Mapping
from pathlib import Path

LONGEST_FILE = 400


def long_files(root: Path, folders: tuple[str, ...]) -> Iterator[str]:
    """Sources that should be two files: those of more than `LONGEST_FILE` lines.

    A stub may be as long as its module's list of names.
    """
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".py", ".rs"}:
                count = len(path.read_text(encoding="utf-8").splitlines())
                if count > LONGEST_FILE:
                    yield f"{path.relative_to(root).as_posix()}: {count} lines"


def circles(graph: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """The sets of more than one module that reach each other (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []

    def visit(name: str) -> Iterator[set[str]]:
        order[name] = lowest[name] = len(order)
        path.append(name)
        for target in sorted(graph.get(name, ())):
            if target not in order:
                yield from visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in path:
                lowest[name] = min(lowest[name], order[target])
        if lowest[name] == order[name]:
            at = path.index(name)
            found = set(path[at:])
            del path[at:]
            if len(found) > 1:
                yield found

    for name in sorted(graph):
        if name not in order:
            yield from visit(name)
