"""Scoring and training on clusters of Ray."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
