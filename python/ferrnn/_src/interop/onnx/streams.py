"""ONNX models step by step, with states carried from call to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.onnx.files import Value
from ferrnn._src.tree.types import Array


class Runnable(Protocol):
    """The interface of a model that a stream uses."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]: ...


class OnnxStream:
    """A model from ONNX that takes one step per call and keeps its states.

    Made by `OnnxModel.stream`. `stream(x)` takes the inputs that are neither states nor settled, in
    the order of `inputs` and in the shapes of the file, and gives the outputs that are not states,
    a tuple if there are several: the numbers the model gives if the caller passes its states on.

    Attributes:
        inputs: The names of the inputs that a call takes.
        outputs: The names of the outputs that it gives.
        states: The names of the states' inputs, with those of the outputs that become them.
    """

    def __init__(
        self,
        model: Runnable,
        states: Mapping[str, str],
        settled: Mapping[str, Any],
        start: Mapping[str, Array],
    ) -> None:
        self._model, self._settled = model, dict(settled)
        self.states = dict(states)
        told = {*states, *settled}
        self.inputs = tuple(value.name for value in model.inputs if value.name not in told)
        carried = set(states.values())
        self.outputs = tuple(value.name for value in model.outputs if value.name not in carried)
        self._start = {name: np.array(value) for name, value in start.items()}
        self._now = dict(self._start)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """One step; returns the outputs that are not states."""
        if len(inputs) > len(self.inputs):
            raise ValueError(
                f"the stream takes the {len(self.inputs)} inputs {list(self.inputs)}, received "
                f"{len(inputs)}"
            )
        given = {**dict(zip(self.inputs, inputs, strict=False)), **named}
        if set(given) != set(self.inputs):
            raise ValueError(f"`inputs` must be {list(self.inputs)}, received {sorted(given)}")
        found = self._model.run({**given, **self._now, **self._settled})
        # Copies, as an output may be the same array, which the caller may change.
        self._now = {name: np.array(found[output]) for name, output in self.states.items()}
        outputs = tuple(found[name] for name in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def state(self) -> dict[str, Array]:
        """A copy of the states by the names of the inputs; assign to set them."""
        return {name: np.array(value) for name, value in self._now.items()}

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        if not isinstance(value, Mapping) or set(value) != set(self._now):
            got = sorted(value) if isinstance(value, Mapping) else type(value).__name__
            raise ValueError(f"`state` must have the names {list(self._now)}, received {got}")
        made = {}
        for name, now in self._now.items():
            array = np.asarray(value[name])
            if array.shape != now.shape:
                raise ValueError(
                    f"`state[{name!r}]` must have the shape {now.shape}, received {array.shape}"
                )
            made[name] = array.astype(now.dtype)
        self._now = made

    def reset(self) -> None:
        """Resets the states to their initial values."""
        self._now = dict(self._start)

    def copy(self) -> OnnxStream:
        """An independent stream of the same model, from this one's states."""
        other = OnnxStream(self._model, self.states, self._settled, self._start)
        other.state = self._now
        return other

    def __repr__(self) -> str:
        return f"<OnnxStream {list(self.inputs)} -> {list(self.outputs)}, states {self.states}>"


def stream_of(
    model: Runnable,
    states: Mapping[str, str] | None,
    settled: Mapping[str, Any],
    streams: int,
    initial: Mapping[str, Any] | None,
) -> OnnxStream:
    """A stream of a model; `states` are found if they are not given."""
    inputs = {value.name: value for value in model.inputs}
    outputs = {value.name: value for value in model.outputs}
    unknown = set(settled) - set(inputs)
    if unknown:
        raise ValueError(
            f"`states`, `initial` and `settled` must name inputs of the model, {list(inputs)}, "
            f"received {sorted(unknown)}"
        )
    if states is None:
        states = _found(model, settled)
    for name, output in states.items():
        if name not in inputs or output not in outputs:
            raise ValueError(
                f"`states` must map inputs {list(inputs)} to outputs {list(outputs)}, received "
                f"{dict(states)}"
            )
    if not states:
        raise ValueError(
            "the model cannot run in a stream: no input is a state that an output updates, and it "
            f"is not a chain of layers. Inputs: {_listed(model.inputs)}. Outputs: "
            f"{_listed(model.outputs)}. Pass `states={{input: output}}` if there is one"
        )
    given = dict(initial or {})
    if set(given) - set(states):
        raise ValueError(
            f"`initial` must have names of states, {list(states)}, received {sorted(given)}"
        )
    start = {name: _start(inputs[name], given.get(name), streams) for name in states}
    return OnnxStream(model, states, settled, start)


def _found(model: Runnable, settled: Mapping[str, Any]) -> dict[str, str]:
    """Pairs of inputs and outputs that are states, by their shapes and by their names or order.

    The first input and the first output are never states.
    """
    inputs = [value for value in model.inputs[1:] if value.name not in settled]
    outputs = list(model.outputs[1:])
    found: dict[str, str] = {}
    for value in inputs:
        alike = [each for each in outputs if _alike(value, each)]
        named = [each for each in alike if _stem(each.name) == _stem(value.name)]
        chosen = named or (alike if len(inputs) == len(outputs) or len(alike) == 1 else [])
        if chosen:
            found[value.name] = chosen[0].name
            outputs.remove(chosen[0])
    return found


_ENDINGS = (
    "/next",
    "_out",
    "_in",
    "out",
    "in",
    "_n",
    "_0",
    "n",
    "0",
    "N",
    "_new",
    "_next",
    "_prev",
)
_BEGINNINGS = ("new_", "next_", "prev_", "initial_", "final_", "in_", "out_", "output_", "input_")


def _stem(name: str) -> str:
    """A name without the part that distinguishes states before and after a step."""
    for beginning in _BEGINNINGS:
        name = name.removeprefix(beginning)
    for ending in _ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def _alike(one: Value, other: Value) -> bool:
    if one.dtype != other.dtype or one.dtype is None or one.dtype.kind != "f":
        return False
    if one.shape is None or other.shape is None:
        return True
    return len(one.shape) == len(other.shape) > 0 and all(
        a == b or not isinstance(a, int) or not isinstance(b, int) or 0 in (a, b)
        for a, b in zip(one.shape, other.shape, strict=True)
    )


def _start(value: Value, given: Any, streams: int) -> Array:
    """The initial value of a state: zeros, with `streams` for an axis that the file leaves open."""
    if given is not None:
        return np.asarray(given).astype(value.dtype or np.float32)
    shape = value.shape
    open_axes = [not isinstance(size, int) or size <= 0 for size in shape or ()]
    if shape is None or sum(open_axes) > 1:
        raise ValueError(
            f"`initial` must have the state {value.name!r}, whose shape in the file is only {shape}"
        )
    sizes = [streams if free else size for free, size in zip(open_axes, shape, strict=True)]
    return np.zeros(sizes, value.dtype or np.float32)  # type: ignore[arg-type]


def _listed(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.name} {value.shape}" for value in values)
