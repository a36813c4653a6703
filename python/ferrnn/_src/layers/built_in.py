"""What LSTM, GRU and SimpleRNN share: one cell of a fixed name, its settings read through it."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.weights import regularizers

_OF_LAYER = ("name", "trainable", "dtype")
_OF_CELL = ("implementation",)


def cell_setting(name: str) -> Any:
    """A property of the layer that reads its cell's."""

    def read(layer: RNN) -> Any:
        return getattr(layer.cell, name)

    return property(read, doc=f"The cell's `{name}`.")


def split_options(options: dict[str, Any], cell_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keyword options of a layer, and those of its cell: both get the dtype."""
    for_cell = {key: options.pop(key) for key in _OF_CELL if key in options}
    for_cell["dtype"] = options.get("dtype")
    for_cell["name"] = cell_name
    return options, for_cell


class BuiltInRNN(RNN):
    """A recurrent layer that makes its cell itself."""

    cell: BuiltInCell

    def __init__(self, cell: BuiltInCell, **options: Any) -> None:
        super().__init__(cell, **options)
        if not self._trainable:
            cell.trainable = False

    @property
    def inference_precision(self) -> str:
        """How the recurrent weights are kept for calls without gradients: "full" or "bfloat16".

        >>> from ferrnn.layers import LSTM
        >>> layer = LSTM(512)
        >>> layer.inference_precision = "bfloat16"
        """
        return self.cell.inference_precision

    @inference_precision.setter
    def inference_precision(self, value: str) -> None:
        self.cell.inference_precision = value

    def get_config(self) -> dict[str, Any]:
        of_cell = self.cell.get_config()
        settings = {key: value for key, value in of_cell.items() if key not in _OF_LAYER}
        activity = regularizers.serialize(self.activity_regularizer)
        return {**self._flags(), **settings, "activity_regularizer": activity}
