"""Reads the paths in the Rust sources: none may point the wrong way or in a circle."""

import re
from collections.abc import Iterator
from pathlib import Path

from architecture import circles

# A room may use those before its own line, and itself. The longest name that fits is a file's room.
ROOMS = (
    {"error", "machine::caches"},
    {"machine::lists", "machine::simd"},
    {"machine::memory"},
    {"machine::threads"},
    {"machine::limits", "kernels"},
    {"cells", "programs"},
    {
        "layers::sequence",
        "layers::dense",
        "layers::embedding",
        "layers::normalization",
        "layers::products",
    },
    {"layers::convolution", "layers::attention"},
    {"layers::stream"},
    {"training"},
    {"models"},
    {"python"},
)
# Within a room: a file may use those that stand before it.
STEPS_OF_A_SEQUENCE = (
    {"options"},
    {"call"},
    {"weights"},
    {"problem"},
    {"plan"},
    {"kept", "part", "rows"},
    {"step"},
    {"forward", "backward", "stream"},
)
ORDER = {
    **{room: rank for rank, rooms in enumerate(ROOMS) for room in rooms},
}
SEQUENCE = "layers::sequence"
SEQUENCE_ORDER = {name: rank for rank, names in enumerate(STEPS_OF_A_SEQUENCE) for name in names}
# What ends the process when memory runs out. `lists` makes lists as long as a caller's arrays.
GROWS = re.compile(
    r"\.(collect|to_vec|extend|extend_from_slice|resize|into_boxed_slice)\b|\bvec!\["
    r"|\bwith_capacity\(|\b(Arc|Rc|Box)::from\(|\.push\((?!.*\?;$)"
)
# The binding's lists are as long as those that Python has made; instruction sets are few.
UNBOUNDED_ROOMS = frozenset({"python", "machine::simd", "machine::lists"})
UNSAFE_ROOMS = frozenset({"machine::simd", "machine::memory", "machine::threads", "python"})

Module = tuple[str, ...]


def rust_problems(source: Path) -> Iterator[str]:
    """What is wrong with the paths and the unsafe code below the folder `src`."""
    modules = _modules(source)
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        name = path.relative_to(source).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        code = [_code(line) for line in lines]
        if not module:
            yield from _crate_root(name, code)
            continue
        room = _room(module)
        if room is None and not _is_list(module, code):
            yield f"{name}: the room {module[0]} has no place in the order"
            continue
        uses = graph.setdefault(name, set())
        for number, start, used in _used(module, "\n".join(code)):
            target = _resolved(used, modules)
            if target != module and target in modules:
                uses.add(modules[target].relative_to(source).as_posix())
            if start == "super" and _room(used) != room:
                yield f"{name}:{number}: reaches another room through super; write crate::"
                continue
            yield from _direction(f"{name}:{number}", module, used)
        yield from _lines(name, room or "", lines, code)
    for circle in circles(graph):
        yield f"a circle of files: {' <-> '.join(sorted(circle))}"


def unknown_rust_rooms(source: Path) -> list[str]:
    """The rooms in the lists above that do not exist."""
    there = {"::".join(module) for module in _modules(source)}
    listed = [*ORDER, *(f"{SEQUENCE}::{name}" for name in SEQUENCE_ORDER)]
    return [room for room in listed if room not in there]


def _modules(source: Path) -> dict[Module, Path]:
    found = {}
    for path in sorted(source.rglob("*.rs")):
        parts = path.relative_to(source).with_suffix("").parts
        found[() if parts == ("lib",) else parts[:-1] if parts[-1] == "mod" else parts] = path
    return found


def _room(path: Module) -> str | None:
    """The room of a module, or of what a path names."""
    names = ("::".join(path[:length]) for length in range(len(path), 0, -1))
    return next((name for name in names if name in ORDER), None)


def _is_list(module: Module, code: list[str]) -> bool:
    """Whether a file above the rooms only lists them."""
    above = any(room.startswith("::".join((*module, ""))) for room in ORDER)
    return above and all(re.match(r"(pub )?mod \w+;|$", line.strip()) for line in code)


def _resolved(path: Module, modules: dict[Module, Path]) -> Module:
    """The file that a path leads to."""
    return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in modules), ())


