"""Policies of dtypes: float32 and float64."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
