"""Models as MLflow keeps them: `save_model`, `log_model`, `load_model`."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
