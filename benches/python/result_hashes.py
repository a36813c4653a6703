"""Hashes of the engine's results over many random cases, to compare before and after a change.

    python benches/python/result_hashes.py                     # every level of this CPU
    python benches/python/result_hashes.py --write before.json # and each case's hash
    python benches/python/result_hashes.py --against before.json

The cases are drawn from a fixed seed: cells, sizes, masks, directions, dropout, activations,
dtypes, threads, streams. The bits depend on the instruction set: each level has its own hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn import _core

CASES = 1000
# The engine's name, gates, states, whether there are two rows of biases, vectors, keywords.
CELLS = (
    ("lstm", 4, 2, False, 0, {}),
    ("gru", 3, 1, True, 0, {"reset_after": True}),
    ("gru", 3, 1, False, 0, {"reset_after": False}),
    ("simple_rnn", 1, 1, False, 0, {}),
    ("coupled_lstm", 3, 2, False, 0, {}),
    ("minimal_gated", 2, 1, False, 0, {}),
    ("peephole_lstm", 4, 2, False, 3, {}),
    ("ind_rnn", 1, 1, False, 1, {}),
)
PROJECTED = ("lstm", "coupled_lstm")
SIZES = (1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 24, 31, 32, 40, 48, 65, 96, 100, 128, 160)
BATCHES = (0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 32, 33, 45, 70)
ACTIVATIONS = ("relu", "linear", "softsign", "elu", "gelu", "sigmoid", "hard_sigmoid")


def main() -> int:
    """Prints a hash for each level; 1 if a case differs from those of `--against`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=CASES, help="random cases for each level")
    parser.add_argument("--write", type=Path, help="where to write each case's hash")
    parser.add_argument("--against", type=Path, help="a file of `--write` to compare with")
    parser.add_argument("--level", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.level:
        print(json.dumps([hashed(number) for number in range(asked.cases)]))
        return 0
    found = {level: of_level(level, asked.cases) for level in _core.machine()["levels"]}
    for level, cases in found.items():
        together = hashlib.sha256("".join(cases).encode()).hexdigest()
        print(f"{level:<10} {len(cases)} cases  {together[:32]}")
    if asked.write:
        asked.write.write_text(json.dumps(found))
    return differences(json.loads(asked.against.read_text()), found) if asked.against else 0


def of_level(level: str, cases: int) -> list[str]:
    """The hashes of all cases, computed by a process of that level."""
    command = [sys.executable, __file__, "--level", level, "--cases", str(cases)]
    environment = {**os.environ, "FERRNN_SIMD": level}
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return list(json.loads(ran.stdout))


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> int:
    """Names the cases that differ; 1 if there are any."""
    wrong = [
        f"{level}: case {number}: {named(number)}"
        for level, cases in before.items()
        for number, (was, now) in enumerate(zip(cases, after.get(level, ()), strict=True))
        if was != now
    ]
    print(*wrong[:20], f"{len(wrong)} cases differ", sep="\n")
    return 1 if wrong else 0


def named(number: int) -> str:
    """A case in words."""
    kind, made = drawn(number)
    return f"{kind} { ({name: value for name, value in made.items() if np.isscalar(value)}) }"


def hashed(number: int) -> str:
    """The hash of one case's results."""
    kind, made = drawn(number)
    _core.set_num_threads(made["threads"])
    digest = hashlib.sha256()
    results = of_sequence(**made) if kind == "sequence" else of_stream(**made)
    for array in results:
        digest.update(f"{array.dtype}{array.shape}".encode())
        # All NaNs count as equal: instruction sets differ in their sign.
        digest.update(np.where(np.isnan(array), np.nan, array).astype(array.dtype).tobytes())
    return digest.hexdigest()[:16]


def drawn(number: int) -> tuple[str, dict[str, Any]]:
    """The kind of a case and its sizes and options."""
    draw = np.random.default_rng([2026, number])
    kind = "stream" if number % 6 == 5 else "sequence"
    made = {
        "draw": draw,
        "cell": int(draw.integers(len(CELLS))),
        "double": bool(draw.random() < 0.3),
        "batch": int(draw.choice(BATCHES)),
        "time": int(draw.choice((0, 1, 2, 3, 5, 9, 20, 37))),
        "features": int(draw.choice(SIZES)),
        "units": int(draw.choice(SIZES)),
        "threads": int(draw.integers(1, 3)),
        "standard": bool(draw.random() < 0.75),
        "bias": bool(draw.random() < 0.8),
        "halved": bool(draw.random() < 0.12),
    }
    projects = CELLS[made["cell"]][0] in PROJECTED and draw.random() < 0.25
    made["outputs"] = int(draw.integers(1, made["units"] + 1)) if projects else made["units"]
    return kind, made


def packed(
    draw: np.random.Generator, cell: int, dtype: Any, features: int, units: int, **made: Any
) -> _core.Weights:
    """The weights of a case."""
    name, gates, _, twice, vectors, keywords = CELLS[cell]
    outputs = made["outputs"]
    kernel = 0.5 * draw.standard_normal((features, gates * units)) / np.sqrt(features)
    recurrent = draw.standard_normal((outputs, gates * units)) / np.sqrt(outputs)
    alone = 0.5 * draw.standard_normal((vectors, units)) if vectors else None
    projection = None
    if outputs < units:
        projection = draw.standard_normal((units, outputs)) / np.sqrt(units)
    bias = 0.3 * draw.standard_normal((2, gates * units) if twice else gates * units)
    activation, gate = ("tanh", "sigmoid") if made["standard"] else draw.choice(ACTIVATIONS, 2)
    return _core.Weights(
        name,
        kernel.astype(dtype),
        None if name == "ind_rnn" else recurrent.astype(dtype),
        bias.astype(dtype) if made["bias"] else None,
        activation=str(activation),
        recurrent_activation=str(gate),
        precision="bfloat16" if made["halved"] and dtype == np.float32 else "full",
        vectors=None if alone is None else alone.astype(dtype),
        projection=None if projection is None else projection.astype(dtype),
        **keywords,
    )


def of_sequence(
    draw: np.random.Generator, cell: int, double: bool, batch: int, time: int, **made: Any
) -> Iterator[np.ndarray]:
    """Outputs, states and gradients of a call."""
    dtype = np.float64 if double else np.float32
    features, units = made["features"], made["units"]
    _, gates, states, *_ = CELLS[cell]
    sizes = (made["outputs"], units)[:states]
    weights = packed(draw, cell, dtype, **made)
    halved = made["halved"] and not double

    def normal(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape).astype(dtype)

    def dropout(size: int) -> np.ndarray | None:
        if draw.random() < 0.75:
            return None
        count = 1 if halved else int(draw.choice((1, gates)))
        return (draw.random((count, batch, size)) < 0.8).astype(dtype) / dtype(0.8)

    inputs = (
        normal(batch, time + 1, features)[:, :time]
        if draw.random() < 0.3
        else normal(batch, time, features)
    )
    initial = [normal(batch, size) for size in sizes] if draw.random() < 0.5 else None
    problem = _core.Problem(
        weights,
        inputs,
        initial,
        mask_of(draw, batch, time),
        dropout(features),
        dropout(made["outputs"]),
        go_backwards=bool(draw.random() < 0.3),
        return_sequences=bool(draw.random() < 0.7),
        zero_output_for_mask=bool(draw.random() < 0.3),
    )
    outputs, final, residuals = _core.rnn_forward(weights, problem, not halved)
    yield outputs
    yield from final
    if residuals is None:
        return
    d_final = [normal(batch, size) if draw.random() < 0.7 else None for size in sizes]
    d_inputs, d_weights, d_initial = _core.rnn_backward(
        weights,
        residuals,
        problem,
        outputs,
        normal(*outputs.shape) if draw.random() < 0.9 else None,
        d_final if draw.random() < 0.5 else None,
        bool(draw.random() < 0.8),
        bool(draw.random() < 0.5),
    )
    if d_inputs is not None:
        yield d_inputs
    yield from d_weights
    yield from d_initial


def mask_of(draw: np.random.Generator, batch: int, time: int) -> np.ndarray | None:
    """No mask, first steps, or any."""
    kind = draw.random()
    if kind < 0.5:
        return None
    if kind < 0.75:
        return np.arange(time) < draw.integers(0, time + 1, (batch, 1))
    return draw.random((batch, time)) < 0.7


def of_stream(
    draw: np.random.Generator, double: bool, batch: int, time: int, **made: Any
) -> Iterator[np.ndarray]:
    """Outputs and states of a stream: a cell, sometimes with ids or other layers around it."""
    dtype = np.float64 if double else np.float32
    features, units = made["features"], made["outputs"]
    parts: list[Any] = []
    ids = draw.random() < 0.3
    if ids:
        rows = draw.standard_normal((11, features)).astype(dtype)
        parts.append(_core.EmbeddingWeights(rows, mask_zero=bool(draw.random() < 0.6)))
    parts.append(packed(draw, dtype=dtype, **made))
    if draw.random() < 0.3:
        gamma = draw.standard_normal(units).astype(dtype)
        parts.append(_core.NormalizationWeights(units, 1e-3, gamma, None, double=double))
    if draw.random() < 0.3:
        parts.append(packed(draw, dtype=dtype, **{**made, "features": units}))
    if draw.random() < 0.5:
        kernel = draw.standard_normal((units, 10)).astype(dtype)
        parts += [_core.DenseWeights(kernel, None, activation="relu"), "softmax"]
    streams = max(batch, 1)
    stream = _core.Stream(parts, 1 if ids else features, streams, double)
    for _ in range(time):
        step = (
            draw.integers(0, 11, streams)
            if ids
            else draw.standard_normal((streams, features)).astype(dtype)
        )
        yield np.array(stream(step))
    yield from stream._read_states()


if __name__ == "__main__":
    sys.exit(main())
