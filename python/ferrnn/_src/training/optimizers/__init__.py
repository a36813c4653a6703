"""The optimizers, a module for each family, loaded when used; by name and configuration here."""

from ferrnn._src.training.optimizers.registry import deserialize, get, serialize

__all__ = ["deserialize", "get", "serialize"]
