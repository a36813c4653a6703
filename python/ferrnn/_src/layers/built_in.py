"""The base of LSTM, GRU and other layers with one cell, whose settings are read from the cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.configs.names import snake_case
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.weights import regularizers

_OF_LAYER = ("name", "trainable", "dtype")
_OF_CELL = ("implementation", "clip")
_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")


def cell_setting(name: str) -> Any:
    """A property of the layer that reads the cell's setting of the same name."""

    def read(layer: RNN) -> Any:
        return getattr(layer.cell, name)

    return property(read, doc=f"The cell's `{name}`.")


def runs_one_cell(kind: type) -> bool:
    """Whether a class is exactly `RNN` or a built-in layer that makes its cell itself.

    Subclasses do not count, as they may override anything.
    """
    return kind is RNN or BuiltInRNN in kind.__bases__


class BuiltInRNN(RNN):
    """A recurrent layer that makes its cell itself, of the class `cell_class`.

    It has the cell's settings as attributes: its constructor takes those of the cell and its own.
    """

    cell_class: ClassVar[type[BuiltInCell]]
    cell: BuiltInCell

    units: int
    activation: Any
    use_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any
    dropout: float
    recurrent_dropout: float
    seed: int | None
    implementation: int
    clip: float | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls):
            for name in (*cls.cell_class.settings, *_OF_CELL):
                setattr(cls, name, cell_setting(name))

    def __init__(self, given: Mapping[str, Any], **of_cell: Any) -> None:
        """Divides `given`, the `locals()` of the layer's constructor, between cell and layer.

        `of_cell` are arguments of the cell that the layer's constructor does not have.
        """
        options = dict(given["kwargs"])
        for_cell = {name: given[name] for name in self.cell_class.settings if name in given}
        for_cell |= {name: options.pop(name) for name in _OF_CELL if name in options}
        for_cell["dtype"] = options.get("dtype")
        for_cell["name"] = snake_case(self.cell_class.__name__)
        cell = self.cell_class(**for_cell, **of_cell)
        flags = {name: given[name] for name in _FLAGS if name in given}
        super().__init__(
            cell, activity_regularizer=given["activity_regularizer"], **flags, **options
        )
        if "use_cudnn" in given:
            self.use_cudnn = given["use_cudnn"]  # which has no effect, and is only kept
        if not self._trainable:
            cell.trainable = False

    @property
    def inference_precision(self) -> str:
        """How weights are kept for calls without gradients: "full", "bfloat16" or "int8".

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
