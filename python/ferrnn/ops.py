"""Keras' operations on arrays: NumPy on plain ones, traced in users' code that is trained."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
