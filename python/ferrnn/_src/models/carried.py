"""The states that stateful layers of a model carry from call to call."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ferrnn._src.sequence.states import state_bytes, state_of_bytes
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array, Shape


class CarriedState:
    """A state that a stateful layer carries from call to call, as weights are in a plan.

    The array is a copy that belongs to the layer from then on, for one call of the engine to write.
    """

    __slots__ = ("_layer", "_number", "shape", "version")

    trainable = False

    def __init__(self, layer: Any, number: int, shape: Shape) -> None:
        self._layer: Any = weakref.ref(layer)
        self._number, self.shape = number, shape
        self.version = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the layer."""
        dtype: np.dtype[Any] = np.dtype(self._layer().dtype)
        return dtype

    @property
    def _data(self) -> Array:
        layer = self._layer()
        states = flatten(layer._states or layer.get_initial_state(self.shape[0]))
        array = np.array(states[self._number])
        states[self._number] = locked = array.view()
        locked.flags.writeable = False
        layer._states = layer._packed(states)
        return array


_states: WeakKeyDictionary[Any, list[CarriedState]] = WeakKeyDictionary()


def carried_states(layer: Any) -> list[Any]:
    """The states of a stateful layer, the same objects as long as their shapes are the same."""
    shapes = [np.shape(state) for state in flatten(layer.states or [])]
    known = _states.get(layer, [])
    if [state.shape for state in known] != shapes:
        known = [CarriedState(layer, *pair) for pair in enumerate(shapes)]
        _states[layer] = known
    return known


class Carried:
    """Methods that get and set the states of a model's stateful layers."""

    layers: Any

    def get_state(self) -> dict[str, Array]:
        """The states of stateful layers, copies `[batch, units]`, by layer and number.

        A layer that was not called yet has none.

        >>> import ferrnn as keras
        >>> inputs = keras.Input(batch_shape=(1, None, 2))
        >>> model = keras.Model(inputs, keras.layers.LSTM(3, stateful=True, name="memory")(inputs))
        >>> first = model.predict(np.ones((1, 4, 2)), verbose=0)
        >>> kept = model.get_state()
        >>> sorted(kept), kept["memory/0"].shape
        (['memory/0', 'memory/1'], (1, 3))
        >>> second = model.predict(np.ones((1, 4, 2)), verbose=0)
        >>> model.set_state(kept)
        >>> np.array_equal(second, model.predict(np.ones((1, 4, 2)), verbose=0))
        True
        """
        return {
            f"{path}/{at}": np.array(state)
            for path, layer in _stateful(self)
            for at, state in enumerate(flatten(layer.states))
            if state is not None
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Sets the states from `get_state`; layers without an entry start from zero.

        Raises:
            ValueError: The states are those of another model; nothing is changed then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"`state` must be a mapping, received {type(state).__name__}")
        found = list(_stateful(self))
        rest, before = dict(state), [layer.states for _, layer in found]
        try:
            for path, layer in found:
                own: list[Array] = []
                while f"{path}/{len(own)}" in rest:
                    own.append(np.array(rest.pop(f"{path}/{len(own)}")))
                layer.states = own or None
            _require_none(rest)
        except ValueError as error:
            for (_, layer), states in zip(found, before, strict=True):
                layer.states = states
            names = [path for path, _ in found]
            raise ValueError(
                f"`state` is that of another model than one with the stateful layers {names}: "
                f"{error}"
            ) from error

    def reset_states(self, states: Any = None) -> None:
        """Sets the states that stateful layers carry from batch to batch back to zero.

        `states` (one entry for each stateful layer) are taken instead of zeros.
        """
        stateful = [layer for layer in self.layers if is_stateful(layer)]
        if states is None:
            for layer in stateful:
                layer.reset_states()
            return
        if len(states) != len(stateful):
            raise ValueError(
                f"`states` must have one entry for each of the {len(stateful)} stateful layers, "
                f"received {len(states)}"
            )
        for layer, state in zip(stateful, states, strict=True):
            layer.reset_states(state)

    reset_state = reset_states

    def state_to_bytes(self) -> bytes:
        """The states of stateful layers as bytes with a version and checksums."""
        return state_bytes(self.get_state())

    def state_from_bytes(self, data: bytes) -> None:
        """Restores the states that `state_to_bytes` returned, in any process.

        Raises:
            ValueError: The bytes are damaged, of another version or of another model.
        """
        self.set_state(state_of_bytes(data))


def is_stateful(layer: Any) -> bool:
    """Whether a layer, or one inside a model, carries states from batch to batch."""
    if hasattr(layer, "layers"):
        return any(map(is_stateful, layer.layers))
    return bool(getattr(layer, "stateful", False))


def _require_none(rest: Mapping[str, Any]) -> None:
    if rest:
        raise ValueError(f"no stateful layer has the states {sorted(rest)[:5]}")


def _stateful(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The stateful layers by path, including those in nested models and both of a Bidirectional."""
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        both = [getattr(layer, name, None) for name in ("forward_layer", "backward_layer")]
        if hasattr(layer, "layers"):
            yield from _stateful(layer, f"{path}/")
        elif not getattr(layer, "stateful", False):
            continue
        elif None in both:
            yield path, layer
        else:
            yield f"{path}/forward", both[0]
            yield f"{path}/backward", both[1]
