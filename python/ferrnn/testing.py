"""Checks of gradients, for authors of cells and layers."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
