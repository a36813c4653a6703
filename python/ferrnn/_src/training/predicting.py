"""The batches of `predict`: one by one, or many in one call where no callback listens."""

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
    """The outputs of a model by the engine."""

    def takes(self, arranged: Sequence[Any] | None, size: int) -> list[Array] | None:
        """The samples as `ahead` takes them in batches of `size`, or None if it does not."""

    def ahead(
        self, read: list[Array], size: int, done: int, outputs: list[Array] | None
    ) -> tuple[list[Array] | None, int]:
        """Outputs for the samples from `done` on, and how many samples have theirs now."""


class Predicting(Protocol):
    """What is needed of a model."""

    stop_predicting: bool
    steps_per_execution: int

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""

    def predicting_plan(self, batches: int) -> Planned | None:
        """The plan by which so many batches can be computed, if there is one."""

    def prepare_inputs(self, inputs: Any) -> Any:
        """Inputs as the model takes them, which it is built for then."""

    def arranged_inputs(self, x: Any) -> Sequence[Any] | None:
        """What stands for each input, None where that is better said elsewhere."""

    def structured(self, outputs: list[Array]) -> Any:
        """Outputs as a call of the model gives them."""


def predicted(
    model: Predicting, source: Source, hooks: CallbackList, count: int | None
) -> tuple[list[Any], int]:
    """The outputs of at most `count` batches, in parts of one or more, and how many batches."""
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
    """The outputs of many batches by the model's plan, as far as it goes, and how many batches."""
    samples, size = batches.samples, batches.size
    most = min(samples.count, batches.left * size)
    if count is not None:
        most = min(most, count * size)
    if most <= size or batches.order() is not None:
        return [], 0
    model.prepare_inputs(samples.part(0, size).x)  # which says what is wrong with them
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
    """The outputs of all batches one after the other, in the structure that the batches have."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    columns = zip(*map(flatten, parts), strict=True)
    return pack_like(parts[0], [np.concatenate(column) for column in columns])
