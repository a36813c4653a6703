"""Random numbers, under Keras' names."""

from ferrnn.core.random import SeedGenerator

__all__ = ["SeedGenerator"]
