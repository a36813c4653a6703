"""Data that comes with the package: small, real, with source and licence."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
