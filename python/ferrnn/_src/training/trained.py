"""What the loop of `fit` needs of a model."""

from __future__ import annotations

from typing import Protocol

from ferrnn._src.training.callbacks import Logs
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.training.planning import TrainingPlan
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import Turn


class Trained(Protocol):
    """What the loop needs of a model."""

    stop_training: bool
    stop_evaluating: bool
    steps_per_execution: int
    _initial_epoch: int

    def train_turn(self, batch: Batch) -> Turn:
        """One update from one batch; gives its loss."""

    def training_plan(self, fresh: bool = False) -> TrainingPlan | None:
        """The plan by which steps can be taken, if there is one."""

    def testing_plan(self, batches: int) -> TestingPlan | None:
        """The plan by which so many batches can be judged, if there is one."""

    def test_turn(self, batch: Batch) -> Turn:
        """The loss of one batch."""

    def finish_training(self) -> None:
        """What is left to do after the last epoch."""

    def reset_metrics(self) -> None:
        """Forgets what metrics have gathered."""

    def metrics_result(self) -> Logs:
        """The values gathered so far."""


def together(steps: int | None, model: Trained) -> int | None:
    """A number of steps that was asked for, up to the end of those that are told of together."""
    return (
        None
        if steps is None
        else -(-steps // model.steps_per_execution) * model.steps_per_execution
    )
