"""The base of metrics: objects with variables that accumulate numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ferrnn._src.weights.parameter import Parameter


class Gathering:
    """An object whose variables are not weights of the layer that holds it."""

    @property
    def variables(self) -> Sequence[Parameter]:
        """Its variables."""
        raise NotImplementedError(f"{type(self).__name__} must define `variables`")
