"""How layers over sequences are called: states, masks and lengths beside the sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.cells.protocol import flatten, listed
from ferrnn._src.layer.calling import plain_numbers, resolved_training, with_masks
from ferrnn._src.layer.layer import PLAIN_CALLS, Call, Layer
from ferrnn._src.layer.masked import mask_of, of_axes
from ferrnn._src.layers.checks import checked_mask, checked_sequence, checked_sequences, chosen_mask
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.shapes import shapes_of
from ferrnn._src.symbolic.symbolic import Arguments, SymbolicTensor, is_symbolic
from ferrnn._src.tree.results import Output, as_output
from ferrnn._src.tree.structures import is_nested
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array, Mask


class Recurrent(Layer):
    """A layer over sequences `[batch, time, ...]` with states that may be given and returned."""

    _rank: int | None = None  # how many axes sequences must have; None: two or more

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

        `lengths` `[batch]`, 0 to time, take the place of a mask that is True for so many steps.
        """
        if type(sequences) is Output:
            sequences = sequences.view(np.ndarray)
        plain = type(sequences) is np.ndarray
        if plain and tracing.current.get() is None:
            inputs: Any = self.cast_inputs(sequences)
        else:
            states = {} if initial_state is None else {"initial_state": initial_state}
            if lengths is not None and is_symbolic((sequences,), states):
                raise ValueError(
                    f"`lengths` of layer {self.name!r} must be given with arrays; in a functional "
                    "model a mask says how long sequences are, from `Masking` or `Embedding`"
                )
            if lengths is not None and tracing.current.get() is not None:
                mask, lengths = chosen_mask(self.name, mask, lengths, sequences), None
            recorded = self.recorded((sequences,), states, training, mask)
            if recorded is not None:
                return recorded
            inputs = self._cast_sequences(sequences)
        nested = type(inputs) is not np.ndarray and is_nested(inputs)
        first = checked_sequences(self.name, inputs) if nested else inputs
        if not self.built:
            if not nested:
                checked_sequence(self.name, inputs, self._rank, None)
            self.build(shapes_of(inputs))
        unmasked = plain and mask is None and lengths is None  # a plain array carries no mask
        known = None if unmasked else self._known_mask(mask, lengths, sequences, first)
        if initial_state is not None or nested:
            given = [] if initial_state is None else flatten(listed(initial_state))
            inputs = (inputs, *(self.cast_array(state, "initial_state") for state in given))
        if known is None:
            call = PLAIN_CALLS[resolved_training(training)]
            outputs = self.forward_with_losses(inputs, call)[0]
            return outputs.view(Output) if type(outputs) is np.ndarray else as_output(outputs)
        call = Call(training=resolved_training(training), mask=known)
        outputs, _ = self.forward_with_losses(inputs, call)
        return with_masks(outputs, self.compute_mask(inputs, known))

    def _known_mask(self, mask: Any, lengths: Any, sequences: Any, first: Any) -> Any:
        """The mask that was given, by lengths as well, or that the (first) sequences carry."""
        if mask is None and lengths is None:
            mask = mask_of(flatten(sequences)[0])
            if mask is None:
                return None
        elif is_nested(sequences) and is_nested(mask) and not plain_numbers(mask):
            mask = mask[0]  # as in Keras the first of several sequences says which steps count
        return chosen_mask(self.name, mask, lengths, first)

    def _cast_sequences(self, sequences: Any) -> Any:
        """An array, or the arrays in a structure of several sequences."""
        several = is_nested(sequences) and not plain_numbers(sequences)
        if several and self._rank is None:
            return map_structure(lambda each: self.cast_array(each, "inputs"), sequences)
        return self.cast_array(sequences, "inputs")

    def _apply_call(self, inputs: Any, call: Call) -> Any:
        if type(inputs) is tuple:
            inputs = Arguments((inputs[0],), {"initial_state": list(inputs[1:])})
        return super()._apply_call(inputs, call)

    def gather(self, sequences: Any, initial_state: Any = None) -> Any:
        """The sequences, or a tuple of them (one entry, if they are nested) and initial states."""
        if initial_state is not None:
            return (sequences, *flatten(listed(initial_state)))
        nested = is_nested(sequences) and not plain_numbers(sequences)
        return (sequences,) if nested else sequences

    def _mask_for(self, mask: Any, first: Array) -> Mask | None:
        """The mask `[batch, time]` out of what a call brings: of several the first, as in Keras."""
        known = mask[0] if isinstance(mask, list | tuple) else mask
        return None if known is None else checked_mask(self.name, known, first)

    def _mask_of_outputs(self, mask: Any, return_sequences: bool) -> Any:
        """The mask `[batch, time]` for outputs at all steps, none for the last outputs."""
        known = mask[0] if isinstance(mask, list | tuple) else mask
        if known is None or not return_sequences:
            return None
        return known if isinstance(known, SymbolicTensor) else of_axes(known, 2)

    def main_input(self, inputs: Any) -> Any:
        """The sequences: shapes and masks are about them, not about initial states."""
        return inputs[0] if isinstance(inputs, tuple) else inputs
