"""The state of training at one moment, gathered from its parts and restored to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.plain import Prints, changed, plain_attributes, prints
from ferrnn._src.training.resuming.container import Bundle, Packed, is_plain
from ferrnn._src.training.resuming.generators import session, set_states, states_of
from ferrnn._src.training.resuming.metric_state import (
    make_metrics,
    metric_state,
    set_metric_state,
    shapes_of,
)
from ferrnn._src.training.resuming.place import Place, data_of
from ferrnn._src.training.resuming.walk import Found, Search, of_package
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.weights.parameter import Parameter


class Memory:
    """The state of a model, its callbacks and its data.

    Make one before training begins: attributes of users' objects belong to the state only if
    training has changed them since.
    """

    def __init__(
        self,
        model: Any,
        callbacks: Sequence[Any] = (),
        places: Mapping[str, Place] | None = None,
    ) -> None:
        self.model = model
        self.callbacks = _named(callbacks)
        self.places = dict(places or {})
        roots = {"model": model, **self.callbacks}
        roots |= {name: data_of(place.source) for name, place in self.places.items()}
        self._search = Search(roots)
        self._fresh: dict[int, Prints] = {}
        self._ahead: set[int] = set()  # generators of data from which a thread draws ahead
        for owner in [*self.callbacks.values(), *self._found().owned.values()]:
            self._fresh[id(owner)] = prints(_attributes(owner))

    def _found(self) -> Found:
        compiled = getattr(self.model, "_metrics", None)
        late = (getattr(compiled, "to_come", None), len(getattr(self.model, "_loss_means", ())))
        found = self._search.found(late)
        found.generators.update(session())
        return found

    # Saving.

    def state(self, *, inside: bool) -> dict[str, Any]:
        """The state as plain values, `inside` an epoch or between two."""
        found = self._found()
        known = {id(variable): place for place, variable in found.parameters.items()}
        return {
            "weights": Bundle({place: each.value for place, each in found.parameters.items()}),
            "optimizers": {
                place: [
                    [known.get(id(weight), "") for weight in each._trainable_variables],
                    Bundle({str(at): each.value for at, each in enumerate(each.variables)}),
                ]
                for place, each in found.optimizers.items()
            },
            "carried": {place: _carried(each) for place, each in found.stateful.items()},
            "attributes": {place: self._changed(each) for place, each in found.owned.items()},
            "shapes": shapes_of(self.model),
            "metrics": {place: metric_state(each) for place, each in found.metrics.items()},
            "logs": getattr(self.model, "_own_logs", None),
            "stop": bool(getattr(self.model, "stop_training", False)),
            "callbacks": {name: self._of(each) for name, each in self.callbacks.items()},
            "places": {name: each.state(inside=inside) for name, each in self.places.items()},
            "generators": states_of(found.generators),
        }

    def _of(self, callback: Any) -> Any:
        own = getattr(type(callback), "get_state", None)
        if own is None or own is Callback.get_state:
            return self._changed(callback)
        state = callback.get_state()
        if not is_plain(state):  # the error names the place
            Packed(state, f"what `get_state` of {type(callback).__name__} returns")
        return state

    def _changed(self, owner: Any) -> dict[str, Any]:
        return changed(_attributes(owner), self._fresh.get(id(owner), {}))

    # Restoring.

    def restore(self, state: Mapping[str, Any]) -> dict[str, Iterator[Batch] | None]:
        """Restores everything; returns the rest of each pass that had begun.

        Raises:
            ValueError: If the weights are those of another model; then nothing is changed.
        """
        self._check(state["weights"])
        rests = {
            name: place.restore(state["places"][name])
            for name, place in self.places.items()
            if name in state["places"]
        }
        # Other generators must be restored, as they may be used elsewhere too.
        self._ahead = {
            id(generator)
            for name, rest in rests.items()
            if rest is not None and self.places[name].runs_ahead
            for generator in self.places[name].own_generators()
        }
        self.give_back(state)
        return rests

    def give_back(self, state: Mapping[str, Any]) -> None:
        """Restores everything except the places in the data."""
        make_metrics(self.model, state["shapes"])
        found = self._found()
        for place, value in state["weights"].items():
            found.parameters[place].assign(value)
        for place, (weights, variables) in state["optimizers"].items():
            values = list(variables.values())
            if place in found.optimizers:
                _restore_optimizer(found.optimizers[place], weights, values, found.parameters)
        for place, states in state["carried"].items():
            if place in found.stateful:
                found.stateful[place].states = states
        for place, values in state["attributes"].items():
            vars(found.owned.get(place, _Nobody())).update(values)
        for place, gathered in state["metrics"].items():
            if place in found.metrics:
                set_metric_state(found.metrics[place], gathered)
        self.model._own_logs = state["logs"]
        self.model.stop_training = state["stop"]
        self._restore_callbacks(state["callbacks"])
        self._restore_generators(state["generators"])

    def _check(self, weights: Mapping[str, Any]) -> None:
        there = self._found().parameters
        other = sorted(set(there) ^ set(weights))
        if other:
            one = "the checkpoint" if other[0] in weights else "the model"
            raise ValueError(
                f"the checkpoint is one of another model: expected {len(there)} weights, received "
                f"{len(weights)}; only {one} has {other[0]!r}. Remove the folder to start over"
            )
        for place, value in weights.items():
            if there[place].shape != value.shape or there[place].dtype != value.dtype:
                raise ValueError(
                    f"the checkpoint is one of another model: {place!r} must have the shape "
                    f"{there[place].shape} and dtype {there[place].dtype}, received {value.shape} "
                    f"and {value.dtype}. Remove the folder to start over"
                )

    def _restore_callbacks(self, states: Mapping[str, Any]) -> None:
        for name, callback in self.callbacks.items():
            if name not in states:
                continue
            own = getattr(type(callback), "set_state", None)
            if own is None or own is Callback.set_state:
                vars(callback).update(states[name])
            else:
                callback.set_state(states[name])

    def _restore_generators(self, states: Mapping[str, Any]) -> None:
        found = self._found().generators
        generators = {place: each for place, each in found.items() if id(each) not in self._ahead}
        wanted = {place: each for place, each in states.items() if place in generators}
        unknown = set_states(generators, wanted)
        if unknown:
            warn(
                "The checkpoint does not have the random number generators at "
                f"{', '.join(unknown)}: training continues with other random numbers than without "
                "the interruption."
            )


def _named(callbacks: Sequence[Any]) -> dict[str, Any]:
    """Names callbacks by class, and numbers several of one class; others may come between them."""
    named: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for each in callbacks:
        name = f"callbacks/{type(each).__name__}"
        count = counts[name] = counts.get(name, 0) + 1
        named[f"{name}_{count}" if count > 1 else name] = each
    return named


class _Nobody:
    """Receives attributes of objects that do not exist."""


def _attributes(owner: Any) -> dict[str, Any]:
    """The plain attributes that may be state; for layers, only public ones."""
    given = plain_attributes(owner, frozenset({"params"}))
    if hasattr(owner, "set_params") or of_package(type(owner)):
        return given
    return {name: value for name, value in given.items() if not name.startswith("_")}


def _carried(layer: Any) -> Any:
    """The states that a layer keeps from call to call."""
    return None if layer.states is None else map_structure(np.array, layer.states)


def _restore_optimizer(
    optimizer: Optimizer,
    weights: Sequence[str],
    values: Sequence[Any],
    known: Mapping[str, Parameter],
) -> None:
    if weights and not optimizer.built and all(place in known for place in weights):
        optimizer.build([known[place] for place in weights])
    if [each.shape for each in optimizer.variables] != [np.shape(value) for value in values]:
        raise ValueError(
            f"the checkpoint was made with another optimizer: {optimizer.name!r} must have "
            f"{len(optimizer.variables)} variables of certain shapes, received {len(values)} "
            "variables that do not match. Remove the folder to start over"
        )
    optimizer.set_weights(values)
