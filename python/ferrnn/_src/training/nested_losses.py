"""The assignment of losses to outputs, if either is nested, and the names of losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ferrnn._src.symbolic import tracing
from ferrnn._src.training.loss import Loss, Vjp
from ferrnn._src.training.reduction import as_float
from ferrnn._src.tree.structures import assert_same_structure, is_nested, lists_to_tuples
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.weights.parameter import Gradients


class Part(NamedTuple):
    """One of the losses given to `compile`; `leaf` is its index in the order of `flatten`.

    `places` are the indices of its outputs, `structure` their nesting if it takes several at once.
    """

    leaf: int
    places: list[int]
    structure: Any
    name: str

    def taken(self, columns: Sequence[Any] | None) -> Any:
        """The entries for the loss, from one entry for each output."""
        if columns is None:
            return None
        if self.structure is None:
            return columns[self.places[0]]
        return map_structure(lambda place: columns[place], self.structure)

    def weights(self, columns: Sequence[Any] | None) -> Any:
        """The weights of samples, which must be the same array for all outputs of the loss."""
        if columns is None:
            return None
        found = [columns[place] for place in self.places]
        if any(each is not found[0] for each in found):
            raise ValueError(
                f"the loss {self.name!r} takes several outputs at once, so `sample_weight` must be "
                "the same array for all of them"
            )
        return found[0]


def parts_of(given: Any, outputs: Any, names: Sequence[str]) -> list[Part]:
    """The losses for outputs nested as `outputs`, in the order in which Keras reports them.

    A list that does not correspond to the outputs holds losses that all take the same outputs.

    >>> both = {"a": 1, "b": 2}
    >>> [(part.name, part.places) for part in parts_of(["mse", {"b": "mae"}], both, ["a", "b"])]
    [('a_b', [0, 1]), ('b', [1])]
    """
    numbered = pack_like(given, range(len(flatten(given))))
    wanted = map_structure(lambda each, at: None if each is None else at, given, numbered)
    places = pack_like(outputs, range(len(flatten(outputs))))
    if isinstance(wanted, Mapping) and not isinstance(outputs, Mapping):
        wanted = _in_order(wanted, names)
    if not is_nested(wanted):
        wanted = _by_keys(map_structure(lambda _: wanted, places))
    return list(_assigned(wanted, places, names, ()))


def _in_order(losses: Mapping[str, Any], names: Sequence[str]) -> Any:
    """A dict of losses as a list in the order of the outputs, or as the loss of a single output."""
    unknown = [key for key in losses if key not in names]
    if unknown and len(names) == len(losses) == 1:
        return next(iter(losses.values()))
    if unknown:
        raise ValueError(
            f"In the dict argument `loss`, the keys {unknown} do not correspond to any output of "
            f"the model. Expected keys {list(names)} in loss dict, but found "
            f"loss.keys()={list(losses)}"
        )
    found = [losses.get(name) for name in names]
    return found[0] if len(found) == 1 else found


def _assigned(
    losses: Any, places: Any, names: Sequence[str], path: tuple[Any, ...]
) -> Iterator[Part]:
    if losses is None:
        return
    if isinstance(losses, list | tuple):
        flat, fits = not any(map(is_nested, losses)), len(losses) == len(flatten(places))
        if flat and not fits and (is_nested(places) or not path):
            _refuse_count(losses, names)
        if flat and fits:
            losses = _by_keys(pack_like(places, losses))
        elif not isinstance(places, type(losses)):
            for each in losses:
                yield from _assigned(each, places, names, path)
            return
    if losses is None:
        return
    if not is_nested(losses):
        inside = flatten(places)
        name = _name(places, inside, names, path)
        yield Part(losses, inside, places if is_nested(places) else None, name)
        return
    yield from _entered(losses, places, names, path)


def _entered(
    losses: Any, places: Any, names: Sequence[str], path: tuple[Any, ...]
) -> Iterator[Part]:
    """The losses of a container, each for the outputs at the same place in theirs."""
    keyed = isinstance(losses, Mapping)
    for key, each in losses.items() if keyed else enumerate(losses):
        known = isinstance(places, Mapping) if keyed else isinstance(places, list | tuple)
        if not known or (key not in places if keyed else key >= len(places)):
            raise KeyError(
                f"The path: {(*path, key)} in the `loss` argument, can't be found in either the "
                "model's output (`y_pred`) or in the labels (`y_true`). The outputs are "
                f"{list(names)}"
            )
        yield from _assigned(each, places[key], names, (*path, key))


def _by_keys(spread: Any) -> Any:
    """Losses repeated for dicts of outputs, in the order of sorted keys, as they are reported."""
    if isinstance(spread, dict):
        return {key: _by_keys(spread[key]) for key in sorted(spread)}
    if isinstance(spread, list | tuple):
        return [_by_keys(each) for each in spread]
    return spread


def _refuse_count(losses: Sequence[Any], names: Sequence[str]) -> None:
    raise ValueError(
        "When providing the `loss` argument as a list, it should have as many entries as the model "
        f"has outputs. Received: loss of length {len(losses)}, whereas the outputs are "
        f"{list(names)}"
    )


def _name(places: Any, inside: list[int], names: Sequence[str], path: tuple[Any, ...]) -> str:
    if not is_nested(places):
        if not path:
            path = (names[inside[0]],)
        elif isinstance(path[-1], int):
            path = (*path[:-1], names[inside[0]])
    return "/".join(map(str, path)) or "_".join(names[place] for place in inside)


def nested_weights(given: Any, weights: Any) -> list[Any] | None:
    """The weights of losses in the order of `flatten`, if both are nested in the same way.

    >>> nested_weights(["mse", {"a": "mae"}], [0.5, {"a": 2.0}])
    [0.5, 2.0]
    """
    try:
        assert_same_structure(lists_to_tuples(given), lists_to_tuples(weights))
    except ValueError:
        return None
    return flatten(weights)


def flat_weights(given: Any, weights: Any) -> list[Any]:
    """A weight for each loss, in the order of `flatten`."""
    found, losses = flatten(weights), flatten(given)
    if len(found) != len(losses):
        raise ValueError(
            f"`loss_weights` must match the number of losses, got {len(losses)} losses and "
            f"{len(found)} weights."
        )
    return found


def together(loss: Loss, true: Any, pred: Any, weight: Any) -> tuple[Any, Vjp]:
    """The value of a loss that takes several outputs, nested, and `vjp(d_loss, grads) -> d_pred`.

    Its values for the samples are weighted and reduced as those of other losses.
    """
    trues = map_structure(_as_targets, true, pred)
    values, values_vjp = tracing.differentiate(lambda preds: loss.call(trues, preds), pred)
    value, reduced_vjp = loss._reduced(trues, as_float(values), weight, None)

    def vjp(d_loss: float, grads: Gradients) -> Any:
        return values_vjp(reduced_vjp(d_loss, grads), grads)

    return value, vjp


def _as_targets(true: Any, pred: Any) -> Any:
    made = np.asarray(true).astype(pred.dtype, copy=False)
    if made.ndim + 1 == pred.ndim and pred.shape[-1] == 1:
        return made[..., None]
    return made
