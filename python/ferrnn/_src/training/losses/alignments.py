"""Connectionist temporal classification (Graves et al., 2006): labels without their times.

The sum over all ways of spreading a label over the steps is taken forwards (`ahead`) and backwards
(`behind`), in logarithms, over the label with blanks around each of its entries. Their product is
the probability of passing an entry at a step, and the gradient for the logits is the softmax minus
that probability, class by class.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss, LossVjp
from ferrnn._src.tree.types import Array, Mask

# The loss of a label that needs more steps than there are: finite, as in Keras, so that one such
# sample does not ruin the training. It has no gradient.
_IMPOSSIBLE = 1e5


class CTC(Loss):
    """`-log` of the probability that `y_pred` spells `y_true`, repeated and blank steps left out.

    `y_true` `[batch, labels]` are class numbers, filled up with 0, which is the blank; `y_pred`
    `[batch, time, classes]` are logits. A mask `[batch, time]` on `y_pred`, of real steps followed
    by others, gives the number of steps.

    >>> logits = np.log([[[0.1, 0.9], [0.5, 0.5]]])
    >>> round(float(CTC()([[1]], logits)), 4)  # 1 1, 1 blank, blank 1
    0.0513
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self._steps: Array | None = None

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch]` and their gradient with respect to `y_pred`."""
        shifted = y_pred - np.max(y_pred, axis=-1, keepdims=True)
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        lattice = _Lattice(y_true, log_p.astype(np.float64), self._steps)
        values = lattice.values().astype(y_pred.dtype)

        def vjp(d_values: Array) -> Array:
            return lattice.gradient(np.exp(log_p), d_values).astype(y_pred.dtype)

        return values, vjp

    def evaluate(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> Any:
        """The reduced loss, without a gradient."""
        loss = self._with_steps(mask)
        return Loss.evaluate(loss, y_true, y_pred, sample_weight=sample_weight)

    def forward(
        self,
        y_true: ArrayLike,
        y_pred: Array,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> tuple[Any, LossVjp]:
        """The reduced loss and `vjp(d_loss, grads) -> d_y_pred`."""
        loss = self._with_steps(mask)
        return Loss.forward(loss, y_true, y_pred, sample_weight=sample_weight)

    def _with_steps(self, mask: Mask | None) -> CTC:
        if mask is None:
            return self
        if np.any(mask[:, 1:] & ~mask[:, :-1]):
            raise ValueError(
                f"`mask` of the loss {self.name!r} must be True for the first steps of a sequence "
                "and False after them, received a mask with a masked step before a real one"
            )
        bound = copy.copy(self)
        bound._steps = mask.sum(axis=1)
        return bound

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        if true.ndim != 2:
            raise ValueError(
                "Targets `y_true` are expected to be a tensor of shape `(batch_size, max_length)` "
                f"in integer format. Received: y_true.shape={true.shape}"
            )
        if pred.ndim != 3 or len(pred) != len(true):
            raise ValueError(
                "Logits `y_pred` are expected to be a tensor of shape `(batch_size, max_length, "
                f"num_classes)`. Received: y_pred.shape={pred.shape}, y_true.shape={true.shape}"
            )
        labels = true.astype(np.intp)
        if labels.size and not (labels.min() >= 0 and labels.max() < pred.shape[2]):
            raise ValueError(
                f"`y_true` of the loss {self.name!r} must hold classes in [0, {pred.shape[2]}), "
                f"received {labels.min()} to {labels.max()}"
            )
        return labels, pred


class _Lattice:
    """The paths through time (the first axis here) and a label with blanks around its entries."""

    def __init__(self, labels: Array, log_p: Array, steps: Array | None) -> None:
        batch, time, _ = log_p.shape
        self.batch, self.time = batch, time
        self.steps = np.full(batch, time) if steps is None else np.asarray(steps)
        self.lengths = np.count_nonzero(labels, axis=1)
        self.places = np.zeros((batch, 2 * labels.shape[1] + 1), np.intp)
        self.places[:, 1::2] = labels
        emitted = np.take_along_axis(log_p, self.places[:, None, :], axis=2)
        self.emitted = np.moveaxis(emitted, 1, 0)
        width = self.places.shape[1]
        at = np.arange(width)
        # A path may skip the blank between two different labels.
        self.skips = np.zeros((batch, width), bool)
        self.skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
        self.ends = at == 2 * self.lengths[:, None]
        self.ends |= (at == 2 * self.lengths[:, None] - 1) & (self.lengths[:, None] > 0)
        self.ahead = self._forward()
        last = self.ahead[np.maximum(self.steps, 1) - 1, np.arange(batch)]
        total = np.logaddexp.reduce(np.where(self.ends, last, -np.inf), axis=1)
        nothing = np.where(self.lengths == 0, 0.0, -np.inf)
        self.total = np.where(self.steps > 0, total, nothing)

    def values(self) -> Array:
        """`-log` of each sample's probability."""
        return np.where(np.isfinite(self.total), -self.total, _IMPOSSIBLE)

    def _forward(self) -> Array:
        """The log-probability of all paths up to each step and place, including that step."""
        ahead = np.full(self.emitted.shape, -np.inf)
        if self.time:
            ahead[0, :, :2] = self.emitted[0, :, :2]
        for step in range(1, self.time):
            before = ahead[step - 1]
            ways = before.copy()
            ways[:, 1:] = np.logaddexp(ways[:, 1:], before[:, :-1])
            skipped = np.where(self.skips[:, 2:], before[:, :-2], -np.inf)
            ways[:, 2:] = np.logaddexp(ways[:, 2:], skipped)
            ahead[step] = ways + self.emitted[step]
        return ahead

    def _backward(self) -> Array:
        """The log-probability of all paths on from each step and place, excluding that step."""
        behind = np.full(self.emitted.shape, -np.inf)
        end = np.where(self.ends, 0.0, -np.inf)
        for step in reversed(range(self.time)):
            if step + 1 < self.time:
                after = behind[step + 1] + self.emitted[step + 1]
                ways = after.copy()
                ways[:, :-1] = np.logaddexp(ways[:, :-1], after[:, 1:])
                skipped = np.where(self.skips[:, 2:], after[:, 2:], -np.inf)
                ways[:, :-2] = np.logaddexp(ways[:, :-2], skipped)
                behind[step] = ways
            is_last = (self.steps == step + 1)[:, None]
            behind[step] = np.where(is_last, end, behind[step])
        return behind

    def gradient(self, p: Array, d_values: Array) -> Array:
        """The gradient for the logits `[batch, time, classes]`, whose softmax is `p`."""
        possible = np.isfinite(self.total)
        total = np.where(possible, self.total, 0.0)
        passing = np.exp(self.ahead + self._backward() - total[None, :, None])
        wanted = np.zeros((self.time, self.batch, p.shape[2]))
        rows = np.arange(self.batch)[:, None]
        for step in range(self.time):
            np.add.at(wanted[step], (rows, self.places), passing[step])
        real = (np.arange(self.time)[None, :] < self.steps[:, None]) & possible[:, None]
        slope = np.where(real[..., None], p - np.moveaxis(wanted, 0, 1), 0)
        return np.asarray(d_values[:, None, None] * slope)


def ctc(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch]` of `CTC`, for labels `[batch, labels]`, logits `[batch, time, classes]`.

    >>> ctc([[1]], np.log([[[0.1, 0.9], [0.5, 0.5]]])).round(4).tolist()
    [0.0513]
    """
    return CTC().values(y_true, y_pred)
