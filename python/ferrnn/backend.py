"""What Keras' users know from `keras.backend`."""

from ferrnn.core.config import epsilon, floatx, set_epsilon, set_floatx
from ferrnn.core.names import clear_session

__all__ = ["clear_session", "epsilon", "floatx", "set_epsilon", "set_floatx"]
