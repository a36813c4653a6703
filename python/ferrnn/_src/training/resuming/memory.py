"""All that a training is at one moment, gathered from its parts and given back to them."""

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
    """What a model, its callbacks and its data remember.

    Made when all of them are as a program makes them: what users' objects keep in attributes
    belongs to the state only where training has changed it.
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
        self._ahead: set[int] = set()  # generators of data that a thread draws from
        for owner in [*self.callbacks.values(), *self._found().owned.values()]:
            self._fresh[id(owner)] = prints(_attributes(owner))

    def _found(self) -> Found:
        compiled = getattr(self.model, "_metrics", None)
        late = (getattr(compiled, "to_come", None), len(getattr(self.model, "_loss_means", ())))
        found = self._search.found(late)
        found.generators.update(session())
        return found

    # Gathering.

    def state(self, *, inside: bool) -> dict[str, Any]:
        """The state as plain values; `inside` an epoch or between two."""
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
        if not is_plain(state):  # says where
            Packed(state, f"what `get_state` of {type(callback).__name__} gives")
        return state

    def _changed(self, owner: Any) -> dict[str, Any]:
        return changed(_attributes(owner), self._fresh.get(id(owner), {}))

    # Giving back.

    def restore(self, state: Mapping[str, Any]) -> dict[str, Iterator[Batch] | None]:
        """Makes everything as it was; gives what is left of passes that had begun.

        Raises:
            ValueError: If the weights are those of another model; nothing has changed then.
        """
        self._check(state["weights"])
        rests = {
            name: place.restore(state["places"][name])
            for name, place in self.places.items()
            if name in state["places"]
        }
        # Elsewhere generators must stand as they did: somebody else may draw from them as well.
        self._ahead = {
            id(generator)
            for name, rest in rests.items()
            if rest is not None and self.places[name].runs_ahead
            for generator in self.places[name].own_generators()
        }
        self.give_back(state)
        return rests

    def give_back(self, state: Mapping[str, Any]) -> None:
        """Gives everything back but the places in the data."""
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
                "the checkpoint is one of another model: "
                f"{len(weights)} weights are in it, {len(there)} in the model; only {one} has "
                f"{other[0]!r}. Remove the folder to start over"
            )
        for place, value in weights.items():
            if there[place].shape != value.shape or there[place].dtype != value.dtype:
                raise ValueError(
                    f"the checkpoint is one of another model: {place!r} has the shape "
                    f"{value.shape} and dtype {value.dtype} in it, {there[place].shape} and "
                    f"{there[place].dtype} in the model. Remove the folder to start over"
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
                f"The checkpoint knows nothing of the random numbers at {', '.join(unknown)}: "
                "training goes on with others than it would have drawn."
            )


def _named(callbacks: Sequence[Any]) -> dict[str, Any]:
    """By class, and by number where a class has several: others may stand between them."""
    named: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for each in callbacks:
        name = f"callbacks/{type(each).__name__}"
        count = counts[name] = counts.get(name, 0) + 1
        named[f"{name}_{count}" if count > 1 else name] = each
    return named


class _Nobody:
    """Takes what no object is there for."""


def _attributes(owner: Any) -> dict[str, Any]:
    """The plain attributes that may be a state: of layers, those that are no private ones."""
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
            f"the checkpoint was made with another optimizer: {len(values)} variables are in it, "
            f"{optimizer.name!r} has {len(optimizer.variables)}, or others. Remove the folder to "
            "start over"
        )
    optimizer.set_weights(values)
