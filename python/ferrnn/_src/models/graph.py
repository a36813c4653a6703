"""Runs the nodes of a graph in order, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.masked import listed_masks
from ferrnn._src.layer.operations import Operation
from ferrnn._src.models.order import ordered_nodes
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor, symbolic_leaves
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.tree.types import Array, Mask, Shape
from ferrnn._src.weights.parameter import Gradients, structure_version

# `backward(d_outputs, grads) -> d_inputs`, both in the order of the graph's ends.
Backward: TypeAlias = Callable[[Sequence[Any], Gradients], list[Any]]


class Graph:
    """The nodes between symbolic inputs and outputs, each run once in a call.

    Arrays are kept in a list with one slot for each symbolic tensor, inputs first.
    """

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.nodes = ordered_nodes(self.inputs, self.outputs)
        slots: dict[int, int] = {}
        for tensor in self.inputs:
            slots[id(tensor)] = len(slots)
        self.steps = [_Step(node, slots) for node in self.nodes if node.input_tensors]
        self._count = len(slots)
        self._results = [slots[id(tensor)] for tensor in self.outputs]
        self.expanded: dict[int, Any] = {}  # code of users as graphs, by the ids of steps
        self._planned: tuple[int, Call, list[tuple[_Step, Call, bool]]] | None = None
        self._free_after()

    def __getstate__(self) -> dict[str, Any]:
        # Nodes come first, in their order, so that a copy finds each node's inputs copied already
        # and does not recurse from the last node to the first.
        return {"nodes": self.nodes, **vars(self), "_planned": None, "expanded": {}}

    def _free_after(self) -> None:
        """Finds the step after which a slot is not read any more, so that inference may free it."""
        last: dict[int, _Step] = {}
        for step in self.steps:
            last.update(dict.fromkeys([*step.sources, *step.masked_by, *step.targets], step))
        for slot, step in last.items():
            if slot not in self._results:
                step.frees.append(slot)

    @property
    def count(self) -> int:
        """The number of symbolic tensors, each of which has a slot."""
        return self._count

    @property
    def operations(self) -> list[Layer]:
        """The layers and operators in the order of their first call."""
        return list(dict.fromkeys(node.layer for node in self.nodes))

    def raw_inputs(self) -> list[bool]:
        """For each input, whether all layers that read it cast it themselves."""
        raw = []
        for slot in range(len(self.inputs)):
            readers = [step.layer for step in self.steps if slot in step.sources]
            own = [type(each).cast_inputs is not Layer.cast_inputs for each in readers]
            operators = any(isinstance(each, Operation) or step_is_model(each) for each in readers)
            raw.append(bool(readers) and all(own) and not operators)
        return raw

    def propagate(self, tensors: Sequence[SymbolicTensor]) -> list[SymbolicTensor]:
        """Symbolic outputs for other symbolic inputs; no node is recorded."""
        values: list[Any] = [*tensors, *[None] * (self._count - len(tensors))]
        for step in self.steps:
            outputs = step.layer.symbolic_outputs(step.gathered(values))
            for slot, leaf in zip(step.targets, flatten(outputs), strict=True):
                values[slot] = leaf
        return [values[slot] for slot in self._results]

    def shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of the outputs for inputs of these shapes."""
        tensors = [
            SymbolicTensor(shape, known.dtype)
            for shape, known in zip(shapes, self.inputs, strict=True)
        ]
        return [tensor.shape for tensor in self.propagate(tensors)]

    def run(
        self, arrays: Sequence[Array], masks: Sequence[Mask | None] | None, call: Call
    ) -> tuple[list[Any], list[Mask | None] | None, Backward | None]:
        """Outputs, their masks, and, if differentiable, `vjp(d_outputs, grads) -> d_inputs`."""
        values: list[Any] = [*arrays, *[None] * (self._count - len(arrays))]
        known: list[Any] | None = None
        if masks is not None:
            known = [*masks, *[None] * (self._count - len(masks))]
        if not call.differentiable:
            for step in self.steps:
                # Checked here too, which saves a function call for nearly every layer.
                chosen = call if step.training is None else step.call_for(call)
                _, known = step.run(values, known, chosen)
                for slot in step.frees:
                    values[slot] = None
            return self._given_back(values, known, None)
        tape: list[tuple[_Step, Vjp]] = []
        for step, chosen, passes in self._plan(call):
            vjp, known = step.run(values, known, chosen)
            if passes and vjp is not None:
                tape.append((step, vjp))

        def backward(d_outputs: Sequence[Any], grads: Gradients) -> list[Any]:
            slots: list[Any] = [None] * self._count
            for slot, d_output in zip(self._results, d_outputs, strict=True):
                _meet(slots, slot, d_output)
            for step, vjp in reversed(tape):
                step.back(slots, values, vjp, grads)
            return slots[: len(self.inputs)]

        return self._given_back(values, known, backward)

    def _given_back(
        self, values: list[Any], known: list[Any] | None, vjp: Backward | None
    ) -> tuple[list[Any], list[Mask | None] | None, Backward | None]:
        masks = None
        if known is not None:
            masks = listed_masks([known[slot] for slot in self._results])
        return [values[slot] for slot in self._results], masks, vjp

    def _plan(self, call: Call) -> list[tuple[_Step, Call, bool]]:
        """The steps, how each is called, and whether it takes part in the gradients.

        It is cached for calls like the last one, such as those of training.
        """
        known, version = self._planned, structure_version()
        if known is not None and known[0] == version and known[1] is call:
            return known[2]
        wanted = [call.inputs_need_gradient] * len(self.inputs)
        wanted += [False] * (self._count - len(self.inputs))
        below = Call(call.training, False, False, None, False, call.losses)
        above = Call(call.training, True, True, None, call.consume, call.losses)
        at_edge = Call(call.training, True, False, None, call.consume, call.losses)
        plan = []
        for step in self.steps:
            asks = any(wanted[slot] for slot in step.sources)
            passes = asks or bool(step.layer.trainable_weights)
            for slot in step.targets:
                wanted[slot] = passes
            chosen = (above if asks else at_edge) if passes else below
            plan.append((step, step.call_for(chosen), passes))
        # The cache would keep alive what the call refers to.
        if call.mask is None and call.losses is None:
            self._planned = (version, call, plan)
        return plan


