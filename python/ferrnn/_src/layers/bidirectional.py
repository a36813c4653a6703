"""A recurrent layer that reads sequences both ways."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ferrnn._src.cells.protocol import flatten
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.layer_configs import serialized
from ferrnn._src.layer.serialization import deserialized
from ferrnn._src.layers.recurrent import Recurrent
from ferrnn._src.layers.rnn import RNN, as_gradient
from ferrnn._src.sequence.protocol import ScanVjp
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

_MODES = ("sum", "mul", "ave", "concat", None)
_ALIKE = ("stateful", "return_sequences", "return_state")


class Bidirectional(Recurrent):
    """Runs two recurrent layers, one of them backwards, and merges their outputs.

    `[batch, time, features]` becomes `[batch, 2 units]` (`[batch, time, 2 units]` with
    `return_sequences`, both directions in the order of time). `merge_mode` is
    "concat", "sum", "mul", "ave", or None for a tuple of the two. With `return_state` the states of
    the forward layer follow, then those of the backward one; `initial_state` has the same order.

    The layers are re-created from the configuration of `layer`, named `forward_...` and
    `backward_...`; a `backward_layer` is used as it is. Masked steps output zeros, so that
    the directions stay aligned.

    >>> from ferrnn._src.layers.lstm import LSTM
    >>> layer = Bidirectional(LSTM(4, return_sequences=True))
    >>> layer(np.ones((2, 3, 6))).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        _check_layers(layer, backward_layer)
        if merge_mode not in _MODES:
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode!r}. Merge mode should be one of "
                '{"sum", "mul", "ave", "concat", None}'
            )
        kwargs["dtype"] = layer.dtype if kwargs.get("dtype") is None else kwargs["dtype"]
        super().__init__(**kwargs)
        self.forward_layer = _remade(layer, "forward_")
        if backward_layer is None:
            backward_layer = _remade(layer, "backward_", go_backwards=True)
        self.backward_layer = backward_layer
        self._check_alike()
        for each in (self.forward_layer, self.backward_layer):
            if hasattr(each, "zero_output_for_mask"):
                each.zero_output_for_mask = each.return_sequences
        self.merge_mode = merge_mode
        self._rank = getattr(self.forward_layer, "_rank", None)
        self._first_weights = weights
        if not self._trainable:
            self.trainable = False

    def _check_alike(self) -> None:
        ahead, back = self.forward_layer, self.backward_layer
        if ahead.go_backwards == back.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. "
                f"Received: forward_layer.go_backwards {ahead.go_backwards}, "
                f"backward_layer.go_backwards={back.go_backwards}"
            )
        for name in _ALIKE:
            one, two = getattr(ahead, name), getattr(back, name)
            if one != two:
                raise ValueError(
                    "Forward layer and backward layer are expected to have the same value for "
                    f'attribute "{name}", got "{one}" for forward layer and "{two}" for backward '
                    "layer"
                )
        for each in (ahead, back):
            if each.dtype != self.dtype:
                raise ValueError(
                    f"`dtype` of layer {self.name!r} must be that of its layers, received "
                    f"{self.dtype} while {each.name!r} has {each.dtype}"
                )

    # Settings and states of both layers.

    @property
    def return_sequences(self) -> bool:
        """Whether the outputs of all steps are returned."""
        return bool(self.forward_layer.return_sequences)

    @property
    def return_state(self) -> bool:
        """Whether the final states are returned as well."""
        return bool(self.forward_layer.return_state)

    @property
    def stateful(self) -> bool:
        """Whether a call starts from the final states of the last one."""
        return bool(self.forward_layer.stateful)

    @property
    def states(self) -> Any:
        """The stored states, those of the forward layer first, or None."""
        ahead, back = self.forward_layer.states, self.backward_layer.states
        return (*ahead, *back) if ahead and back else None

    def reset_state(self, states: Any = None) -> None:
        """Sets the stored states to zeros, or to `states`: the forward layer's come first."""
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        if states is None:
            given: Any = (None, None)
        else:
            count = len(self.forward_layer.state_size)
            self._check_count(len(states), count + len(self.backward_layer.state_size), "states")
            given = states[:count], states[count:]
        self.forward_layer.reset_state(given[0])
        self.backward_layer.reset_state(given[1])

    reset_states = reset_state

    def _check_count(self, received: int, expected: int, argument: str) -> None:
        if received != expected:
            raise ValueError(
                f"`{argument}` of layer {self.name!r} must hold {expected} states, those of the "
                f"forward layer first, received {received}"
            )

    def build(self, input_shape: Any) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
        if self._first_weights:
            self.set_weights(self._first_weights)

    # Calling.

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs and vjp for sequences, or for a tuple of sequences and initial states."""
        of_ahead, of_back = self.forward_layer, self.backward_layer
        sequences = for_ahead = for_back = inputs
        if type(inputs) is tuple:
            sequences = for_ahead = for_back = inputs[0]
            if len(inputs) > 1:
                states = inputs[1:]
                counts = [len(flatten(layer.state_size)) for layer in self._directions]
                self._check_count(len(states), sum(counts), "initial_state")
                for_ahead = (sequences, *states[: counts[0]])
                for_back = (sequences, *states[counts[0] :])
        if not self.built:
            self.build(sequences.shape)
        # Most layers need only a run of their cells, not everything that `forward` does.
        bare = type(of_ahead).forward is RNN.forward is type(of_back).forward
        bare = bare and of_ahead.activity_regularizer is None is of_back.activity_regularizer
        bare = bare and type(inputs) is np.ndarray and not of_ahead.return_state
        ahead_vjp: Any
        back_vjp: Any
        if bare:
            ahead, _, ahead_vjp = of_ahead.run(inputs, (), call)
            back, _, back_vjp = of_back.run(inputs, (), call)
        else:
            ahead, ahead_vjp = of_ahead.forward_with_losses(for_ahead, call)
            back, back_vjp = of_back.forward_with_losses(for_back, call)
        counted = None  # the final states of the forward layer
        if of_ahead.return_state:
            (ahead, *final), (back, *back_final) = ahead, back
            counted = len(final)
        if of_ahead.return_sequences:
            back = back[:, ::-1]
        returned = _merged(self.merge_mode, ahead, back)
        if counted is not None:
            parts = returned if self.merge_mode is None else (returned,)
            returned = (*parts, *final, *back_final)
        if ahead_vjp is None or back_vjp is None:
            return returned, None
        if bare:
            return returned, partial(self._bare_backward, ahead, back, ahead_vjp, back_vjp)
        return returned, partial(self._backward, ahead, back, ahead_vjp, back_vjp, counted)

    def _apart(self, d_outputs: Any, ahead: Array, back: Array) -> tuple[Any, Any]:
        """The gradients for the outputs of both directions, each in its own order of time."""
        if d_outputs is None:
            return None, None
        d_ahead, d_back = _parted(self.merge_mode, d_outputs, ahead, back)
        if self.forward_layer.return_sequences and d_back is not None:
            d_back = d_back[:, ::-1]
        return d_ahead, d_back

    def _bare_backward(
        self,
        ahead: Array,
        back: Array,
        ahead_vjp: ScanVjp,
        back_vjp: ScanVjp,
        d_outputs: Any,
        grads: Gradients,
    ) -> Any:
        """The vjp of `forward` after two runs of cells."""
        d_ahead, d_back = self._apart(d_outputs, ahead, back)
        d_ahead, d_back = as_gradient(d_ahead, self._float), as_gradient(d_back, self._float)
        return _joined(ahead_vjp(d_ahead, None, grads)[0], back_vjp(d_back, None, grads)[0])

    def _backward(
        self,
        ahead: Array,
        back: Array,
        ahead_vjp: Vjp,
        back_vjp: Vjp,
        counted: int | None,
        d_returned: Any,
        grads: Gradients,
    ) -> Any:
        """The vjp of `forward`, from the outputs and vjps of both directions."""
        d_outputs, d_final = d_returned, None
        if counted is not None:
            count = 2 if self.merge_mode is None else 1
            d_outputs, d_final = d_returned[:count], d_returned[count:]
            d_outputs = d_outputs if self.merge_mode is None else d_outputs[0]
        d_ahead, d_back = self._apart(d_outputs, ahead, back)
        if d_final is not None:
            d_ahead, d_back = (d_ahead, *d_final[:counted]), (d_back, *d_final[counted:])
        return _joined(ahead_vjp(d_ahead, grads), back_vjp(d_back, grads))

    @property
    def _directions(self) -> tuple[Any, Any]:
        return self.forward_layer, self.backward_layer

    # Shapes and configuration.

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of all that a call returns, including states."""
        ahead, back = (layer.compute_output_shape(input_shape) for layer in self._directions)
        states: tuple[Any, ...] = ()
        if self.return_state:
            (ahead, *ahead_states), (back, *back_states) = ahead, back
            states = (*ahead_states, *back_states)
        if self.merge_mode is None:
            return (ahead, back, *states)
        merged = (*ahead[:-1], ahead[-1] + back[-1]) if self.merge_mode == "concat" else ahead
        return (merged, *states) if self.return_state else merged

    def makes_masks(self) -> bool:
        return type(self).compute_mask is not Bidirectional.compute_mask

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """The inputs' mask for the outputs at all steps; None for last outputs and states."""
        outputs = self._mask_of_outputs(mask, self.return_sequences)
        if not self.return_state and self.merge_mode is not None:
            return outputs
        count = 2 if self.merge_mode is None else 1
        states = sum(len(layer.state_size) for layer in self._directions)
        return [*[outputs] * count, *[None] * (states if self.return_state else 0)]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialized(self.forward_layer),
            "backward_layer": serialized(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """A new layer; `custom_objects` names the classes of your own layers and cells."""
        config = dict(config)
        for part in ("layer", "backward_layer"):
            if config.get(part) is not None:
                config[part] = deserialized(config[part], custom_objects)
        return cls(**config)


def _check_layers(layer: Any, backward_layer: Any) -> None:
    if not isinstance(layer, Layer):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Please initialize `Bidirectional` layer with a `keras.layers.Layer` instance. "
            f"Received: {layer!r}"
        )
    if backward_layer is not None and not isinstance(backward_layer, Layer):
        raise ValueError(
            "`backward_layer` need to be a `keras.layers.Layer` instance. "
            f"Received: {backward_layer!r}"
        )
    for each in (layer, backward_layer):
        missing = [name for name in ("go_backwards", *_ALIKE) if not hasattr(each, name)]
        if each is not None and missing:
            raise ValueError(
                f"layer {each.name!r} cannot be made bidirectional: it must be a recurrent layer "
                f"and have {missing}"
            )


