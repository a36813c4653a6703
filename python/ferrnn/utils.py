"""Utilities, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn._src.configs.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from ferrnn._src.configs.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    register_keras_serializable,
)
from ferrnn._src.configs.custom_objects import registered_name as get_registered_name
from ferrnn._src.configs.names import clear_session
from ferrnn._src.data.labels import (
    normalize,
    pack_x_y_sample_weight,
    to_categorical,
    unpack_x_y_sample_weight,
)
from ferrnn._src.data.sequences import pad_sequences
from ferrnn._src.data.windows import timeseries_dataset_from_array
from ferrnn._src.faces import not_yet
from ferrnn._src.models.cloning import clone_model
from ferrnn._src.models.drawing import plot_model
from ferrnn._src.models.serialization import (
    deserialize_keras_object,
    get_registered_object,
    serialize_keras_object,
)
from ferrnn._src.training.progress import Progbar
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.py_dataset import PyDataset as Sequence
from ferrnn._src.weights.random import set_random_seed

if TYPE_CHECKING:
    from ferrnn._src.data.files import get_file

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "clone_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "is_interactive_logging_enabled",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    _missing = not_yet(__name__)

    def __getattr__(name: str) -> object:
        if name == "get_file":  # archives and hashes take their time to import
            from ferrnn._src.data.files import get_file  # noqa: PLC0415

            return get_file
        return _missing(name)
