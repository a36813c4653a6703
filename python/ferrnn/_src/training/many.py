"""Training of many models at once, which take turns and share calls of the engine."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ferrnn._src.configs.names import counted_anew
from ferrnn._src.configs.notices import Notice, gathered
from ferrnn._src.training.callback_list import listed, looks_on
from ferrnn._src.training.callbacks import History
from ferrnn._src.training.metrics import Metric
from ferrnn._src.training.planning import PlanKeeper
from ferrnn._src.training.work import Work, run_together
from ferrnn._src.tree.tree import flatten
from ferrnn._src.weights.parameter import structure_version
from ferrnn._src.weights.random import Session, places, set_places

# The number of models in training at the same time: enough for all threads, and few enough that
# the memory of their steps stays in the caches while epochs are short.
AT_ONCE = 64

Turns: TypeAlias = Generator[Work, None, History]
# Callbacks that write to a path, which their copies would share.
_PLACES = ("filepath", "filename", "log_dir", "backup_dir", "path")


class Training:
    """The training of one model: its turns and its result.

    `make(key)` returns the model, built and compiled or not, and the keywords of `fit`.
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
        self.notices: list[Notice] = []  # its warnings
        self.worked = False  # whether some of its work has been done by the engine
        self._turns: Turns | None = None
        self._structure = 0  # the structure version at the end of the last turn

    def begin(self, shared: dict[Any, Any], owners: Owners) -> None:
        """Makes the model, and runs up to its first work."""
        with self.session, gathered(self.notices):
            try:
                # So that models of the same architecture have the same description.
                with counted_anew():
                    model, options = self.make()
                owners.claim(self.key, _owned(self.key, model))
                self.model = model
                model._plans = PlanKeeper(shared)
                self.session.whole = not all(map(looks_on, options.get("callbacks") or ()))
                self._turns = model.training_turns(**options)
            except Exception as error:  # noqa: BLE001 - an error of this model alone
                self.error = error
        self.go_on()
        if self.model is not None and self.error is None:
            try:
                owners.claim(self.key, self.model.weights)  # the first batch may have made weights
            except ValueError as error:
                self.error, self.work = error, None
                self.close()

    def go_on(self) -> None:
        """Runs up to its next work, if there is any."""
        self.work = None
        if self._turns is None:
            return
        with self.session, gathered(self.notices):
            self._pass_by()
            try:
                self.work = next(self._turns)
                self.worked = not self.work.plan.lowering.handed_back
            except StopIteration as end:
                self.history = end.value
            except Exception as error:  # noqa: BLE001 - an error of this model alone
                self.error = error
            self._structure = structure_version()

    def _pass_by(self) -> None:
        """Ignores changes of structure that other models have made since the last turn."""
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
        """Ends a training that will not be continued."""
        if self._turns is not None:
            self._turns.close()


class Owners:
    """Owners of weights, optimizers and metrics, which models trained together must not share."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Hashable, Any]] = {}

    def claim(self, key: Hashable, owned: Iterable[Any]) -> None:
        """Registers the parts of the model of a key.

        Raises:
            ValueError: A model of another key has one of them as well.
        """
        for each in owned:
            other, _ = self._known.setdefault(id(each), (key, each))
            if other is not key and other != key:
                raise ValueError(
                    f"`build` must return a separate model for each group, but those of {other!r} "
                    f"and {key!r} share {each!r}"
                )


def _owned(key: Hashable, model: Any) -> list[Any]:
    """A compiled model, its optimizer and its metrics."""
    if not hasattr(model, "training_turns") or not model.compiled:
        raise ValueError(
            f"`build` must return a compiled model, received {model!r} for the group {key!r}"
        )
    given = (*flatten(model._metrics.given), *flatten(model._metrics.given_weighted))
    return [model, model.optimizer, *(each for each in given if isinstance(each, Metric))]


def trained_together(trainings: Iterable[Training]) -> Iterator[Training]:
    """Yields each training when it has ended; `AT_ONCE` of them run at the same time."""
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
    """The callbacks of one model: those that a function returns for its key, or copies."""
    if callable(callbacks) and not hasattr(callbacks, "set_model"):
        return listed(callbacks(key))
    return [_copy_of(each) for each in listed(callbacks)]


def _copy_of(callback: Any) -> Any:
    known = [name for name in _PLACES if getattr(callback, name, None) is not None]
    if known:
        raise ValueError(
            f"`callbacks`: a copy of {type(callback).__name__} for each model would write to the "
            f"same `{known[0]}`: pass a function `callbacks(key)` that makes them for each model"
        )
    if isinstance(callback, type) or not hasattr(callback, "set_model"):
        raise TypeError(
            "`callbacks` must be `Callback` objects, or a function of the key that returns some, "
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
