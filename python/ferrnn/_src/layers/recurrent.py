"""Calls of layers over sequences, with initial states, masks and lengths."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.cells.protocol import flatten, listed
from ferrnn._src.layer.calling import plain_numbers
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.layers.checks import checked_mask, checked_sequence, checked_sequences, chosen_mask
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import Arguments, SymbolicTensor, is_symbolic
from ferrnn._src.tree.results import Output
from ferrnn._src.tree.structures import is_nested
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array, Mask

# Stands for each state that a call starts from by default, in code for any number of rows.
BY_DEFAULT: Final = object()


class Recurrent(Layer):
    """A layer over sequences `[batch, time, ...]` that can take and return states."""

    _rank: int | None = None  # the number of axes of sequences; None for two or more

    def __call__(  # type: ignore[override]
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: ArrayLike | None = None,
        training: bool | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Outputs for sequences `[batch, time, features]`, from the given initial states.

        `lengths` `[batch]`, from 0 to time, stands for a mask that is True for that many steps.
        """
        # A shortcut for the most common calls.
        if type(sequences) is Output:
            sequences = sequences.view(np.ndarray)
        if type(sequences) is np.ndarray and lengths is None and tracing.current.get() is None:
            inputs: Any = self.cast_inputs(sequences)
            if initial_state is not None:
                given = flatten(listed(initial_state))
                inputs = (inputs, *(self.cast_array(each, "initial_state") for each in given))
            return self._outputs(inputs, training, None if mask is None else np.asarray(mask))
        states = {} if initial_state is None else {"initial_state": initial_state}
        if lengths is not None:
            if is_symbolic((sequences,), states):
                raise ValueError(
                    f"`lengths` of layer {self.name!r} can only be given with arrays; in a "
                    "functional model, use a mask from `Masking` or `Embedding`"
                )
            if tracing.current.get() is None:  # so that the call below does not cast them again
                sequences = self.main_input(self._cast_arguments(self.gather(sequences)))
            mask = chosen_mask(self.name, mask, lengths, self._first_of(sequences))
        elif isinstance(mask, list | tuple) and plain_numbers(mask):
            mask = np.asarray(mask)
        return super().__call__(sequences, mask=mask, training=training, **states)

    def _first_of(self, sequences: Any) -> Any:
        """The sequences, or the first of several."""
        if tracing.current.get() is not None:
            return flatten(sequences)[0]
        return checked_sequences(self.name, sequences) if is_nested(sequences) else sequences

    def _cast_arguments(self, inputs: Any) -> Any:
        """The sequences, or a tuple of them and initial states, as arrays of the layer's dtype."""
        if not isinstance(inputs, tuple):
            return self.cast_inputs(inputs)
        sequences, *states = inputs
        if not is_nested(sequences) or plain_numbers(sequences) or self._rank is not None:
            sequences = self.cast_array(sequences, "inputs")
        else:
            sequences = map_structure(lambda each: self.cast_array(each, "inputs"), sequences)
        return (sequences, *(self.cast_array(state, "initial_state") for state in states))

    def build_for(self, inputs: Any) -> None:
        """Builds the layer for the sequences, with or without states, that `forward` takes."""
        sequences = self.main_input(inputs)
        if isinstance(sequences, np.ndarray):
            checked_sequence(self.name, sequences, self._rank, None)
        super().build_for(inputs)

    def _apply_call(self, inputs: Any, call: Call) -> Any:
        if type(inputs) is tuple:
            inputs = Arguments((inputs[0],), {"initial_state": list(inputs[1:])})
        return super()._apply_call(inputs, call)

    def gather(self, sequences: Any, initial_state: Any = None) -> Any:
        """The sequences, or a tuple of them (one entry, if they are nested) and initial states."""
        if initial_state is not None and {*map(id, flatten(initial_state))} != {id(BY_DEFAULT)}:
            return (sequences, *flatten(listed(initial_state)))
        return (sequences,) if is_nested(sequences) else sequences

    def _mask_for(self, mask: Any, first: Array) -> Mask | None:
        """The mask `[batch, time]` of a call: of several the first, as in Keras."""
        known = mask[0] if isinstance(mask, list | tuple) else mask
        return None if known is None else checked_mask(self.name, known, first)

    def _mask_of_outputs(self, mask: Any, return_sequences: bool) -> Any:
        """The mask `[batch, time]` for outputs at all steps; None for the last outputs."""
        known = mask[0] if isinstance(mask, list | tuple) else mask
        if known is None or not return_sequences:
            return None
        return known if isinstance(known, SymbolicTensor) else of_axes(known, 2)

    def main_input(self, inputs: Any) -> Any:
        """The sequences, which shapes and masks refer to, without initial states."""
        return inputs[0] if isinstance(inputs, tuple) else inputs
