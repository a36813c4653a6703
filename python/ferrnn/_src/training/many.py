"""Training of many models at once: each takes its turns, what the engine does is done together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ferrnn._src.configs.names import counted_anew
from ferrnn._src.training.callback_list import listed, looks_on
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.metrics import Metric
from ferrnn._src.training.planning import PlanKeeper
from ferrnn._src.training.work import Work, run_together
from ferrnn._src.tree.tree import flatten
from ferrnn._src.weights.parameter import structure_version
from ferrnn._src.weights.random import Session, places, set_places

# So many models are in training at the same time: enough for all threads, and few enough that what
# a step reads and writes of them is still in the caches when an epoch is short.
AT_ONCE = 64

Turns: TypeAlias = Generator[Work, None, History]
# Callbacks that write to a place of their own, which copies of them would share.
_PLACES = ("filepath", "filename", "log_dir", "backup_dir", "path")


class Training:
    """The training of one model: its turns, and what came of it.

    `make(key)` gives the model, built and compiled or not, and the keywords of `fit`.
    """

    def __init__(
        self, key: Hashable, make: Callable[[], tuple[Any, dict[str, Any]]], seed: int
    ) -> None:
        self.key, self.make = key, make
        self.session = Session(seed)
        self.model: Any = None
        self.work: Work | None = None
        self.history: History | None = None
        self.error: Exception | None = None
        self.worked = False  # whether the engine was given work of it
        self._turns: Turns | None = None
        self._structure = 0  # of all models at the end of the last turn

    def begin(self, shared: dict[Any, Any], owners: Owners) -> None:
        """Makes the model, and goes up to the first work."""
        with self.session:
            try:
                with counted_anew():  # so that models of one architecture have one description
                    model, options = self.make()
                owners.claim(self.key, _owned(self.key, model))
                self.model = model
                model._plans = PlanKeeper(shared)
                self.session.whole = not all(map(looks_on, options.get("callbacks") or ()))
                self._turns = model.training_turns(**options)
            except Exception as error:  # noqa: BLE001 - of this model alone
                self.error = error
        self.go_on()
        if self.model is not None and self.error is None:
            try:
                owners.claim(self.key, self.model.weights)  # the first batch may have made them
            except ValueError as error:
                self.error, self.work = error, None
                self.close()

    def go_on(self) -> None:
        """Goes up to the next work, if there is any."""
        self.work = None
        if self._turns is None:
            return
        with self.session:
            self._pass_by()
            try:
                self.work = next(self._turns)
                self.worked = not self.work.plan.lowering.handed_back
            except StopIteration as end:
                self.history = end.value
            except Exception as error:  # noqa: BLE001 - of this model alone
                self.error = error
            self._structure = structure_version()

    def _pass_by(self) -> None:
        """What others have made since the last turn does not concern this model."""
        before, now, model = self._structure, structure_version(), self.model
        if before in (0, now):
            return
        known, plans, held = (before, id(model.optimizer)), model._plans, model._held
        if model._prepared == known:
            model._prepared = (now, known[1])
        if plans.prepared == known:
            plans.prepared = (now, known[1])
        if held is not None and held[0][0] == before:
            model._held = (now, held[0][1]), held[1]

    def close(self) -> None:
        """Ends a training that will not go on."""
        if self._turns is not None:
            self._turns.close()


class Owners:
    """Whose weights, optimizers and metrics there are: models that train together share none."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Hashable, Any]] = {}

    def claim(self, key: Hashable, owned: Iterable[Any]) -> None:
        """Notes what the model of a key has.

        Raises:
            ValueError: A model of another key has it as well.
        """
        for each in owned:
            other, _ = self._known.setdefault(id(each), (key, each))
            if other != key:
                raise ValueError(
                    f"`build` must return a model of its own for each group: those of {other!r} "
                    f"and {key!r} share {each!r}"
                )


def _owned(key: Hashable, model: Any) -> list[Any]:
    """A compiled model, its optimizer, and the metrics that it was given."""
    if not hasattr(model, "training_turns") or not model.compiled:
        raise ValueError(
            f"`build` must return a compiled model, received {model!r} for the group {key!r}"
        )
    given = (*flatten(model._metrics.given), *flatten(model._metrics.given_weighted))
    return [model, model.optimizer, *(each for each in given if isinstance(each, Metric))]


def trained_together(trainings: Iterable[Training]) -> Iterator[Training]:
    """Gives each training when it has ended; `AT_ONCE` of them are under way."""
    waiting = iter(trainings)
    active: list[Training] = []
    shared: dict[Any, Any] = {}
    owners, before = Owners(), places()
    try:
        while True:
            while len(active) < AT_ONCE and (fresh := next(waiting, None)) is not None:
                fresh.begin(shared, owners)
                if fresh.work is None:
                    yield fresh
                else:
                    active.append(fresh)
            if not active:
                return
            run_together([each.work for each in active if each.work is not None])
            for each in active:
                each.go_on()
            yield from (each for each in active if each.work is None)
            active = [each for each in active if each.work is not None]
    finally:
        for each in active:
            each.close()
        set_places(before)


def copied_callbacks(callbacks: Any, key: Hashable) -> list[Any]:
    """Callbacks of a model's own: those that a function gives for its key, or copies."""
    if callable(callbacks) and not hasattr(callbacks, "set_model"):
        return listed(callbacks(key))
    return [_copy_of(each) for each in listed(callbacks)]


def _copy_of(callback: Any) -> Any:
    known = [name for name in _PLACES if getattr(callback, name, None) is not None]
    if known:
        raise ValueError(
            f"`callbacks`: a copy of {type(callback).__name__} for each model would write to the "
            f"same `{known[0]}`: give a function `callbacks(key)` that makes each model's own"
        )
    if isinstance(callback, type) or not hasattr(callback, "set_model"):
        raise TypeError(
            "`callbacks` must be `Callback` objects, or a function of the key that gives some, "
            f"received {callback!r}"
        )
    return copy.deepcopy(callback, {id(getattr(callback, "model", None)): None})


def group_options(
    key: Hashable, group: Any, options: Mapping[str, Any], known: frozenset[str]
) -> dict[str, Any]:
    """The keywords of `fit` for one group: `(x, y)`, `(x, y, sample_weight)` or keywords."""
    if isinstance(group, Mapping):
        wrong = sorted(set(map(str, group)) - known)
        if wrong:
            raise ValueError(
                f"`groups[{key!r}]` must hold arguments of `fit` {sorted(known)}, received {wrong}"
            )
        return {**options, **group}
    if not isinstance(group, tuple | list) or not 2 <= len(group) <= 3:
        received = type(group).__name__
        if isinstance(group, tuple | list):
            received += f" of {len(group)}"
        raise ValueError(
            f"`groups[{key!r}]` must be (x, y), (x, y, sample_weight) or a dict of arguments of "
            f"`fit`, received a {received}"
        )
    return {**options, **dict(zip(("x", "y", "sample_weight"), group, strict=False))}
