"""The batches of `predict`: one by one, or many in one call if no callback listens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ferrnn._src.training.batches import Pass, Source
from ferrnn._src.training.callback_list import CallbackList
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.tree.types import Array

_BEGIN, _END = "on_predict_batch_begin", "on_predict_batch_end"


class Planned(Protocol):
    """A plan that computes outputs in the engine."""

    def takes(self, arranged: Sequence[Any] | None, size: int) -> list[Array] | None:
        """The samples for `ahead` in batches of `size`, or None if it does not take them."""

    def ahead(
        self, read: list[Array], size: int, done: int, outputs: list[Array] | None
    ) -> tuple[list[Array] | None, int]:
        """Outputs for the samples from `done` on, and the number of samples done."""


class Predicting(Protocol):
    """The methods of a model that prediction uses."""

    stop_predicting: bool
    steps_per_execution: int

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""

    def predicting_plan(self, batches: int) -> Planned | None:
        """The plan for computing that many batches, or None."""

    def prepare_inputs(self, inputs: Any) -> Any:
        """Inputs as the model takes them, after building it for them."""

    def arranged_inputs(self, x: Any) -> Sequence[Any] | None:
        """An entry for each input, or None if they do not fit."""

    def structured(self, outputs: list[Array]) -> Any:
        """Outputs in the structure that a call of the model returns."""


def predicted(
    model: Predicting, source: Source, hooks: CallbackList, count: int | None
) -> tuple[list[Any], int]:
    """The outputs of at most `count` batches, in parts, with the number of batches in each."""
    batches, done, together = iter(source), 0, model.steps_per_execution
    results: list[Any] = []
    if isinstance(batches, Pass) and not hooks.heard(_BEGIN) and hooks.only_bars(_END):
        results, done = _ahead(model, batches, hooks, count)
    rest = None if count is None else count - done
    stopped = done > 0 and model.stop_predicting
    for step, (part, _, _) in enumerate(itertools.islice(batches, 0 if stopped else rest), done):
        if step % together == 0:
            hooks.tell(_BEGIN, step, {})
        results.append(model.predict_on_batch(part))
        done = step + 1
        if done % together == 0:
            hooks.tell(_END, step, {"outputs": joined(results[-together:])})
            if model.stop_predicting:
                break
    left = done % together
    if left:
        hooks.tell(_END, done - left + together - 1, {"outputs": joined(results[-left:])})
    return results, done


def _ahead(
    model: Predicting, batches: Pass, hooks: CallbackList, count: int | None
) -> tuple[list[Any], int]:
    """The outputs of as many batches as the model's plan computes, and their number."""
    samples, size = batches.samples, batches.size
    most = min(samples.count, batches.left * size)
    if count is not None:
        most = min(most, count * size)
    if most <= size or batches.order() is not None:
        return [], 0
    model.prepare_inputs(samples.part(0, size).x)  # which raises the error
    plan = model.predicting_plan(-(-most // size))
    part = samples if most == samples.count else samples.part(0, most)
    read = None if plan is None else plan.takes(model.arranged_inputs(part.x), size)
    if plan is None or read is None:
        return [], 0
    outputs: list[Array] | None = None
    rows = 0
    while rows < most and not (rows and model.stop_predicting):
        outputs, now = plan.ahead(read, size, rows, outputs)
        if now == rows:
            break
        rows = now
        step = -(-rows // size) - 1
        if hooks.due(_END, step):
            hooks.tell(_END, step, {})
    batches.taken = -(-rows // size)
    if outputs is None:
        return [], 0
    done = outputs if rows == most else [each[:rows] for each in outputs]
    return [model.structured(done)], batches.taken


def joined(parts: list[Any]) -> Any:
    """The outputs of all batches, concatenated in their structure."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    columns = zip(*map(flatten, parts), strict=True)
    return pack_like(parts[0], [np.concatenate(column) for column in columns])
