"""Texts made ready, under the names of Keras 2."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
