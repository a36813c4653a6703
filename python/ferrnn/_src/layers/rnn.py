"""A recurrent layer over any cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ferrnn._src.cells.base import BuiltInCell, Cell
from ferrnn._src.cells.protocol import (
    States,
    StateShape,
    check_cell,
    check_sizes,
    draw_dropout,
    flatten,
    initial_state,
    learned_state,
    listed,
    pack,
    state_structure,
    takes_nested_sizes,
    try_step,
)
from ferrnn._src.cells.protocol import output_size as output_size_of
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.layer.calling import leaving_no_trace
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.layer_configs import serialized
from ferrnn._src.layer.serialization import deserialized
from ferrnn._src.layers.checks import (
    checked_sequence,
    checked_sequences,
    checked_states,
)
from ferrnn._src.layers.recurrent import BY_DEFAULT, Recurrent
from ferrnn._src.sequence import fused
from ferrnn._src.sequence.protocol import Scanned, ScanVjp
from ferrnn._src.sequence.stream import Stream, StreamPart, cell_parts
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.shapes import first_shape, is_shape, map_shapes, shapes_of
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.structures import is_nested
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients

_PROGRAMMED = "ferrnn._src.sequence.programmed"


class RNN(Recurrent):
    """Runs a cell over time: inputs `[batch, time, features]`.

    The outputs are `[batch, units]`, the last step's, or `[batch, time, units]` with
    `return_sequences`; with `return_state` a tuple of the outputs and the final states. A list of
    cells is stacked. With `go_backwards`, time runs from the last step to the first and outputs
    are in that order. A mask `[batch, time]` is True at real steps: elsewhere the state is
    carried over and the output repeated (before the first real step the initial h), or zero with
    `zero_output_for_mask`. A stateful layer starts where its last call ended.

    >>> from ferrnn._src.cells.lstm import LSTMCell
    >>> layer = RNN([LSTMCell(4), LSTMCell(7)], return_sequences=True, return_state=True)
    >>> outputs, lower, upper = layer(np.ones((2, 3, 6)))
    >>> outputs.shape, np.shape(lower), np.shape(upper)
    ((2, 3, 7), (2, 2, 4), (2, 2, 7))
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        of_cell = cell.dtype if isinstance(cell, Layer) else None
        kwargs["dtype"] = of_cell if kwargs.get("dtype") is None else kwargs["dtype"]
        super().__init__(**kwargs)
        if of_cell is not None and of_cell != self.dtype:
            raise ValueError(
                f"`dtype` of layer {self.name!r} must be that of its cell, {of_cell}, "
                f"received {self.dtype}"
            )
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self._rank = 3 if isinstance(cell, BuiltInCell) else None
        self._features: int | None = None
        self._states: Any = None

    # Shapes and states.

    def build(self, input_shape: Any) -> None:
        if not is_shape(input_shape):
            self._build_nested(input_shape)
            return
        shape = tuple(input_shape)
        if len(shape) < 3 and (self._rank or len(shape) < 2):
            raise ValueError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected ndim=3 "
                f"[batch, time, features], found ndim={len(shape)}. Full shape received: {shape}. "
                "A recurrent layer that feeds another needs `return_sequences=True`."
            )
        self._build_cell((shape[0], *shape[2:]))
        self._features = shape[-1]
        if self.stateful and self._states is None and shape[0] is not None:
            self._states = self._packed(_kept(initial_state(self.cell, shape[0], self.dtype)))

    def _build_nested(self, shapes: Any) -> None:
        """Builds a cell with several inputs, in nested tuples, lists and dicts."""
        if self._rank is not None:
            raise ValueError(
                f"layer {self.name!r} takes one array of sequences, received the shapes {shapes}: "
                "only custom cells take several"
            )
        self._build_cell(map_shapes(lambda shape: (shape[0], *shape[2:]), shapes))
        batch = first_shape(shapes)[0]
        if self.stateful and self._states is None and batch is not None:
            self._states = self._packed(_kept(initial_state(self.cell, batch, self.dtype)))

    def _build_cell(self, shapes: Any) -> None:
        """Builds the cell for one step's shapes, if it is not built yet."""
        check_sizes(self.cell)
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(shapes)
        if takes_nested_sizes(self.cell):
            self._try_step(shapes)

    def _try_step(self, shapes: Any) -> None:
        with leaving_no_trace(self):
            try_step(self.cell, shapes, self.dtype)

    def symbolic_outputs(self, inputs: Any) -> Any:
        if not fused.supports(self.cell) and not isinstance(self.cell, BuiltInCell):
            shapes = shapes_of(self.main_input(inputs))
            self._try_step(map_shapes(lambda shape: (shape[0], *shape[2:]), shapes))
        return super().symbolic_outputs(inputs)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states: one entry for each state of the cell, or cell of a stack."""
        size = self.cell.state_size
        return list(size) if isinstance(size, list | tuple) else [size]

    @property
    def states(self) -> Any:
        """The stored states of a stateful layer, from which the next call starts, or None.

        The arrays are read-only; assign to `states` to change them. A layer that is not stateful
        keeps what was assigned but, as in Keras, starts every call from its initial state.
        """
        states = self._states
        if states is None:
            return None
        return pack(states, list(map(as_output, flatten(states))), type(states))

    @states.setter
    def states(self, value: Any) -> None:
        if value is not None:
            flat = _kept([self.cast_array(s, "states") for s in flatten(listed(value))])
            batch = len(flat[0]) if flat and flat[0].ndim else None
            checked_states(self.name, listed(state_structure(self.cell)), flat, batch)
            value = pack(listed(value), flat, tuple if isinstance(value, tuple) else list)
        self._states = value

    def reset_state(self, states: Any = None) -> None:
        """Sets the stored states to zeros, or to `states`."""
        if states is not None:
            self.states = states
        elif self._states is not None:
            zeros = [np.zeros_like(state) for state in flatten(self._states)]
            self._states = pack(self._states, _kept(zeros))

    reset_states = reset_state

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states that a call starts from by default."""
        if batch_size is None and getattr(tracing.current.get(), "expands", False):
            return self._packed([BY_DEFAULT] * len(flatten(state_structure(self.cell))))
        states = initial_state(self.cell, batch_size, self.dtype)
        return self._packed(list(map(as_output, states)))

    def _packed(self, flat: Sequence[Any]) -> list[Any]:
        """Flat states in public form: an entry for each state, or for each cell of a stack."""
        if not isinstance(self.cell, StackedRNNCells):
            packed = pack(listed(state_structure(self.cell)), flat)
            return list(packed.values()) if isinstance(packed, dict) else list(packed)
        shapes = [
            listed(size) if isinstance(cell, Cell) else size
            for cell, size in zip(self.cell.cells, state_structure(self.cell), strict=True)
        ]
        return list(pack(shapes, flat))

    # Calling.

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs and vjp for sequences, or for a tuple of sequences and initial states.

        The vjp returns gradients in the same form: for the sequences, or for the whole tuple.
        """
        sequences, states = (inputs[0], inputs[1:]) if type(inputs) is tuple else (inputs, ())
        outputs, final, scan_vjp = self.run(sequences, states, call)
        returned = (outputs, *self._packed(final)) if self.return_state else outputs
        if scan_vjp is None:
            return returned, None
        nested = type(sequences) is not np.ndarray and is_nested(sequences)
        structure = sequences if nested else None
        return returned, partial(self._backward, scan_vjp, structure, len(states))

    def run(self, sequences: Any, states: tuple[Array, ...], call: Call) -> Scanned:
        """One run of the cell: outputs, flat final states, and the vjp for sequences and states."""
        nested = type(sequences) is not np.ndarray and is_nested(sequences)
        first = checked_sequences(self.name, sequences) if nested else sequences
        if not self.built:
            self.build(shapes_of(sequences))
        shape = first.shape
        if not nested and (len(shape) != self._rank or shape[-1] != self._features):
            checked_sequence(self.name, first, self._rank, self._features)
        mask = None if call.mask is None else self._mask_for(call.mask, first)
        cell = self.cell
        dropout = draw_dropout(cell, shape[0], shape[-1]) if call.training else None
        packed = fused.packed_for(cell, exact=call.differentiable or bool(call.training))
        scan = _scan_of(cell) if packed is None else packed.scan
        start = self._start(states, shape[0]) if states or self.stateful else None
        learned = None
        if packed is None and start is None and call.differentiable:
            learned = learned_state(cell, shape[0], self.dtype)
        outputs, final, scan_vjp = scan(
            sequences,
            start if learned is None else learned[0],
            call,
            mask=mask,
            go_backwards=self.go_backwards,
            return_sequences=self.return_sequences,
            zero_output_for_mask=self.zero_output_for_mask,
            dropout=dropout,
            final_states=self.stateful or self.return_state,
        )
        if self.stateful:
            # The arrays belong to the layer alone unless they are returned as well.
            self._states = self._packed(_kept(final) if self.return_state else _locked(final))
        if learned is not None and scan_vjp is not None:
            scan_vjp = _through_start(scan_vjp, learned[1])
        return outputs, final, scan_vjp

    def _backward(
        self, scan_vjp: ScanVjp, structure: Any, states: int, d_returned: Any, grads: Gradients
    ) -> Any:
        """The vjp of `forward`, for sequences in a structure (or None) and a number of states."""
        d_outputs, d_final = d_returned, None
        if self.return_state:
            d_outputs, d_final = d_returned[0], self._flat_gradients(d_returned[1:])
        d_sequences, d_states = scan_vjp(as_gradient(d_outputs, self._float), d_final, grads)
        if structure is not None and d_sequences is None:
            d_sequences = map_structure(lambda leaf: None, structure)
        as_tuple = states or structure is not None
        return (d_sequences, *d_states[:states]) if as_tuple else d_sequences

    def stream(self, streams: int = 1) -> Stream:
        """The layer as a `Stream`, one step per call, with states that start from zero."""
        if not self.built or self._features is None:
            raise ValueError(
                f"layer {self.name!r} must be built before it can run in a stream: call it once, "
                "or `build((None, None, features))`"
            )
        return Stream.over(self.stream_parts(self.name), self._features, streams, self.dtype)

    def stream_parts(self, name: str) -> list[StreamPart]:
        """The parts of a stream for the layer; the names of their states begin with `name`."""
        self.check_stream(name)
        return cell_parts(name, self.cell)

    def check_stream(self, name: str) -> None:
        """Raises TypeError for settings that a stream does not support."""
        for option in ("go_backwards", "return_state"):
            if getattr(self, option):
                raise ValueError(
                    f"layer {name!r} cannot run in a stream with {option}=True: a stream runs "
                    "forward in time and returns one array per step"
                )

    def _start(self, given: tuple[Array, ...], batch: int) -> States | None:
        """The given or stored states to start from, or None for the cell's initial state."""
        if given:
            checked_states(self.name, listed(state_structure(self.cell)), given, batch)
            return given
        if self._states is None:
            return None
        stored: States = tuple(flatten(self._states))
        if stored and len(stored[0]) != batch:
            raise ValueError(
                "If an RNN is stateful, the batch size of the input sequences must be the same as "
                f"the batch size of the initial state. Layer {self.name!r} received a batch of "
                f"{batch}, while its states have a batch of {len(stored[0])}; call `reset_state` "
                "with states of that batch, or set `states = None`, before changing it"
            )
        return stored

    def _flat_gradients(self, d_states: Sequence[Any]) -> list[Array | None]:
        """Gradients for the returned states, flat; None for a cell stands for all its states."""
        flat: list[Array | None] = []
        entries = listed(state_structure(self.cell))
        entries = list(entries.values()) if isinstance(entries, dict) else entries
        for size, d_state in zip(entries, d_states, strict=True):
            count = len(flatten(size))
            flat += [None] * count if d_state is None else flatten(d_state)
        return [as_gradient(d_state, self._float) for d_state in flat]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of all that a call returns, including states."""
        batch, time = first_shape(input_shape)[:2]
        width = output_size_of(self.cell)
        outputs = (batch, time, width) if self.return_sequences else (batch, width)
        if not self.return_state:
            return outputs
        sizes = flatten(state_structure(self.cell))
        lengths = [size.lengths if isinstance(size, StateShape) else (size,) for size in sizes]
        return (outputs, *self._packed([(batch, *each) for each in lengths]))

    def makes_masks(self) -> bool:
        return type(self).compute_mask is not RNN.compute_mask

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """The inputs' mask for the outputs at all steps; None for the last output and states."""
        # As in Keras the mask is not reversed with go_backwards, though the outputs are.
        outputs = self._mask_of_outputs(mask, self.return_sequences)
        return [outputs, *(None for _ in self.state_size)] if self.return_state else outputs

    # Configuration.

    def _flags(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    def get_config(self) -> dict[str, Any]:
        return {**self._flags(), "cell": serialized(self.cell)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """A new layer; `custom_objects` names the classes of your own cells."""
        config = dict(config)
        if "cell" in config:
            config["cell"] = deserialized(config["cell"], custom_objects)
        return cls(**config)


def _scan_of(cell: Any) -> Callable[..., Scanned]:
    """What runs a cell that has no packed weights: a stack, or a cell of the user's."""
    # Programs are for users' cells, and loading their code takes a megabyte.
    scan = fused.scan if fused.supports(cell) else import_module(_PROGRAMMED).scan
    return partial(scan, cell)


def _through_start(scan_vjp: ScanVjp, start_vjp: Callable[[States, Gradients], Any]) -> ScanVjp:
    """A vjp that goes on to the weights from which a cell computes its initial state."""

    def vjp(d_outputs: Any, d_final: Any, grads: Gradients) -> tuple[Any, States]:
        d_inputs, d_states = scan_vjp(d_outputs, d_final, grads)
        start_vjp(d_states, grads)
        return d_inputs, d_states

    return vjp


def _kept(states: Sequence[Array]) -> Sequence[Array]:
    """Read-only copies, so that writing to the caller's array does not change the layer's state."""
    return _locked([np.array(state) for state in states])


def _locked(states: Sequence[Array]) -> Sequence[Array]:
    for state in states:
        state.setflags(write=False)
    return states


def as_gradient(gradient: Any, dtype: np.dtype[Any]) -> Array | None:
    """A gradient in the engine's form; None stands for zeros."""
    return None if gradient is None else np.asarray(gradient, dtype)
