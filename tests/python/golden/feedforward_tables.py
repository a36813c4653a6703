"""Which layers the golden file of feed-forward layers holds, with which options and inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One layer, the shapes of its inputs, and how it is called.

    `masks` says for each input what mask it carries ("steps" `[batch, time]`, "second" the same
    for the second input's shape, "full" of the inputs' shape). `spread` hands the inputs over as
    arguments, not as a list; `ids` makes them whole numbers below it.
    """

    layer: str
    options: dict[str, Any]
    shapes: tuple[Shape, ...]
    masks: tuple[str | None, ...] = ()
    training: bool = False
    dtype: str = "float64"
    call: dict[str, Any] = field(default_factory=dict)
    spread: bool = False
    ids: int = 0
    masked_value: float | None = None


SEQUENCE = ((3, 5, 4),)

SIMPLE: dict[str, Case] = {
    "embedding": Case("Embedding", {"input_dim": 9, "output_dim": 4}, ((3, 6),), ids=9),
    "embedding-mask": Case(
        "Embedding", {"input_dim": 5, "output_dim": 3, "mask_zero": True}, ((4, 7),), ids=5
    ),
    "embedding-rank_1": Case("Embedding", {"input_dim": 5, "output_dim": 3}, ((6,),), ids=5),
    "masking": Case("Masking", {}, SEQUENCE, masked_value=0.0),
    "masking-value": Case("Masking", {"mask_value": -2.0}, SEQUENCE, masked_value=-2.0),
    "relu": Case("ReLU", {}, SEQUENCE),
    "relu-slope": Case("ReLU", {"negative_slope": 0.25}, SEQUENCE),
    "relu-max": Case("ReLU", {"max_value": 0.75}, SEQUENCE),
    "relu-six": Case("ReLU", {"max_value": 6}, SEQUENCE),
    "relu-all": Case(
        "ReLU", {"max_value": 1.0, "negative_slope": 0.5, "threshold": 0.3}, SEQUENCE
    ),
    "leaky_relu": Case("LeakyReLU", {}, SEQUENCE),
    "leaky_relu-slope": Case("LeakyReLU", {"negative_slope": 0.125}, SEQUENCE, ("steps",)),
    "prelu": Case("PReLU", {}, SEQUENCE),
    "prelu-shared": Case("PReLU", {"shared_axes": [1]}, SEQUENCE, ("steps",)),
    "prelu-all_shared": Case("PReLU", {"shared_axes": [1, 2]}, SEQUENCE),
    "elu": Case("ELU", {}, SEQUENCE),
    "elu-alpha": Case("ELU", {"alpha": 0.3}, SEQUENCE),
    "softmax": Case("Softmax", {}, SEQUENCE),
    "softmax-axis": Case("Softmax", {"axis": 1}, SEQUENCE),
    "softmax-axes": Case("Softmax", {"axis": [1, 2]}, SEQUENCE),
    "softmax-mask": Case("Softmax", {}, ((5, 6),), ("full",)),
    "reshape": Case("Reshape", {"target_shape": [2, 10]}, SEQUENCE),
    "reshape-rest": Case("Reshape", {"target_shape": [2, -1, 2]}, SEQUENCE),
    "flatten": Case("Flatten", {}, ((2, 3, 4, 2),)),
    "flatten-scalars": Case("Flatten", {}, ((5,),)),
    "flatten-first": Case("Flatten", {"data_format": "channels_first"}, ((2, 3, 4, 2),)),
    "repeat_vector": Case("RepeatVector", {"n": 3}, ((2, 5),)),
    "permute": Case("Permute", {"dims": [2, 1]}, SEQUENCE),
    "permute-three": Case("Permute", {"dims": [3, 1, 2]}, ((2, 3, 4, 5),)),
    "zero_padding": Case("ZeroPadding1D", {"padding": 2}, SEQUENCE),
    "zero_padding-two": Case("ZeroPadding1D", {"padding": [1, 3]}, SEQUENCE),
    "zero_padding-first": Case(
        "ZeroPadding1D", {"padding": [2, 0], "data_format": "channels_first"}, SEQUENCE
    ),
    "cropping": Case("Cropping1D", {}, SEQUENCE),
    "cropping-two": Case("Cropping1D", {"cropping": [3, 0]}, SEQUENCE),
    "up_sampling": Case("UpSampling1D", {"size": 3}, SEQUENCE),
}  # fmt: skip

TABLES = [SIMPLE]
