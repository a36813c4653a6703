"""Reads the imports of the sources, and names those that point the wrong way."""

import re
from collections.abc import Iterator
from pathlib import Path

LONGEST_FILE = 450

# A Rust room may use the rooms before its own line, and itself.
RUST_ORDER = (
    {"error", "caches"},
    {"simd"},
    {"memory"},
    {"threads"},
    {"kernels", "limits"},
    {"cells"},
    {"sequence", "dense", "embedding", "normalization", "optimizer", "mean_error", "random"},
    {"stream"},
    {"python"},
)
RUST_RANK = {room: rank for rank, rooms in enumerate(RUST_ORDER) for room in rooms}
UNSAFE_ROOMS = frozenset({"simd", "memory", "threads", "python"})


def rust_problems(source: Path) -> Iterator[str]:
    """What is wrong with the paths and the unsafe code below the folder `src`."""
    for path in sorted(source.rglob("*.rs")):
        name = path.relative_to(source).as_posix()
        room = name.split("/")[0].removesuffix(".rs")
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        code = [_code(line) for line in lines]
        if room == "lib":
            yield from _crate_root(name, code)
            continue
        if room not in RUST_RANK:
            yield f"{name}: the room {room} has no place in the order"
            continue
        for number, used in _crate_paths("\n".join(code)):
            if used not in RUST_RANK:
                yield f"{name}:{number}: uses crate::{used}, which is no room"
            elif used != room and RUST_RANK[used] >= RUST_RANK[room]:
                yield f"{name}:{number}: {room} uses {used}"
        for number, line in enumerate(code, 1):
            yield from _line(f"{name}:{number}", name, room, line)
            if re.search(r"\bunsafe\s*(\{|impl\b)", line) and not _argued(lines, number):
                yield f"{name}:{number}: unsafe without a SAFETY comment"


def long_files(root: Path, folders: tuple[str, ...]) -> Iterator[str]:
    """Sources that are two files: those of more than `LONGEST_FILE` lines."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".py", ".pyi", ".rs"}:
                count = len(path.read_text(encoding="utf-8").splitlines())
                if count > LONGEST_FILE:
                    yield f"{path.relative_to(root).as_posix()}: {count} lines"


def _code(line: str) -> str:
    """A line of Rust without its strings and its comment."""
    without_strings = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return without_strings.split("//")[0]


def _crate_paths(code: str) -> Iterator[tuple[int, str]]:
    """The line and the room of each `crate::room` and of each name in `crate::{...}`."""
    for match in re.finditer(r"\bcrate::(\w+|\{)", code):
        number = code.count("\n", 0, match.start()) + 1
        if match.group(1) != "{":
            yield number, match.group(1)
            continue
        for item in _items(code[match.end() :]):
            if item != "self":
                yield number, item


def _items(text: str) -> Iterator[str]:
    """The first name of each item of a group, whose opening brace stands before the text."""
    depth, item = 1, ""
    for letter in text:
        if letter == "," and depth == 1:
            yield item.split("::", maxsplit=1)[0].strip()
            item = ""
            continue
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            break
        item += letter
    if item.strip():
        yield item.split("::")[0].strip()


def _line(where: str, name: str, room: str, line: str) -> Iterator[str]:
    outside = "super::super" if "/" in name and not name.endswith("/mod.rs") else "super"
    if re.match(rf"(pub(\(.*\))?\s+)?use {outside}::", line):
        yield f"{where}: reaches another room through super; write crate::"
    if room != "python" and re.search(r"\b(pyo3|numpy)::", line):
        yield f"{where}: Python's types outside of python"
    if room != "simd" and re.search(r"\b(core|std)::arch\b", line):
        yield f"{where}: intrinsics outside of simd"
    if room not in UNSAFE_ROOMS and re.search(r"\bunsafe\b", line):
        yield f"{where}: unsafe code in {room}"


def _crate_root(name: str, code: list[str]) -> Iterator[str]:
    for number, line in enumerate(code, 1):
        if re.match(r"\s*(pub(\(.*\))?\s+)?(unsafe\s+)?(fn|struct|enum|trait|impl|static)\b", line):
            yield f"{name}:{number}: code in the crate root"


def _argued(lines: list[str], number: int) -> bool:
    """Whether a SAFETY comment stands on the line, or in the comment above its statement."""
    if "SAFETY:" in lines[number - 1]:
        return True
    for above in reversed(lines[: number - 1]):
        text = above.strip()
        if text.startswith("//"):
            if "SAFETY:" in text:
                return True
        elif text.endswith((";", "}")) or not text:
            return False
    return False
