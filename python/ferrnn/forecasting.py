"""Forecasts of one series or thousands, with calibrated intervals."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
