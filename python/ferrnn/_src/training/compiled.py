"""The losses from `compile`, one for each output, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training import losses
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.nested_losses import flat_weights, nested_weights, parts_of, together
from ferrnn._src.tree.structures import is_nested
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

LossesVjp: TypeAlias = Callable[[float, Gradients], list[Any]]


def classification_kind(y_true: Array, y_pred: Array) -> str:
    """The coding of labels: "binary", "sparse" (class numbers) or "categorical" (one-hot).

    >>> classification_kind(np.zeros(3), np.zeros((3, 5)))
    'sparse'
    """
    if y_pred.shape[-1] == 1:
        return "binary"
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return "sparse"
    return "categorical"


def by_output(
    given: Any, names: Sequence[str], argument: str, *, shared: bool = False
) -> list[Any]:
    """One entry for each output, from a list in their order, a dict by their names, or one value.

    Outputs that a dict does not name get None; one value is for one output, or all if `shared`.

    >>> by_output({"b": "mse"}, ["a", "b"], "loss")
    [None, 'mse']
    """
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown and len(names) == 1 and len(given) == 1:
            return list(given.values())
        if unknown:
            raise ValueError(
                f"Invalid `{argument}`. In the dict argument `{argument}`, the keys {unknown} do "
                f"not correspond to any output of the model. The outputs are {list(names)}"
            )
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple):
        if len(given) != len(names):
            raise ValueError(
                f"When providing the `{argument}` argument as a list, it should have as many "
                f"entries as the model has outputs. Received: {argument}={given!r} of length "
                f"{len(given)}, whereas the outputs are {list(names)}"
            )
        return list(given)
    if len(names) > 1 and given is not None and not shared:
        raise ValueError(
            f"`{argument}` must be a list or dict with an entry for each of the outputs "
            f"{list(names)}, received {given!r}"
        )
    return [given] * len(names)


class CompiledLoss:
    """The losses of a model's outputs, and their weights; "crossentropy" is chosen by shapes.

    >>> compiled = CompiledLoss({"b": "mse"}, {"b": 0.5})
    >>> compiled.bind(["a", "b"], [0, 0])
    >>> total, parts, vjp = compiled.forward([None, np.zeros((2, 1))], [np.ones((2, 1))] * 2)
    >>> float(total), parts
    (0.5, [1.0])
    """

    def __init__(self, loss: Any, loss_weights: Any) -> None:
        self.given, self.given_weights = loss, loss_weights
        self.names: list[str] | None = None
        self.only: Loss | None = None  # if there is one output, its loss with weight 1
        self._checked = [_loss(each) for each in flatten(loss)]
        if len(self._checked) < len(flatten(loss_weights)):
            raise ValueError(
                "`loss_weights` must have as many entries as `loss`, received "
                f"loss_weights={loss_weights!r} for loss={loss!r}"
            )

    def bind(
        self,
        names: Sequence[str],
        structure: Any,
        *,
        required: bool = True,
        named: bool = True,
    ) -> None:
        """Sets the outputs and their nesting; `required` says whether one must have a loss.

        Without names of the outputs' own (`named`), losses go by theirs if those differ.
        """
        if self.names == list(names):
            return
        told = parts_of(self.given, structure, names)
        if required and not told:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        self.parts = sorted(told, key=lambda part: part.places[0])
        # The indices of the losses in `parts`, in the order in which they are reported.
        self.told = [self.parts.index(part) for part in told]
        self._losses = [self._checked[part.leaf] for part in self.parts]
        self._weights = self._weights_of(names)
        self._names = [part.name for part in self.parts]
        own = [each.name if isinstance(each, Loss) else str(each) for each in self._losses]
        if not named and len(set(own)) == len(own):
            self._names = own
        self.names = list(names)
        one = len(names) == len(self.parts) == 1 and self.parts[0].structure is None
        first = self._losses[0] if one else None
        one_number = isinstance(first, Loss) and first.reduction is not None
        self.only = first if one_number and self._weights[0] == 1 else None

    def _weights_of(self, names: Sequence[str]) -> list[float]:
        """The weight of each loss."""
        weights = self.given_weights
        if weights is not None and not is_nested(self.given):
            weights = _only(weights)
        by_leaf = nested_weights(self.given, weights) if is_nested(weights) else None
        places = [place for part in self.parts for place in part.places]
        if by_leaf is None and len(set(places)) < len(places) and is_nested(weights):
            by_leaf = flat_weights(self.given, weights)
        if by_leaf is not None:
            found = [by_leaf[part.leaf] for part in self.parts]
        else:
            for_outputs = by_output(weights, names, "loss_weights", shared=True)
            found = [for_outputs[part.places[0]] for part in self.parts]
        return [1.0 if weight is None else float(weight) for weight in found]

    @property
    def told_names(self) -> list[str]:
        """The names of the losses, in the order in which they are reported."""
        return [self._names[at] for at in self.told]

    @property
    def needed(self) -> list[int]:
        """The indices of the outputs that have a loss, and so need targets."""
        return [place for part in self.parts for place in part.places]

    def resolve(self, at: int, y_true: Array, y_pred: Array) -> Loss:
        """The loss of the part `at`, for arrays of these shapes."""
        loss = self._losses[at]
        if isinstance(loss, Loss):
            return loss
        kind = classification_kind(y_true, y_pred)
        prefix = {"binary": "binary", "sparse": "sparse_categorical"}.get(kind, kind)
        resolved = losses.as_loss(f"{prefix}_crossentropy")
        resolved.name = str(loss)
        self._losses[at] = resolved
        return resolved

    def evaluate(
        self,
        trues: Sequence[Any],
        preds: Sequence[Any],
        weights: Sequence[Any] | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> tuple[float, list[float]]:
        """The weighted sum of the losses, and each of them."""
        values = []
        for at, part in enumerate(self.parts):
            true, pred, weight = part.taken(trues), part.taken(preds), part.weights(weights)
            loss = self.resolve(at, true, pred)
            if part.structure is not None:
                values.append(float(together(loss, true, pred, weight)[0]))
                continue
            mask = None if masks is None else masks[part.places[0]]
            values.append(float(loss.evaluate(true, pred, sample_weight=weight, mask=mask)))
        return self._total(values), values

    def forward(
        self,
        trues: Sequence[Any],
        preds: Sequence[Any],
        weights: Sequence[Any] | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> tuple[float, list[float], LossesVjp]:
        """As `evaluate`, with `vjp(d_loss, grads) -> d_preds`, None for an output without loss."""
        values, vjps = [], []
        for at, part in enumerate(self.parts):
            true, pred, weight = part.taken(trues), part.taken(preds), part.weights(weights)
            loss = self.resolve(at, true, pred)
            if part.structure is None:
                mask = None if masks is None else masks[part.places[0]]
                value, vjp = loss.forward(true, pred, sample_weight=weight, mask=mask)
            else:
                value, vjp = together(loss, true, pred, weight)
            if np.ndim(value):
                raise ValueError(
                    f"the loss {loss.name!r} must return one number for training, but its "
                    f"`reduction` {loss.reduction!r} gives one value per sample"
                )
            values.append(float(value))
            vjps.append(vjp)

        def back(d_loss: float, grads: Gradients) -> list[Any]:
            d_preds: list[Any] = [None] * len(preds)
            for part, weight, vjp in zip(self.parts, self._weights, vjps, strict=True):
                slopes = vjp(d_loss * weight, grads)
                leaves = [slopes] if part.structure is None else flatten(slopes)
                for place, slope in zip(part.places, leaves, strict=True):
                    known = d_preds[place]
                    d_preds[place] = slope if known is None else known + slope
            return d_preds

        return self._total(values), values, back

    def _total(self, values: list[float]) -> float:
        return sum(weight * value for weight, value in zip(self._weights, values, strict=True))


def _only(weights: Any) -> Any:
    """The one weight of a loss for all outputs."""
    parts = flatten(weights)
    if len(parts) != 1:
        raise ValueError(
            f"`loss_weights` must have one entry for one `loss`, received {len(parts)}: pass a "
            "list or dict of losses"
        )
    return parts[0]


def _loss(identifier: Any) -> Any:
    """A `Loss`, None, or the name of a crossentropy that is chosen by shapes later."""
    if identifier is None:
        return None
    by_shapes = str(identifier).lower() in ("crossentropy", "ce")
    return identifier if by_shapes else losses.as_loss(identifier)