def _remade(layer: Any, prefix: str, **changes: Any) -> Any:
    """A new layer of the same configuration, with a prefix before its name."""
    config = serialized(layer)
    name = f"{prefix}{layer.name.removeprefix(prefix)}"
    config["config"] = {**config["config"], **changes, "name": name}
    if hasattr(layer, "use_cudnn"):
        config["config"]["use_cudnn"] = layer.use_cudnn
    return deserialized(config)


def _merged(mode: str | None, ahead: Array, back: Array) -> Any:
    """The merged outputs of both directions, in the order of time."""
    if mode == "concat":
        return np.concatenate((ahead, back), -1)
    if mode is None:
        return ahead, back
    if mode == "mul":
        return ahead * back
    return ahead + back if mode == "sum" else (ahead + back) / 2


def _parted(mode: str | None, d_outputs: Any, ahead: Array, back: Array) -> Any:
    """The gradients for the outputs of both directions, from that for the merged ones."""
    if mode == "concat":
        units = ahead.shape[-1]
        return d_outputs[..., :units], d_outputs[..., units:]
    if mode is None:
        return d_outputs
    if mode == "mul":
        return d_outputs * back, d_outputs * ahead
    return (d_outputs, d_outputs) if mode == "sum" else (d_outputs / 2, d_outputs / 2)


def _joined(ahead: Any, back: Any) -> Any:
    """The gradients for the inputs of both directions, and for the states of each."""
    if not isinstance(ahead, tuple):
        return None if ahead is None else ahead + back
    d_sequences = None if ahead[0] is None else ahead[0] + back[0]
    return (d_sequences, *ahead[1:], *back[1:])
