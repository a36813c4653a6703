"""The policy of dtypes that holds for a session: float32 or float64."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
