"""Code of a user as a program of the engine, or why it cannot be one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ferrnn._core import Program
from ferrnn._src.layer.losses import gathering_losses
from ferrnn._src.programs import convolving, elementwise, layers, products, shaping
from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.hoisting import hoisted
from ferrnn._src.programs.joining import join_products
from ferrnn._src.programs.keeping import homes_of, recompute, sum_last
from ferrnn._src.programs.recorder import (
    BACK,
    SECTIONS,
    STEP,
    Recorder,
    UnsupportedError,
    View,
)
from ferrnn._src.programs.rules import note
from ferrnn._src.programs.settings import unchanged
from ferrnn._src.programs.sketch import CellTrace, Sketch
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter

__all__ = [
    "Code",
    "Lowered",
    "Row",
    "Shapes",
    "lowered",
    "switched_off",
]

# What is traced: from the trace, the inputs and the states it gives the output and the new states.
Code: TypeAlias = Callable[[CellTrace, Any, Any], tuple[Any, Sequence[Any]]]

# What fills the tables of rules.
_RULES = (convolving, elementwise, layers, products, shaping)
# Numbers of rows that two traces take for the batch's: what they record must be the same.
_BATCHES = (7919, 7907)
# The sections forward, and those that a program without a backward pass leaves out.
_FORWARD = 2


def switched_off() -> bool:
    """Whether the environment says `FERRNN_PLAN=0`."""
    return os.environ.get("FERRNN_PLAN", "").strip() == "0"


@dataclass(frozen=True)
class Lowered:
    """A program, and the arrays that its weights are: parameters, and constants of the code.

    `output` is the shape of a step's output without its batch, `kept` the number of elements that
    each step of a row keeps for the backward pass. `whole` says that the mean of the outputs over
    the batch is what the code gives, or with `root` its square root.
    """

    program: Program
    output: tuple[int, ...]
    kept: int
    parameters: tuple[Parameter, ...]
    constants: tuple[Array, ...]
    trained: tuple[bool, ...]
    whole: bool = False
    root: bool = False


class Row:
    """One row's shape without the batch, as a leaf of a structure."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


@dataclass(frozen=True)
class Shapes:
    """What a trace is made for: one step's inputs, each a `Row`, and the shapes of its states.

    Gradients of the inputs are wanted or not, for all of them or for each.
    """

    inputs: Any
    states: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]
    differentiable: bool
    inputs_need_gradient: bool | tuple[bool, ...]


@dataclass
class _Traced:
    """One run of the code on sketches."""

    trace: CellTrace
    inputs: list[View]
    states: list[View]
    output: View
    after: list[View]

    def told(self) -> tuple[Any, ...]:
        """All that the run recorded, to be compared with another's."""
        recorder = self.trace.recorder
        constants = [(n, array.tobytes()) for n, array in sorted(recorder.given.items())]
        ends = (self.output, *self.after, *self.trace.parameters.values())
        return recorder.sections, constants, ends


def lowered(owner: Any, code: Code, shapes: Shapes) -> Lowered:
    """The program of a user's code, which reads the attributes of its `owner`.

    Raises:
        UnsupportedError: With what it is that the engine's programs do not have.
    """
    with unchanged(owner):
        first, second = (_traced(code, shapes, batch) for batch in _BATCHES)
    if first.told() != second.told():
        raise UnsupportedError(
            "a value that depends on the number of rows, or differs between calls"
        )
    return _assembled(owner, first, shapes)


def _traced(code: Code, shapes: Shapes, batch: int) -> _Traced:
    trace = CellTrace(shapes.dtype, batch)
    recorder = trace.recorder
    leaves = flatten(shapes.inputs)
    wanted = shapes.inputs_need_gradient
    if isinstance(wanted, bool):
        wanted = (wanted,) * len(leaves)
    pairs = zip(leaves, wanted, strict=True)
    inputs = [recorder.value(leaf.shape, STEP, needs) for leaf, needs in pairs]
    states = [recorder.value(shape, STEP, True) for shape in shapes.states]
    given = pack_like(shapes.inputs, [trace.sketch(view) for view in inputs])
    token, running = tracing.current.set(trace), tracing.running.set(True)
    try:
        with gathering_losses() as losses:
            before = len(losses)
            output, after = code(trace, given, [trace.sketch(state) for state in states])
            lost = len(losses) > before
    except UnsupportedError:
        raise
    except Exception as error:
        # What is wrong with the code itself shows where it runs on numbers.
        raise UnsupportedError(
            f"an operation that fails on values without numbers ({error})"
        ) from error
    finally:
        tracing.running.reset(running)
        tracing.current.reset(token)
    if lost:
        raise UnsupportedError("`add_loss`")
    ends = [_whole(trace, each, states) for each in after]
    return _Traced(trace, inputs, states, _whole(trace, output, []), ends)


