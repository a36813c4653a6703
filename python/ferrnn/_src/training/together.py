"""Runs several trainings at the same time, together in the engine where possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.many import Training, trained_together


@dataclass(frozen=True)
class Fit:
    """One training, `model.fit(**options)`, whose history is passed to `ended`."""

    model: Any
    options: dict[str, Any]
    ended: Callable[[Any], None]

    def run(self, verbose: str | int) -> None:
        """Runs this training alone."""
        self.ended(self.model.fit(**self.options, verbose=verbose))


def fit_all(
    begins: Sequence[Callable[[], Fit]], seeds: Iterable[int], verbose: str | int = 0
) -> None:
    """Runs all trainings that `begins` return, each in a session with its own seed.

    A single one runs in the current session, and may print its progress.

    Raises:
        Exception: The error of the first training that fails, which ends the others.
    """
    if len(begins) == 1:
        begins[0]().run(verbose)
        return
    begun: dict[int, Fit] = {}

    def made(at: int) -> Callable[[], tuple[Any, dict[str, Any]]]:
        def make() -> tuple[Any, dict[str, Any]]:
            fit = begun[at] = begins[at]()
            return fit.model, {**fit.options, "verbose": 0}

        return make

    numbered = zip(range(len(begins)), seeds, strict=False)
    trainings = (Training(at, made(at), seed) for at, seed in numbered)
    for training in trained_together(trainings):
        for message, category in training.notices:
            warn(message, category)
        if training.error is not None:
            raise training.error
        begun.pop(int(training.key)).ended(training.history)  # type: ignore[call-overload]
