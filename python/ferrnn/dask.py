"""Scoring and training on clusters of Dask."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
