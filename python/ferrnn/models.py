"""Models: layers put together, with the training loop of the room beside."""

from typing import TYPE_CHECKING

from ferrnn._src.faces import not_yet
from ferrnn._src.models.cloning import clone_model, model_from_json
from ferrnn._src.models.files import load_model, save_model
from ferrnn._src.models.model import Functional as Functional
from ferrnn._src.models.model import Model
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.sequence.stream import Stream

__all__ = [
    "Model",
    "Sequential",
    "Stream",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
