"""What `ferrnn` on the command line understands."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from ferrnn._src.command import bench
from ferrnn._src.command.floor import GATES
from ferrnn._src.machine import show_config
from ferrnn._src.native import machine, num_threads


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; the process's status."""
    asked = _parser().parse_args(arguments)
    if asked.command == "config":
        if asked.json:
            print(json.dumps(show_config(mode="dicts"), indent=2))
        else:
            show_config()
        return 0
    _bench(asked)
    return 0


def _bench(asked: argparse.Namespace) -> None:
    threads = asked.threads or sorted({1, num_threads()})
    limits, rows = bench.run(asked.cell, threads, asked.seconds)
    if asked.json:
        found = {
            "config": show_config(mode="dicts"),
            "limits": [
                {
                    "threads": own.threads,
                    "flops": own.flops,
                    "reads": dict(
                        zip(
                            ("L1", "L2", "L3", "memory"),
                            (rate for _, rate in own.levels),
                            strict=True,
                        )
                    ),
                }
                for own in limits
            ],
            "rows": [row.to_dict() for row in rows],
        }
        print(json.dumps(found, indent=2))
        return
    print(bench.heading(asked.cell, limits))
    for row in rows:
        print(bench.line(row), flush=True)
    print(f"\n{bench.FOOTNOTE}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ferrnn", description="Recurrent networks on the CPU, on this machine."
    )
    parser.add_argument("--version", action="version", version=f"ferrnn {machine()['version']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="bench | config")
    table = commands.add_parser(
        "bench",
        help="time a few typical calls, in about 15 seconds",
        description="Times a few typical calls and compares them with the least they could take.",
    )
    table.add_argument(
        "--threads", type=_threads, nargs="+", metavar="N", help="default: 1, and all in use"
    )
    table.add_argument("--cell", choices=tuple(GATES), default="lstm")
    table.add_argument(
        "--seconds", type=_seconds, default=12.0, help="of timing in all, about (default 12)"
    )
    table.add_argument("--json", action="store_true", help="print JSON")
    config = commands.add_parser(
        "config",
        help="print instruction set, threads, caches and versions",
        description="Prints instruction set, threads, CPU, caches and versions.",
    )
    config.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _threads(text: str) -> int:
    try:
        threads = int(text)
    except ValueError:
        threads = 0
    if not 1 <= threads <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1024, received {text!r}")
    return threads


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return seconds
