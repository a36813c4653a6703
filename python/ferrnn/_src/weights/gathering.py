"""What holds variables that gather numbers, beside the weights of layers: the base of metrics."""

from __future__ import annotations

from collections.abc import Sequence

from ferrnn._src.weights.parameter import Parameter


class Gathering:
    """Something with variables that are no weights of the layer that holds it."""

    @property
    def variables(self) -> Sequence[Parameter]:
        """Its variables."""
        raise NotImplementedError(f"{type(self).__name__} must define `variables`")
