"""What a layer records about its calls on symbolic tensors."""

from __future__ import annotations

from typing import Any

from ferrnn._src.layer.layer_configs import build_config
from ferrnn._src.symbolic.symbolic import Arguments, Node
from ferrnn._src.tree.tree import map_structure


class Called:
    """The part of `Layer` that keeps the nodes of its calls and the shapes it was built for."""

    name: str
    _inbound_nodes: list[Node]
    builds_itself = False  # whether a class overrides `build_from_config`

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for, as plain data; None before it is built."""
        return build_config(self)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes that `get_build_config` returned.

        >>> from ferrnn.layers import Dense
        >>> layer, again = Dense(2), Dense(2)
        >>> layer.build((None, 3))
        >>> again.build_from_config(layer.get_build_config())
        >>> again.kernel.shape
        (3, 2)
        """
        build: Any = self.build  # type: ignore[attr-defined]
        if "shapes_dict" in config:
            build(**config["shapes_dict"])
        elif config.get("input_shape") is not None:
            build(map_structure(lambda leaf: leaf, config["input_shape"]))

    def _cast_arguments(self, inputs: Any) -> Any:
        """The inputs and other arguments that `gather` returned, as arrays."""
        cast: Any = self.cast_inputs  # type: ignore[attr-defined]
        return cast(inputs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs that a call on symbolic tensors would give, without recording the call.

        >>> from ferrnn.layers import Dense, Input
        >>> Dense(2).compute_output_spec(Input((3,))).shape
        (None, 2)
        """
        options = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
        layer: Any = self
        return layer.symbolic_outputs(layer.gather(*args, **options))

    @property
    def input(self) -> Any:
        """The inputs of the first call on symbolic tensors."""
        given = self._first_node("input").inputs
        return given.args[0] if type(given) is Arguments and len(given.args) == 1 else given

    @property
    def output(self) -> Any:
        """The outputs of the first call on symbolic tensors."""
        return self._first_node("output").outputs

    def _first_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined {what}."
            )
        return self._inbound_nodes[0]
