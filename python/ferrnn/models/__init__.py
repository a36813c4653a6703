"""Models: layers put together, with the training loop of the room beside."""

from ferrnn.models.sequential import Sequential

__all__ = ["Sequential"]
