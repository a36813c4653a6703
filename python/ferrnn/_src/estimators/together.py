"""Networks of estimators that are trained at the same time, in the engine where it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ferrnn._src.training.many import Training, trained_together
from ferrnn._src.weights.random import draw_seed


@dataclass(frozen=True)
class Fit:
    """One training: `model.fit(**options)`, whose history goes to `ended`."""

    model: Any
    options: dict[str, Any]
    ended: Callable[[Any], None]

    def run(self, verbose: int) -> None:
        """Trains it alone."""
        self.ended(self.model.fit(**self.options, verbose=verbose))


@dataclass(frozen=True)
class Fitting:
    """The trainings of one estimator, each of which a function begins, and what follows them."""

    begins: Sequence[Callable[[], Fit]]
    settle: Callable[[], None]


def fit_together(fittings: Sequence[Fitting], verbose: int = 0) -> None:
    """Trains all networks of all estimators; one alone may tell how it goes.

    Raises:
        Exception: What the first training that failed has raised; the others end there.
    """
    begins = [begin for fitting in fittings for begin in fitting.begins]
    if len(begins) == 1:
        begins[0]().run(verbose)
    else:
        _train(begins)
    for fitting in fittings:
        fitting.settle()


def _train(begins: Sequence[Callable[[], Fit]]) -> None:
    begun: dict[int, Fit] = {}

    def made(at: int) -> Callable[[], tuple[Any, dict[str, Any]]]:
        def make() -> tuple[Any, dict[str, Any]]:
            fit = begun[at] = begins[at]()
            return fit.model, {**fit.options, "verbose": 0}

        return make

    trainings = (Training(at, made(at), draw_seed()) for at in range(len(begins)))
    for training in trained_together(trainings):
        if training.error is not None:
            raise training.error
        begun.pop(int(training.key)).ended(training.history)  # type: ignore[call-overload]
