"""Models: layers put together, with the training loop of the room beside."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
