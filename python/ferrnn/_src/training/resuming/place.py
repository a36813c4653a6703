"""The place in the batches of `fit`, and how to return to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ferrnn._src.training.batches import Batches, GivenBatches, Pass, Source
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.resuming.generators import session, set_states, states_of
from ferrnn._src.training.resuming.walk import Search
from ferrnn._src.training.samples import Batch


def data_of(source: Source) -> Any:
    """The user's data behind a source, or the source itself if that is arrays."""
    return source.given if isinstance(source, GivenBatches) else source


class Place:
    """The number of batches taken from a source, and the states of generators at the start.

    Arrays and a `PyDataset` are resumed by number. A generator is run again from its first batch,
    anything else from the start of its pass, with the states that its own and the session's random
    generators had then.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._taken = 0  # batches of the pass; for a generator, of all passes
        self._pass: Pass | None = None  # counts batches itself
        self._data = data_of(source)
        self._by_number = isinstance(self._data, PyDataset)
        self._own_state = _has_own_state(self._data)
        # Whether a thread makes batches ahead, so that generators of the data are ahead of `taken`.
        self.runs_ahead = bool(getattr(self._data, "runs_ahead", False))
        self._search = Search({"data": self._data})
        self._begun = states_of(self._generators()) if source.once else {}
        self._calls: list[list[Any]] = []

    @property
    def taken(self) -> int:
        """The number of batches taken in the pass; for a generator, in all passes."""
        return self._taken if self._pass is None else self._pass.taken

    def _generators(self) -> Mapping[str, Any]:
        found = self._search.found().generators
        return found if isinstance(self.source, Batches) else {**found, **session()}

    def own_generators(self) -> list[Any]:
        """The generators that the data holds."""
        return list(self._search.found().generators.values())

    def passing(self, batches: Iterator[Batch], taken: int = 0) -> Iterator[Batch]:
        """The batches of a pass, counted as they are taken; a pass over arrays counts itself."""
        if isinstance(batches, Pass):
            self._pass = batches
            if not taken:
                batches.before_order = self._begin
            return batches
        return self._counted(batches, taken)

    def _begin(self) -> None:
        self._begun = states_of(self._generators())

    def _counted(self, batches: Iterator[Batch], taken: int) -> Iterator[Batch]:
        if not self.source.once:
            self._taken = taken
            if not taken and not self._by_number:
                self._begin()
        for batch in batches:
            self._taken += 1
            yield batch

    def tell(self, hook: str) -> None:
        """Calls `on_epoch_begin` or `on_epoch_end` of the data, and records the call.

        The calls may change a `PyDataset` (such as the order of its samples), so they are repeated
        when training is resumed.
        """
        told = getattr(self.source, hook)
        kept = self._by_number and not self._own_state
        if not kept or getattr(type(self._data), hook) is getattr(PyDataset, hook):
            told()
            return
        generators = self._generators()
        before = states_of(generators)
        told()
        after = states_of(generators)
        used = [name for name, state in before.items() if not _alike(state, after[name])]
        self._calls.append([hook, {name: before[name] for name in used}])

    def state(self, *, inside: bool) -> dict[str, Any]:
        """The state for `restore`; `inside` tells whether the pass will be continued."""
        needed = inside or self.source.once
        return {
            "signature": self.source.signature(),
            "taken": self.taken if needed else 0,
            "begun": self._begun if needed else {},
            "calls": list(self._calls),
            "own": self._data.get_state() if self._own_state else None,
        }

    def restore(self, state: Mapping[str, Any]) -> Iterator[Batch] | None:
        """The rest of the pass, if it had begun; changes the states of generators."""
        if self._own_state and state["own"] is not None:
            self._data.set_state(state["own"])
        for hook, states in state["calls"]:
            set_states({k: v for k, v in self._generators().items() if k in states}, states)
            getattr(self.source, hook)()
        self._calls = list(state["calls"])
        taken = state["taken"]
        if not taken:
            self._begun = state["begun"]
            return None
        if state["signature"] != self.source.signature():
            raise ValueError(
                "the training was interrupted in the middle of an epoch over other data: expected "
                f"{_shown(state['signature'])}, received {_shown(self.source.signature())}. Pass "
                "the same data and batches, or remove the folder to start over"
            )
        self._begun = state["begun"]
        set_states(self._generators(), self._begun)
        rest = self.source.starting_at(taken)
        self._taken = taken
        return self.passing(rest, taken)


def _has_own_state(data: Any) -> bool:
    """Whether a dataset has `get_state()` and `set_state(state)` for its own state."""
    return all(callable(getattr(data, name, None)) for name in ("get_state", "set_state"))


def _alike(one: Any, other: Any) -> bool:
    return repr(_flat(one)) == repr(_flat(other))


def _flat(state: Any) -> Any:
    if hasattr(state, "tobytes"):
        return state.tobytes()
    if isinstance(state, dict):
        return [(key, _flat(each)) for key, each in state.items()]
    return [_flat(each) for each in state] if isinstance(state, list) else state


def _shown(signature: list[Any]) -> str:
    names = ("kind", "batches", "samples", "batch_size", "shuffle")
    return ", ".join(f"{name} {value}" for name, value in zip(names, signature, strict=False))


def pass_at(source: Source, place: Place | None) -> Iterator[Batch]:
    """A pass over a source, counted by a place if one is given."""
    return iter(source) if place is None else place.passing(iter(source))
