"""The arguments of `ferrnn` on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ferrnn._src.command import bench, files, timing
from ferrnn._src.command.floor import GATES
from ferrnn._src.command.sources import Source
from ferrnn._src.machine import show_config
from ferrnn._src.native import machine, num_threads


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.command == "config":
        if asked.json:
            print(json.dumps(show_config(mode="dicts"), indent=2))
        else:
            show_config()
        return 0
    try:
        with files.warnings_given() as said:
            _COMMANDS[asked.command](asked)
        for text in dict.fromkeys(said):
            print(f"ferrnn {asked.command}: warning: {text}", file=sys.stderr)
    except (ValueError, TypeError, NotImplementedError, OSError, ImportError) as error:
        print(f"ferrnn {asked.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _info(asked: argparse.Namespace) -> None:
    for line in files.info(asked.file):
        print(line)


def _convert(asked: argparse.Namespace) -> None:
    files.convert(_source(asked), asked.target, asked.keras, asked.precision)


def _verify(asked: argparse.Namespace) -> None:
    print(files.verified(_source(asked), asked.against, asked.inputs))


def _source(asked: argparse.Namespace) -> Source:
    """The file to open, with the options for its reader."""
    return Source(asked.file, asked.layers, asked.input_shape, asked.backend)


def _bench(asked: argparse.Namespace) -> None:
    if asked.file is not None:
        print("\n".join(timing.timed(_source(asked), asked.seconds / 12)))
        return
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
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="bench | config | info | convert | verify"
    )
    table = commands.add_parser(
        "bench",
        help="time a few typical calls, in about 15 seconds",
        description="Times a few typical calls and compares them with the shortest time possible.",
    )
    table.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="time this model: a call and a step, compared with ONNX Runtime",
    )
    table.add_argument(
        "--threads",
        type=_threads,
        nargs="+",
        metavar="N",
        help="numbers of threads (default: 1, and all in use)",
    )
    table.add_argument("--cell", choices=tuple(GATES), default="lstm")
    table.add_argument(
        "--seconds",
        type=_seconds,
        default=12.0,
        help="total time of measuring, approximately (default 12)",
    )
    table.add_argument("--json", action="store_true", help="print JSON")
    _add_reading(table)
    config = commands.add_parser(
        "config",
        help="print instruction set, threads, caches and versions",
        description="Prints instruction set, threads, CPU, caches and versions.",
    )
    config.add_argument("--json", action="store_true", help="print JSON")
    _add_files(commands)
    return parser


def _add_files(commands: Any) -> None:
    """The commands for model files."""
    info = commands.add_parser("info", help="describe the contents of a model file")
    info.add_argument("file", type=Path)
    convert = commands.add_parser(
        "convert", help="write a model in another format: .keras, .h5, .safetensors, .onnx"
    )
    convert.add_argument("file", type=Path, metavar="IN")
    convert.add_argument("target", type=Path, metavar="OUT")
    convert.add_argument(
        "--keras", type=int, choices=(2, 3), help="the version of Keras that a .h5 file is for"
    )
    convert.add_argument(
        "--precision",
        choices=("full", "bfloat16", "int8"),
        help="precision of recurrent layers' weights for inference (.safetensors only)",
    )
    _add_reading(convert)
    verify = commands.add_parser(
        "verify", help="run inputs through a model and a second source, layer by layer"
    )
    verify.add_argument("file", type=Path)
    verify.add_argument(
        "--against",
        help=(
            "float64 (in NumPy, step by step; the default), onnxruntime (the default for ONNX "
            "files if it is installed), keras, or another file"
        ),
    )
    verify.add_argument(
        "--inputs",
        type=Path,
        help="a .npy file, or a .npz file of arrays by name (default: random numbers)",
    )
    _add_reading(verify)


def _add_reading(command: argparse.ArgumentParser) -> None:
    """Options for what a file does not contain."""
    command.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME[:SETTING=VALUE,...]",
        help=(
            "for PyTorch files, the modules in the order in which data passes through them; see "
            "`ferrnn info FILE` and the documentation of `from_torch`"
        ),
    )
    command.add_argument(
        "--input-shape",
        type=_shape,
        metavar="N,...",
        help="for PyTorch files, the shape of one input without the batch, as in none,16",
    )
    command.add_argument(
        "--backend", choices=("theano",), help="for files of Keras 1 trained on Theano"
    )


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "bench": _bench,
    "info": _info,
    "convert": _convert,
    "verify": _verify,
}


def _threads(text: str) -> int:
    try:
        threads = int(text)
    except ValueError:
        threads = 0
    if not 1 <= threads <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1024, received {text!r}")
    return threads


def _shape(text: str) -> tuple[int | None, ...]:
    try:
        sizes = tuple(None if each == "none" else int(each) for each in text.lower().split(","))
    except ValueError:
        sizes = (0,)
    if any(size is not None and size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(
            f"expected numbers or none, as in none,16, received {text!r}"
        )
    return sizes


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return seconds
