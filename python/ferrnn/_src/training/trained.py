"""The methods of a model that the loop of `fit` uses."""

from __future__ import annotations

from typing import Protocol

from ferrnn._src.training.callbacks import Logs
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.training.planning import TrainingPlan
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import Turn


class Trained(Protocol):
    """A model that the loop can train."""

    stop_training: bool
    stop_evaluating: bool
    steps_per_execution: int
    _initial_epoch: int

    @property
    def logs_sums(self) -> bool:
        """Whether what is logged follows from sums of losses and metrics alone."""

    def train_turn(self, batch: Batch) -> Turn:
        """One update from one batch; returns its loss."""

    def training_plan(self, fresh: bool = False) -> TrainingPlan | None:
        """The plan for training steps, or None."""

    def testing_plan(self, batches: int) -> TestingPlan | None:
        """The plan for evaluating that many batches, or None."""

    def test_turn(self, batch: Batch) -> Turn:
        """The loss of one batch."""

    def finish_training(self) -> None:
        """Called after the last epoch."""

    def reset_metrics(self) -> None:
        """Resets the metrics."""

    def metrics_result(self) -> Logs:
        """The values of the metrics so far."""


def together(steps: int | None, model: Trained) -> int | None:
    """A number of steps, rounded up to whole groups of `steps_per_execution`."""
    return (
        None
        if steps is None
        else -(-steps // model.steps_per_execution) * model.steps_per_execution
    )
