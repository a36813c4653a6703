"""Attributes of a model's graph: layers, inputs and outputs, their names and shapes."""

from __future__ import annotations

from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.inputs import Inputs
from ferrnn._src.symbolic.symbolic import SymbolicTensor


class Ends:
    """The part of `Model` with the attributes of its graph."""

    name: str
    _graph: Graph | None = None
    _ends: Inputs
    _outputs_structure: Any

    def _listed_layers(self) -> list[Layer]:
        raise NotImplementedError(f"{type(self).__name__} must define `_listed_layers`")

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order of the graph, the stack or the attributes (a new list)."""
        return self._listed_layers()

    @layers.setter
    def layers(self, value: Any) -> None:
        remedy = "Please use another name"
        if hasattr(self, "add"):
            remedy = "Use `add()` and `pop()` to change the layers in this model"
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. "
            f"{remedy}, received {value!r}"
        )

    @property
    def is_functional(self) -> bool:
        """Whether the model was made of symbolic inputs and outputs."""
        return self._graph is not None

    @property
    def operations(self) -> list[Layer]:
        """The layers of a graph, and the operators between them."""
        return self._require_graph("operations").operations

    def _require_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise AttributeError(
                f"The model {self.name!r} has no `{what}`: it is not a functional model, or it is "
                "not built yet"
            )
        return self._graph

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs, in order."""
        return list(self._require_graph("inputs").inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs, in order."""
        return list(self._require_graph("outputs").outputs)

    @property
    def input(self) -> Any:
        """The symbolic input or inputs, as they were given."""
        self._require_graph("input")
        return self._ends.structure

    @property
    def output(self) -> Any:
        """The symbolic output or outputs, as they were given."""
        self._require_graph("output")
        return self._outputs_structure

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        return [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs, or the keys of a dict of outputs.

        A repeated name gets a number.
        """
        if self._graph is None:
            return []
        made = self._outputs_structure
        if isinstance(made, dict) and len(made) == len(self._graph.outputs):
            return sorted(made)
        if self._one_output and self._graph.outputs[0].node is not None:
            return [self._graph.outputs[0].node.layer.name]
        names: list[str] = []
        for tensor in self._graph.outputs:
            base = tensor.node.layer.name if tensor.node is not None else tensor.name
            count = sum(name == base or name.startswith(f"{base}_") for name in names)
            names.append(f"{base}_{count}" if base in names else base)
        return names

    @property
    def input_shape(self) -> Any:
        """The shape of the input, with None for the batch; a list of shapes for several."""
        return _one_or_list([tensor.shape for tensor in self.inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, with None for the batch; a list of shapes for several."""
        return _one_or_list([tensor.shape for tensor in self.outputs])

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index.

        >>> from ferrnn._src.models.sequential import Sequential
        >>> from ferrnn.layers import Dense
        >>> Sequential([Dense(1, name="last")]).get_layer("last").units
        1
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"Provide either a layer name or layer index at `get_layer`, received {name=!r} "
                f"and {index=!r}"
            )
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name!r}. Existing layers are: {[each.name for each in layers]}."
        )

    @property
    def _one_output(self) -> bool:
        """Whether a call returns a single array: also for a list of one output, as in Keras."""
        made = self._outputs_structure
        if type(made) is SymbolicTensor:  # first, as the other check takes longer
            return True
        listed = isinstance(made, list | tuple) and len(made) == 1
        return listed and isinstance(made[0], SymbolicTensor)


def _one_or_list(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts
