"""Looking at models: states and gates over time, attributions, pictures."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
