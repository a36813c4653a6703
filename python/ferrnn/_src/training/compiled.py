"""The losses that `compile` was given, one for each output, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training import losses
from ferrnn._src.training.loss import Loss
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

LossesVjp: TypeAlias = Callable[[float, Gradients], list[Any]]


def classification_kind(y_true: Array, y_pred: Array) -> str:
    """How labels are coded: "binary", "sparse" (class numbers) or "categorical" (one-hot).

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

    What a dict does not name is None; one value is for a single output, or all if `shared`.

    >>> by_output({"b": "mse"}, ["a", "b"], "loss")
    [None, 'mse']
    """
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown and len(names) == 1 and len(given) == 1:
            return list(given.values())
        if unknown:
            raise ValueError(
                f"In the dict argument `{argument}`, the keys {unknown} do not correspond to any "
                f"output of the model. The outputs are {list(names)}"
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
    >>> compiled.bind(["a", "b"])
    >>> total, parts, vjp = compiled.forward([None, np.zeros((2, 1))], [np.ones((2, 1))] * 2)
    >>> float(total), parts
    (0.5, [1.0])
    """

    def __init__(self, loss: Any, loss_weights: Any) -> None:
        self.given, self.given_weights = loss, loss_weights
        self.names: list[str] | None = None
        self.only: Loss | None = None  # where there is one output, its loss of the weight 1
        self._checked = [_loss(each) for each in _listed(loss)]
        if len(self._checked) < len(_listed(loss_weights)):
            raise ValueError(
                "`loss_weights` must have as many entries as `loss`, received "
                f"loss_weights={loss_weights!r} for loss={loss!r}"
            )

    def bind(self, names: Sequence[str], *, required: bool = True, keyed: bool = False) -> None:
        """Says which outputs there are, and whether one of them must have a loss.

        Losses are told in the outputs' order, those of a dict of outputs (`keyed`) in the order of
        the dict of losses.
        """
        if self.names == list(names):
            return
        given = by_output(self.given, names, "loss", shared=True)
        known = dict(zip(map(id, _listed(self.given)), self._checked, strict=True))
        self._losses = [known.get(id(each)) for each in given]
        if required and not any(each is not None for each in given):
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        weights = self.given_weights
        if weights is not None and not isinstance(self.given, Mapping | list | tuple):
            weights = _only(weights)
        found = by_output(weights, names, "loss_weights", shared=True)
        self._weights = [1.0 if weight is None else float(weight) for weight in found]
        self._used = [at for at, each in enumerate(given) if each is not None]
        self.told = list(range(len(self._used)))  # the places in `used_names`, as they are told
        if keyed and isinstance(self.given, Mapping):
            place = {name: at for at, name in enumerate(self.given)}
            self.told.sort(key=lambda at: place.get(names[self._used[at]], 0))
        self.names = list(names)
        first, weight = self._losses[0], self._weights[0]
        one_number = isinstance(first, Loss) and first.reduction is not None
        self.only = first if len(names) == 1 and one_number and weight == 1 else None

    @property
    def used_names(self) -> list[str]:
        """The names of the outputs that have a loss."""
        return [(self.names or [])[at] for at in self._used]

    @property
    def needed(self) -> list[int]:
        """The places of the outputs that have a loss, and so need targets."""
        return self._used

    def resolve(self, at: int, y_true: Array, y_pred: Array) -> Loss:
        """The loss of output `at`, for arrays of these shapes."""
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
        parts = []
        for at in self._used:
            loss = self.resolve(at, trues[at], preds[at])
            parts.append(float(loss.evaluate(trues[at], preds[at], **_options(at, weights, masks))))
        return self._total(parts), parts

    def forward(
        self,
        trues: Sequence[Any],
        preds: Sequence[Any],
        weights: Sequence[Any] | None = None,
        masks: Sequence[Mask | None] | None = None,
    ) -> tuple[float, list[float], LossesVjp]:
        """As `evaluate`, with `vjp(d_loss, grads) -> d_preds`, None for an output without loss."""
        parts, vjps = [], []
        for at in self._used:
            loss = self.resolve(at, trues[at], preds[at])
            value, vjp = loss.forward(trues[at], preds[at], **_options(at, weights, masks))
            if np.ndim(value):
                raise ValueError(
                    f"the loss {loss.name!r} gives one value per sample, for its `reduction` is "
                    f"{loss.reduction!r}: training needs one number"
                )
            parts.append(float(value))
            vjps.append(vjp)

        def back(d_loss: float, grads: Gradients) -> list[Any]:
            d_preds: list[Any] = [None] * len(preds)
            for at, vjp in zip(self._used, vjps, strict=True):
                d_preds[at] = vjp(d_loss * self._weights[at], grads)
            return d_preds

        return self._total(parts), parts, back

    def _total(self, parts: list[float]) -> float:
        pairs = zip(self._used, parts, strict=True)
        return sum(self._weights[at] * part for at, part in pairs)


def _options(at: int, weights: Sequence[Any] | None, masks: Any) -> dict[str, Any]:
    return {
        "sample_weight": None if weights is None else weights[at],
        "mask": None if masks is None else masks[at],
    }


def _listed(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def _only(weights: Any) -> Any:
    """One weight, for the loss of all outputs."""
    parts = _listed(weights)
    if len(parts) != 1:
        raise ValueError(
            f"`loss_weights` has {len(parts)} entries for one `loss`: give a list or dict of losses"
        )
    return parts[0]


def _loss(identifier: Any) -> Any:
    """A `Loss`, None, or the name of the crossentropy that shapes will choose."""
    if identifier is None:
        return None
    by_shapes = str(identifier).lower() in ("crossentropy", "ce")
    return identifier if by_shapes else losses.as_loss(identifier)
