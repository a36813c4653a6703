"""Recurrent networks on the CPU: layers with Keras' names on an engine in Rust."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
