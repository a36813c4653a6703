"""Training the networks of several estimators at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferrnn._src.training.together import Fit, fit_all
from ferrnn._src.weights.random import draw_seed


@dataclass(frozen=True)
class Fitting:
    """The trainings of one estimator, each begun by a function, and what follows them."""

    begins: Sequence[Callable[[], Fit]]
    settle: Callable[[], None]


def fit_together(fittings: Sequence[Fitting], verbose: int = 0) -> None:
    """Trains all networks of all estimators; a single one may print its progress.

    Raises:
        Exception: The error of the first training that fails, which ends the others.
    """
    begins = [begin for fitting in fittings for begin in fitting.begins]
    fit_all(begins, (draw_seed() for _ in itertools.count()), verbose)
    for fitting in fittings:
        fitting.settle()
