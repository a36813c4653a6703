"""Learning from a sequence without an end: one step after another, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ferrnn._src.layers.rnn import RNN
from ferrnn._src.sequence.stream import Stream
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array


class OnlineLearner:
    """A model that learns from a sequence without an end, step by step.

    `predict_one(x)` predicts from the next step of the sequence, before its target `y` is known,
    and changes nothing; `learn_one(x, y)` takes the step. After every `window` steps the model is
    trained once on them, from the states that the earlier steps left: backpropagation through
    time, truncated to `window` steps. Nothing beyond these is kept.

    The model must be compiled, run in a stream, and give an output for each step
    (`return_sequences=True`). `x` is `[features]`, a number, or a dict of numbers by the names of
    features, whose first one fixes their order; `y` is a number or `[outputs]`. Steps with NaN or
    infinite numbers are refused: they would stay in the weights for good.

    >>> import ferrnn
    >>> inputs = ferrnn.Input((None, 1))
    >>> read = ferrnn.layers.GRU(8, return_sequences=True)(inputs)
    >>> model = ferrnn.Model(inputs, ferrnn.layers.Dense(1)(read))
    >>> model.compile(ferrnn.optimizers.Adam(0.02), loss="mse")
    >>> learner = OnlineLearner(model, window=10)
    >>> for step in range(200):
    ...     x, y = np.sin(step / 3), np.sin((step + 1) / 3)
    ...     guess = learner.predict_one(x)
    ...     learner.learn_one(x, y)
    >>> learner.steps, learner.updates, bool(abs(guess - y) < 0.5)
    (200, 20, True)
    """

    def __init__(self, model: Any, window: int = 32) -> None:
        if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1:
            raise ValueError(f"`window` must be a positive integer, received {window!r}")
        if not getattr(model, "compiled", False):
            raise ValueError("`model` must be compiled: call `compile` first")
        self.model, self.window = model, int(window)
        self.steps, self.updates = 0, 0
        self.loss: float | None = None
        self._names: list[Any] | None = None
        self._recurrent = list(_recurrent(model))
        stream = model.stream()
        self._check(stream)
        self._features, self._units = stream.features, stream.units
        self._dtype = stream.dtype
        self.reset()

    def _check(self, stream: Stream) -> None:
        """Refuses models whose training on a window would not go on from the one before."""
        for layer in self._recurrent:
            if not layer.return_sequences or layer.go_backwards:
                raise ValueError(
                    f"layer {layer.name!r} must have return_sequences=True and go forward: each "
                    "step has an output to learn from"
                )
        names = [name for name in stream.state if not name.endswith(("/h", "/c"))]
        if names or stream.ids is not None:
            raise ValueError(
                "from step to step, `model` must keep only the states of recurrent layers, and its "
                "inputs must be numbers; received a model that "
                f"{f'keeps {names}' if names else 'takes integer ids'}"
            )

    def __repr__(self) -> str:
        return f"<OnlineLearner window={self.window}, steps={self.steps}, updates={self.updates}>"

    def reset(self) -> None:
        """Begins another sequence: forgets states and the window, not what is learned."""
        self._carried: list[Array] = []  # none: zero states
        self._window: list[tuple[Array, Array]] = []
        self._stream: Stream | None = None
        self._streamed = 0

    def predict_one(self, x: Any) -> Any:
        """The model's output for `x` as the next step: a number, or `[outputs]`."""
        ahead = self._at_end().copy()
        output = ahead(self._inputs(x))
        return output.item() if self._units == 1 else output

    def learn_one(self, x: Any, y: Any) -> None:
        """Takes the next step in, with the output that would have been right."""
        target = self._numbers(y, "y")
        if target.size != self._units:
            raise ValueError(
                f"`y` must have {self._units} numbers for a step, received the shape {target.shape}"
            )
        inputs = _finite(self._inputs(x), "x")
        self._window.append((inputs, _finite(target, "y").reshape(self._units)))
        self.steps += 1
        if len(self._window) == self.window:
            self.flush()

    def partial_fit(self, x: Any, y: Any) -> OnlineLearner:
        """Takes the next steps in, `x` `[steps, features]` and `y` `[steps]` or `[steps, outputs]`.

        >>> import ferrnn
        >>> layers = [ferrnn.Input((None, 2)), ferrnn.layers.GRU(1, return_sequences=True)]
        >>> model = ferrnn.Sequential(layers)
        >>> model.compile("sgd", loss="mse")
        >>> learner = OnlineLearner(model, window=4)
        >>> learner.partial_fit(np.ones((10, 2)), np.zeros(10)).updates
        2
        """
        inputs, targets = self._numbers(x, "x"), self._numbers(y, "y")
        if inputs.ndim != 2 or targets.ndim not in (1, 2) or len(inputs) != len(targets):
            raise ValueError(
                "`x` and `y` must be [steps, features] and [steps] or [steps, outputs], received "
                f"the shapes {inputs.shape} and {targets.shape}"
            )
        for array, name in ((inputs, "x"), (targets, "y")):  # before any step is taken in
            _finite(array, name)
        for one, target in zip(inputs, targets, strict=True):
            self.learn_one(one, target)
        return self

    def flush(self) -> None:
        """Trains on the steps of a window that is not full yet, if there are any."""
        if not self._window:
            return
        inputs, targets = (np.stack(part)[None] for part in zip(*self._window, strict=True))
        layers = self._recurrent
        before = [(layer.stateful, layer._states) for layer in layers]
        try:
            for layer, states in zip(layers, self._states(), strict=True):
                layer.stateful = True
                layer._states = states
            self.loss = float(np.ravel(self.model.train_on_batch(inputs, targets))[0])
            self._carried = [np.array(part) for each in layers for part in flatten(each._states)]
        finally:
            for layer, (stateful, states) in zip(layers, before, strict=True):
                layer.stateful, layer._states = stateful, states
        self._window.clear()
        self._stream = None  # its weights are old
        self.updates += 1

    def _states(self) -> Iterator[Any]:
        """What each recurrent layer begins the window with."""
        carried = iter(self._carried)
        for layer in self._recurrent:
            if not self._carried:
                yield None
                continue
            count = len(flatten(layer.cell.state_size))
            yield layer._packed([next(carried) for _ in range(count)])

    def _at_end(self) -> Stream:
        """A stream with the weights there are, after the last step."""
        stream = self._stream
        if stream is None:
            stream = self._stream = self.model.stream()
            self._streamed = 0
            if self._carried:
                stream._write_states([np.asarray(each, self._dtype) for each in self._carried])
        for inputs, _ in self._window[self._streamed :]:
            stream(inputs)
        self._streamed = len(self._window)
        return stream

    def _inputs(self, x: Any) -> Array:
        if isinstance(x, Mapping):
            if self._names is None:
                self._names = list(x)
            if set(x) != set(self._names):
                raise ValueError(f"`x` must have the features {self._names}, received {list(x)}")
            x = [x[name] for name in self._names]
        array = self._numbers(x, "x")
        if array.size != self._features:
            raise ValueError(
                f"`x` must have {self._features} numbers for a step, received the shape "
                f"{array.shape}"
            )
        row: Array = array.reshape(self._features)
        return row

    def _numbers(self, value: Any, name: str) -> Array:
        try:
            return np.asarray(value, self._dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(f"`{name}` must be numbers, received {value!r}") from error

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: each for name, each in vars(self).items() if name != "_recurrent"}
        return {**kept, "_stream": None, "_streamed": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._recurrent = list(_recurrent(self.model))


def _finite(array: Array, name: str) -> Array:
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"`{name}` must be finite, received {array[tuple(at)]} at {at}")
    return array


def _recurrent(model: Any) -> Iterator[Any]:
    """The recurrent layers of a model, in the order of a stream's states."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _recurrent(layer)
        elif isinstance(layer, RNN):
            yield layer