def _direction(where: str, module: Module, used: Module) -> Iterator[str]:
    own, other = _room(module), _room(used)
    if other is None:
        yield f"{where}: uses crate::{'::'.join(used[:2])}, which is no room"
    elif own is not None and other != own and ORDER[other] >= ORDER[own]:
        yield f"{where}: {own} uses {other}"
    elif own == other == SEQUENCE:
        depth = SEQUENCE.count("::") + 1
        step, of = (path[depth] if len(path) > depth else "" for path in (module, used))
        if not step or step == of:
            return
        if step not in SEQUENCE_ORDER:
            yield f"{where}: {step} has no place in the order of {SEQUENCE}"
        elif of not in SEQUENCE_ORDER:
            yield f"{where}: {step} uses {SEQUENCE}, which hands on names"
        elif SEQUENCE_ORDER[of] >= SEQUENCE_ORDER[step]:
            yield f"{where}: {step} uses {of}"


def _code(line: str) -> str:
    """A line of Rust without its strings and its comment."""
    without_strings = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return without_strings.split("//")[0]


def _used(module: Module, code: str) -> Iterator[tuple[int, str, Module]]:
    """The line, the first word and the full path of each name that a file uses from this crate."""
    code = code.split("#[cfg(test)]\nmod ", maxsplit=1)[0]
    children = re.findall(r"^\s*(?:pub(?:\(.*\))? )?mod (\w+);", code, re.MULTILINE)
    starts = "|".join(["crate", "super", "self", *children])
    inside = re.compile(r"^(pub )?mod \w+ \{.*?^\}", re.MULTILINE | re.DOTALL)
    inline = [found.span() for found in inside.finditer(code)]
    for match in re.finditer(rf"(?<![\w:])({starts})::", code):
        start = match.group(1)
        if start == "super" and any(first < match.start() < end for first, end in inline):
            start = "self"
        base: Module = {"crate": (), "super": module[:-1], "self": module}.get(
            start, (*module, start)
        )
        number = code.count("\n", 0, match.start()) + 1
        for names in _tree(code, match.end()):
            ends = names[:-1] if names[-1:] in (("self",), ("",)) else names
            while ends[:1] == ("super",):
                base, ends = base[:-1], ends[1:]
            yield number, start, (*base, *ends)


def _tree(code: str, at: int) -> Iterator[Module]:
    """The paths of a use tree that begins at `at`."""
    name = re.compile(r"\s*(\w*)").match(code, at)
    assert name is not None
    if name.group(1):
        if code.startswith("::", name.end()):
            for rest in _tree(code, name.end() + 2):
                yield (name.group(1), *rest)
        else:
            yield (name.group(1),)
        return
    at = name.end()
    if not code.startswith("{", at):
        yield ()
        return
    for start in _items(code, at + 1):
        yield from _tree(code, start)


def _items(code: str, at: int) -> Iterator[int]:
    """Where each item of a group begins, whose opening brace stands before `at`."""
    depth, begun = 1, False
    for place in range(at, len(code)):
        letter = code[place]
        if depth == 1 and not begun and not letter.isspace() and letter not in ",}":
            yield place
            begun = True
        begun = begun and not (letter == "," and depth == 1)
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return


def _line(where: str, name: str, room: str, line: str) -> Iterator[str]:
    if room != "python" and re.search(r"\b(pyo3|numpy)::", line):
        yield f"{where}: Python's types outside of python"
    if room != "machine::simd" and re.search(r"\b(core|std)::arch\b", line):
        yield f"{where}: intrinsics outside of simd"
    if room not in UNSAFE_ROOMS and re.search(r"\bunsafe\b", line):
        yield f"{where}: unsafe code in {room}"


def _lines(name: str, room: str, lines: list[str], code: list[str]) -> Iterator[str]:
    """What is wrong with the lines of a file, each by itself."""
    for number, line in enumerate(code, 1):
        yield from _line(f"{name}:{number}", name, room, line)
        if re.search(r"\bunsafe\s*(\{|impl\b)", line) and not _argued(lines, number):
            yield f"{name}:{number}: unsafe without a SAFETY comment"
    if room not in UNBOUNDED_ROOMS:
        yield from _lists(name, lines, code)


def _lists(name: str, lines: list[str], code: list[str]) -> Iterator[str]:
    """Lists that can end the process, without a comment that says what bounds their length."""
    for number, line in enumerate(code, 1):
        if line.strip() == "#[cfg(test)]":
            return
        bounded = any("Bounded:" in near for near in lines[max(number - 2, 0) : number])
        if GROWS.search(line) and not bounded:
            yield f"{name}:{number}: a list without a bound; make it with machine::lists"


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
