"""Models from their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.layer.serialization import layer_from


def model_from(data: Mapping[str, Any], *, compiles: bool) -> Any:
    """A new model of a configuration, compiled as it was."""
    made: Any = layer_from(data)
    if not hasattr(made, "outputs_and_mask"):
        raise ValueError(
            f"the configuration must be that of a model, received that of a {type(made).__name__}"
        )
    shape = (data.get("build_config") or {}).get("input_shape")
    if not made.built and shape and not made.builds_itself:
        made.build_from_config({"input_shape": shape})
    compiled = data.get("compile_config")
    if compiles and compiled:
        made.compile_from_config(compiled)
    return made