def _whole(trace: CellTrace, value: Any, states: list[View]) -> View:
    """The output of a step in a register of its own."""
    if not isinstance(value, Sketch) or not value.has_rows:
        raise UnsupportedError("an output that depends on neither the inputs nor the states")
    recorder, view = trace.recorder, value.view
    taken = any(view.register == state.register for state in states)
    if recorder.whole(view) and recorder.levels[view.register] == STEP and not taken:
        return view
    copy = recorder.copied(view, level=STEP)
    note(trace, copy, lambda adjoints, g: adjoints.add(view, "copy", g))
    return copy


# From a trace to a program.


def _assembled(owner: Any, traced: _Traced, shapes: Shapes) -> Lowered:
    trace = traced.trace
    recorder = trace.recorder
    back = _way_back(traced, recorder) if shapes.differentiable else None
    weights = [view.register for view in trace.parameters.values()]
    parameters = tuple(trace.parameters)
    ends: dict[str, Any] = {}
    found: list[int | None] = [None] * len(weights)
    states: list[Any] = [(s.register, a.register, None, None) for s, a in _states(traced)]
    if back is not None:
        adjoints, d_output, d_after = back
        adjoints.section = BACK[STEP]
        befores = [adjoints.found(view.register) for view in traced.states]
        states = [
            (s.register, a.register, d, before)
            for (s, a), d, before in zip(_states(traced), d_after, befores, strict=True)
        ]
        found = [adjoints.found(register) for register in weights]
        ends = {
            "d_output": d_output,
            "d_inputs": [adjoints.found(view.register) for view in traced.inputs],
            "d_weights": [*found, *(None for _ in recorder.given)],
        }
    before = {view.register for view in traced.states}
    kept = {traced.output.register, *(view.register for view in traced.after), *recorder.apart}
    kept |= {each for state in states for each in state if each is not None}
    kept |= {each for each in ends.get("d_inputs", ()) if each is not None}
    join_products(recorder, kept)
    inputs = {view.register for view in traced.inputs}
    if back is not None:
        recompute(recorder, before | inputs)
        inputs |= {register for register in ends["d_inputs"] if register is not None}
    homes = homes_of(recorder, inputs, before, goes_back=back is not None)
    sum_last(recorder, homes)
    begin = hoisted(recorder, homes, [(s.register, a.register) for s, a in _states(traced)])
    run = SECTIONS if back is not None else _FORWARD
    sections = [
        [each.told() for each in section] if number < run else []
        for number, section in enumerate(recorder.sections)
    ]
    sections.insert(STEP, [each.told() for each in begin])
    at = int(getattr(owner, "output_state", 0))
    alike = at < len(traced.states) and traced.states[at].shape == traced.output.shape
    program = Program(
        shapes.dtype == np.float64,
        list(zip(homes, recorder.widths, strict=True)),
        sections,
        inputs=[view.register for view in traced.inputs],
        weights=[*weights, *recorder.given],
        states=states,
        output=traced.output.register,
        output_state=at if alike else None,
        **ends,
    )
    constants = tuple(array.reshape(-1) for array in recorder.given.values())
    trained = tuple(each is not None for each in found)
    by_step = ("series", "state")
    kept_elements = sum(
        width for home, width in zip(homes, recorder.widths, strict=True) if home in by_step
    )
    output = traced.output.shape
    whole = trace.gives_mean, trace.gives_root
    return Lowered(program, output, kept_elements, parameters, constants, trained, *whole)


def _states(traced: _Traced) -> Iterator[tuple[View, View]]:
    return zip(traced.states, traced.after, strict=True)


def _way_back(traced: _Traced, recorder: Recorder) -> tuple[Adjoints, int, list[int]]:
    """Instructions for gradients, from those of the output and of the states after a step."""
    adjoints = Adjoints(recorder)
    seeds: dict[int, list[View]] = {}
    registers = []
    for view in (traced.output, *traced.after):
        seed = recorder.value((recorder.widths[view.register],), STEP, True)
        registers.append(seed.register)
        seeds.setdefault(view.register, []).append(seed)
    for register, given in seeds.items():
        adjoints.seed(register, given)
    adjoints.run()
    return adjoints, registers[0], registers[1:]
