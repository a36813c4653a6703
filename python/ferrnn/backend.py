"""What Keras' users know from `keras.backend`, the functions of Keras 2 among them."""

from ferrnn._src.faces import face

__all__, __getattr__, __dir__ = face(__name__)
