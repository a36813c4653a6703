"""Files of models, and classes of your own in them, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn._src.configs.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    register_keras_serializable,
)
from ferrnn._src.configs.custom_objects import registered_name as get_registered_name
from ferrnn._src.faces import not_yet
from ferrnn._src.models.files import load_model, load_weights, save_model, save_weights
from ferrnn._src.models.serialization import (
    deserialize_keras_object,
    get_registered_object,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
