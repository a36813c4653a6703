"""Elements to go through again and again, in the manner of `tf.data`."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
