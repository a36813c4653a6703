"""The base of layers around one other layer."""

from __future__ import annotations

from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.layer_configs import serialized
from ferrnn._src.layer.serialization import deserialized


class Wrapper(Layer):
    """A layer around another one, `layer`, whose weights are its own.

    >>> from ferrnn._src.layers.dense import Dense
    >>> Wrapper(Dense(3, name="inner")).layer.name
    'inner'
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(  # noqa: TRY004 - Keras' error
                f"Layer {layer!r} supplied to {type(self).__name__} isn't a supported layer type. "
                "Please ensure wrapped layer is a valid Keras layer."
            )
        kwargs["dtype"] = layer.dtype if kwargs.get("dtype") is None else kwargs["dtype"]
        super().__init__(**kwargs)
        self.layer = layer
        if not self._trainable:
            self.trainable = False

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialized(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """A new layer; `custom_objects` names the classes of your own layers."""
        layer = deserialized(config["layer"], custom_objects)
        return cls(**{**config, "layer": layer})