class _Step:
    """One node, with its tensors replaced by the slots of arrays."""

    def __init__(self, node: Node, slots: dict[int, int]) -> None:
        self.node, self.layer, self.training = node, node.layer, node.training
        self.sources = [slots[id(tensor)] for tensor in node.input_tensors]
        self.masked_by = [slots[id(tensor)] for tensor in symbolic_leaves(node.mask)]
        self._own_mask = node.mask is not None
        first = len(slots)
        for tensor in node.output_tensors:
            slots[id(tensor)] = len(slots)
        self.targets = list(range(first, len(slots)))
        self.frees: list[int] = []
        self.single = isinstance(node.inputs, SymbolicTensor)
        self._single_output = isinstance(node.outputs, SymbolicTensor)
        self._source = self.sources[0] if self.single else -1
        # A flat list or tuple of tensors is filled without walking through its structure.
        self.flat = type(node.inputs) in (list, tuple) and all(
            isinstance(part, SymbolicTensor) for part in node.inputs
        )
        self._kind = type(node.inputs)
        kind = type(self.layer)
        self._casts = kind.cast_inputs is not Layer.cast_inputs or any(
            tensor.dtype != self.layer.dtype for tensor in node.input_tensors
        )
        self._nested = step_is_model(self.layer)
        self._makes_masks = self.layer.makes_masks()
        self._leaves = [isinstance(leaf, SymbolicTensor) for leaf in flatten(node.inputs)]

    def call_for(self, call: Call) -> Call:
        """The call, with the node's own `training` if it has one."""
        training = self.training
        if training is None or training == call.training:
            return call
        return _changed(call, training, None)

    def run(
        self, values: list[Any], masks: list[Any] | None, call: Call
    ) -> tuple[Vjp | None, list[Any] | None]:
        """Runs the layer on arrays from their slots, and puts its outputs into theirs."""
        inputs = values[self._source] if self.single else self.gathered(values)
        if self._casts:
            inputs = self.layer.cast_inputs(inputs)
        mask = None
        if masks is not None or self._own_mask:
            mask = self.mask_of(values, masks)
            if mask is not None:
                call = _changed(call, call.training, mask)
        if self._nested:
            outputs, made, vjp = self.layer.outputs_and_mask(inputs, call)
        else:
            outputs, vjp = self.layer.forward_with_losses(inputs, call)
            made = None
            if mask is not None or self._makes_masks:
                made = self.layer.compute_mask(self.layer.main_input(inputs), mask)
        if self._single_output:
            values[self.targets[0]] = outputs
        else:
            for slot, leaf in zip(self.targets, flatten(outputs), strict=True):
                values[slot] = leaf
        if made is not None:
            masks = self._with(masks, made, len(values))
        return vjp, masks

    def gathered(self, values: list[Any]) -> Any:
        """The inputs of the layer's `forward`, from the slots."""
        if self.single:
            return values[self._source]
        if self.flat:
            return self._kind([values[slot] for slot in self.sources])
        arrays = iter(self.sources)
        return map_structure(
            lambda leaf: values[next(arrays)] if isinstance(leaf, SymbolicTensor) else leaf,
            self.node.inputs,
        )

    def mask_of(self, values: list[Any], masks: list[Any] | None) -> Any:
        """The mask of the layer's call, or those of its inputs."""
        if self.node.mask is not None:
            arrays = iter(self.masked_by)
            return map_structure(
                lambda leaf: values[next(arrays)] if isinstance(leaf, SymbolicTensor) else leaf,
                self.node.mask,
            )
        assert masks is not None
        if self.single:
            return masks[self._source]
        main = self.layer.main_input(self.node.inputs)
        places = dict(zip(map(id, self.node.input_tensors), self.sources, strict=True))
        if isinstance(main, SymbolicTensor):
            return masks[places[id(main)]]
        return listed_masks(
            [masks[places[id(leaf)]] for leaf in flatten(main) if id(leaf) in places]
        )

    def _with(self, masks: list[Any] | None, made: Any, count: int) -> list[Any] | None:
        found = list(made) if isinstance(made, list | tuple) else [made]
        if all(mask is None for mask in found):
            return masks
        known = [None] * count if masks is None else masks
        for slot, mask in zip(self.targets, found, strict=False):
            known[slot] = mask
        return known

    def back(self, slots: list[Any], values: list[Any], vjp: Vjp, grads: Gradients) -> None:
        """Takes the gradients of the outputs, and adds those of the inputs to their slots."""
        if self._single_output:
            d_outputs = slots[self.targets[0]]
            if d_outputs is None:
                return
        else:
            leaves = [slots[slot] for slot in self.targets]
            if all(leaf is None for leaf in leaves):
                return
            made = [values[slot] for slot in self.targets]
            leaves = [
                np.zeros_like(array) if leaf is None else leaf
                for leaf, array in zip(leaves, made, strict=True)
            ]
            d_outputs = pack_like(self.node.outputs, leaves)
        d_inputs = vjp(d_outputs, grads)
        if d_inputs is None:
            return
        if self.single:
            self._add(slots, values, self._source, d_inputs)
            return
        parts = d_inputs
        if not self.flat:
            pairs = zip(flatten(d_inputs), self._leaves, strict=True)
            parts = [leaf for leaf, symbolic in pairs if symbolic]
        for slot, d_input in zip(self.sources, parts, strict=True):
            self._add(slots, values, slot, d_input)

    def _add(self, slots: list[Any], values: list[Any], slot: int, gradient: Any) -> None:
        if self._casts and gradient is not None:
            if values[slot] is None:
                return  # an optional input that was not given
            dtype = values[slot].dtype
            if dtype.kind != "f":
                return  # integers have no gradient
            gradient = np.asarray(gradient).astype(dtype, copy=False)
        _meet(slots, slot, gradient)


def _changed(call: Call, training: bool | None, mask: Any) -> Call:
    # `dataclasses.replace` takes five times as long, in every step of training.
    wanted = call.inputs_need_gradient
    return Call(training, call.differentiable, wanted, mask, call.consume, call.losses)


def step_is_model(layer: Layer) -> bool:
    """Whether the layer is a model, which returns the masks of its outputs itself."""
    return hasattr(type(layer), "outputs_and_mask")


def _meet(slots: list[Any], slot: int, gradient: Any) -> None:
    known = slots[slot]
    if known is None:
        slots[slot] = gradient
    elif gradient is not None:
        slots[slot] = known + gradient
