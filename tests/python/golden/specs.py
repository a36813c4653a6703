"""Layers and models as plain data, from which Keras and ferrnn build the same.

A layer is `[class, arguments, options]`; an argument or option may be a layer, or a list of them.
"""

from __future__ import annotations

from typing import Any


def build(namespace: Any, spec: Any) -> Any:
    """The layer of a spec, with the classes of `namespace`; other data as it is."""
    if not isinstance(spec, list | tuple):
        return spec
    if len(spec) == 3 and isinstance(spec[0], str) and isinstance(spec[2], dict):
        kind, arguments, options = spec
        made = [build(namespace, argument) for argument in arguments]
        named = {key: build(namespace, option) for key, option in options.items()}
        return getattr(namespace, kind)(*made, **named)
    return [build(namespace, part) for part in spec]
