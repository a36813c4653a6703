"""Whether the hot paths take more instructions than the record says: `make bench-check`.

    python benches/python/instructions.py            # compare with the record
    python benches/python/instructions.py --update   # write the record

`benches/instructions.rs` runs the cases, valgrind counts them, at the level AVX2: it knows no
AVX-512. Counts depend neither on the clock nor on the load, but on the compiler: where the
compiler is not the record's, or valgrind or AVX2 are missing, this says so and passes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benches" / "record" / "instructions.json"
LEVEL = "avx2"
MEASURED = "instructions::measured"  # the function that is counted
TOLERANCE = 0.02


class NotHereError(Exception):
    """What this machine lacks for counting."""


def main() -> int:
    """Compares, or updates; 1 if there is a regression."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write the record")
    parser.add_argument("--locked", action="store_true", help="pass --locked to cargo")
    asked = parser.parse_args()
    try:
        compiler = compiler_name()
        recorded = json.loads(RECORD.read_text()) if RECORD.exists() else None
        if not asked.update:
            _comparable(recorded, compiler)
        counts = count(build(locked=asked.locked))
    except NotHereError as reason:
        print(f"instructions are not counted: {reason}")
        return 1 if asked.update else 0
    if asked.update:
        found = {"compiler": compiler, "level": LEVEL, "counts": counts}
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
        print(*changes(recorded["counts"] if recorded else {}, counts), sep="\n")
        print(f"written to {RECORD.relative_to(ROOT)}")
        return 0
    print(*changes(recorded["counts"], counts), sep="\n")
    wrong = problems(recorded["counts"], counts)
    if wrong:
        print(*wrong, sep="\n")
        print("if this is meant, `make bench-check UPDATE=1` writes the record")
        return 1
    print(f"{len(counts)} hot paths take no more instructions than recorded")
    return 0


def compiler_name() -> str:
    """The compiler and its flags: what decides the counts beside the sources."""
    if shutil.which("cargo") is None:
        raise NotHereError("cargo is missing")
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    facts = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    name = f"rustc {facts['release']} ({facts['commit-hash'][:9]}) for {facts['host']}"
    flags = os.environ.get("RUSTFLAGS", "").strip()
    return f"{name}, RUSTFLAGS {flags}" if flags else name


def _comparable(recorded: Any, compiler: str) -> None:
    if recorded is None:
        raise NotHereError(f"there is no record {RECORD.relative_to(ROOT)}")
    if recorded["compiler"] != compiler:
        raise NotHereError(f"the record is of {recorded['compiler']}, this is {compiler}")


def build(*, locked: bool) -> Path:
    """The program, built as benches are."""
    if shutil.which("valgrind") is None:
        raise NotHereError("valgrind is missing")
    # The build that the tests run on, as the Makefile has it: it is not compiled once more.
    command = ["cargo", "build", "--release", "--features", "doubled", "--bench", "instructions"]
    command += ["--target-dir", "target/engine"]
    command += ["--message-format", "json-render-diagnostics", *(["--locked"] if locked else [])]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    messages = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    found = [message["executable"] for message in messages if message.get("executable")]
    return Path(found[-1])


def count(program: Path) -> dict[str, int]:
    """Instructions of every case."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "-q", "--tool=callgrind", f"--toggle-collect={MEASURED}"]
        command += [f"--dump-after={MEASURED}", f"--callgrind-out-file={folder}/counts"]
        ran = subprocess.run(
            [*command, str(program), "all"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "FERRNN_SIMD": LEVEL},
        )
        if ran.returncode and "FERRNN_SIMD" in ran.stderr:
            raise NotHereError(f"this CPU, as valgrind shows it, has no {LEVEL}")
        if ran.returncode:
            raise SystemExit(f"the program ended with {ran.returncode}:\n{ran.stderr}")
        names = ran.stdout.splitlines()[1:]  # the first line is the level
        dumps = [Path(folder) / f"counts.{number}" for number in range(1, len(names) + 1)]
        return {name: total(dump.read_text()) for name, dump in zip(names, dumps, strict=True)}


def total(dump: str) -> int:
    """The instructions that a file of callgrind's sums up to."""
    found = re.search(r"^summary: (\d+)$", dump, re.MULTILINE)
    assert found, "callgrind's file has no summary"
    return int(found[1])


def changes(recorded: Mapping[str, int], counts: Mapping[str, int]) -> list[str]:
    """A line for each case."""
    lines = []
    for name, now in counts.items():
        before = recorded.get(name)
        change = f"{100 * (now / before - 1):+7.2f} %" if before else "    new  "
        lines.append(f"{now:>12,} {change}  {name}")
    return lines


def problems(recorded: Mapping[str, int], counts: Mapping[str, int]) -> list[str]:
    """What is wrong: cases beyond the tolerance, not in the record, or in the record only."""
    found = []
    for name, now in counts.items():
        before = recorded.get(name)
        if before is None:
            found.append(f"not in the record: {name}")
        elif now > before * (1 + TOLERANCE):
            more = 100 * (now / before - 1)
            found.append(f"{more:.1f} % more than recorded: {name}, {now:,} for {before:,}")
    return found + [f"no longer there: {name}" for name in recorded if name not in counts]


if __name__ == "__main__":
    sys.exit(main())
