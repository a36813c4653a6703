"""Recurrent networks as estimators of scikit-learn."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
