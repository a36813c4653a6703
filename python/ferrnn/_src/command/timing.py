"""The output of `ferrnn bench FILE`: times of a model's calls and steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.command.inputs import own_inputs, random_inputs
from ferrnn._src.command.sources import ONNX, Source
from ferrnn._src.interop.onnx.streams import OnnxStream
from ferrnn._src.interop.onnx.verifying import onnx_session
from ferrnn._src.interop.to_onnx import to_onnx
from ferrnn._src.models.precisions import in_words
from ferrnn._src.tree.tree import flatten

_HEADING = f"{'case':24}  {'ferrnn':>10}  {'ONNX Runtime':>12}"


def timed(source: Source, seconds: float) -> list[str]:
    """Lines with the times of one call and one step of a model, and those of ONNX Runtime."""
    if source.kind == ONNX:
        return _timed_graph(source, seconds)
    model = source.model(compiles=False)
    words = in_words(model)
    lines = [_HEADING] if words is None else [f"weights in {words}", _HEADING]
    session = _session(lambda: to_onnx(model))
    for batch in (1, 32):
        given = random_inputs(model, batch)
        shape = ",".join(map(str, np.shape(flatten(given)[0])))
        own = _duration(lambda given=given: model.predict_on_batch(given), seconds)  # type: ignore[misc]
        theirs = None
        if session is not None:
            named = {
                each.name: np.asarray(x, "float32" if "float" in each.type else x.dtype)
                for each, x in zip(session.get_inputs(), flatten(given), strict=True)
            }
            theirs = _duration(lambda named=named: session.run(None, named), seconds)  # type: ignore[misc]
        lines.append(_row(f"call [{shape}]", own, theirs))
    try:
        stream = model.stream()
    except (TypeError, ValueError) as error:
        return [*lines, f"one step: {error}"]
    step = np.asarray(flatten(random_inputs(model, 1))[0][0, 0])
    own = _duration(lambda: stream(int(step) if step.ndim == 0 else step), seconds)
    return [*lines, _row("one step of a stream", own, None)]


def _timed_graph(source: Source, seconds: float) -> list[str]:
    """The same for an ONNX graph, as it is in its file."""
    model = source.graph()
    session = _session(lambda: model.content)
    lines = [_HEADING]
    for batch in (1, 32):
        given = random_inputs(model, batch)
        with own_inputs(model, chosen=False):
            model.run(given)
        own = _duration(lambda given=given: model.run(given), seconds)  # type: ignore[misc]
        theirs = None
        if session is not None:
            theirs = _duration(lambda given=given: session.run(None, given), seconds)  # type: ignore[misc]
        shape = ",".join(map(str, np.shape(next(iter(given.values())))))
        lines.append(_row(f"call [{shape}]", own, theirs))
    try:
        stream = model.stream()
    except (TypeError, ValueError) as error:
        return [*lines, f"one step: {error}"]
    given = random_inputs(model, 1)
    if isinstance(stream, OnnxStream):
        named = {name: given[name] for name in stream.inputs}
        own = _duration(lambda: stream(**named), seconds)
    else:
        (array,) = given.values()
        step = np.asarray(array.reshape(-1, *array.shape[2:])[0])
        own = _duration(lambda: stream(int(step) if step.ndim == 0 else step), seconds)
    return [*lines, _row("one step of a stream", own, None)]


def _session(content: Callable[[], bytes]) -> Any:
    """A model in ONNX Runtime, or None if it is not installed or the model cannot be exported."""
    try:
        return onnx_session(content())
    except (ModuleNotFoundError, ValueError):
        return None


def _duration(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _row(case: str, own: float, theirs: float | None) -> str:
    other = "-" if theirs is None else _text(theirs)
    return f"{case:24}  {_text(own):>10}  {other:>12}"


def _text(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"
