"""What this process runs on and with: instruction set, threads, caches, versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.native import machine, num_threads, simd_level

_CPU_INFO = Path("/proc/cpuinfo")


def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Prints instruction set, threads, CPU, caches and versions, for bug reports.

    `mode="dicts"` returns the same as dictionaries, and prints nothing.

    >>> sorted(show_config(mode="dicts"))
    ['CPU', 'Caches', 'SIMD', 'Threads', 'Versions']
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"`mode` must be 'stdout' or 'dicts', received {mode!r}")
    facts = _facts()
    if mode == "dicts":
        return facts
    print(_text(facts))  # noqa: T201 - what it is for
    return None


def cpu_name() -> str:
    """The CPU's name, as the operating system gives it."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        if value.strip():
            told.setdefault(key.strip(), value.strip())
    for key in ("model name", "Model"):
        if key in told:
            return told[key]
    if "CPU part" in told:  # Linux gives numbers, not a name, for an Arm core
        return f"implementer {told.get('CPU implementer', 'unknown')}, part {told['CPU part']}"
    return platform.processor() or platform.machine() or "unknown"


def _facts() -> dict[str, dict[str, Any]]:
    known = machine()
    forced = os.environ.get("FERRNN_SIMD", "")
    level1, level2, level3 = known["caches"]
    architecture, system = known["target"]
    build = "with debug assertions" if known["debug"] else "optimized"
    return {
        "SIMD": {
            "level": simd_level(),
            "source": "FERRNN_SIMD" if forced else "the fastest of this CPU",
            "found": known["levels"],
        },
        "Threads": {"count": num_threads(), "source": known["threads_source"]},
        "CPU": {"name": cpu_name(), "count": os.cpu_count() or 1},
        "Caches": {"L1d": level1, "L2": level2, "L3": level3},
        "Versions": {
            "ferrnn": known["version"],
            "engine": f"{build}, for {architecture} {system}",
            "Python": f"{platform.python_version()} ({platform.python_implementation()})",
            "NumPy": np.__version__,
            "system": platform.platform(),
        },
    }


def _text(facts: dict[str, dict[str, Any]]) -> str:
    """The facts as YAML: a heading above each group, one fact on each line."""
    lines = []
    for group, entries in facts.items():
        lines.append(f"{group}:")
        for name, value in entries.items():
            shown = _bytes(value) if group == "Caches" else value
            shown = ", ".join(shown) if isinstance(shown, list) else shown
            lines.append(f"  {name}: {shown}")
    return "\n".join(lines)


def _bytes(count: int) -> str:
    """A size in the largest unit that keeps it whole."""
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size and count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} B"
