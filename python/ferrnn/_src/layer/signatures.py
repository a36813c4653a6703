"""The arguments of a user's `call`, by its signature."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


@functools.lru_cache(maxsize=1024)
def parameters_of(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """The names of a function's parameters, and whether it takes any keyword.

    >>> sorted(parameters_of(lambda x, mask=None: x)[0])
    ['mask', 'x']
    """
    known = inspect.signature(function).parameters.values()
    return (
        frozenset(each.name for each in known),
        any(each.kind is each.VAR_KEYWORD for each in known),
    )


@functools.lru_cache(maxsize=1024)
def _defaults_of(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the parameters that have defaults."""
    known = inspect.signature(function).parameters.values()
    return frozenset(each.name for each in known if each.default is not each.empty)


def options_for(call: Callable[..., Any], training: bool | None, mask: Any) -> dict[str, Any]:
    """`training` and `mask` if `call` takes them; `training` is left to its default if None.

    >>> options_for(lambda x, training=True: x, None, None)
    {}
    """
    known, _ = parameters_of(call)
    options: dict[str, Any] = {"training": training, "mask": mask}
    unsaid = "training" if training is None and "training" in _defaults_of(call) else None
    return {key: value for key, value in options.items() if key in known and key != unsaid}


@functools.lru_cache(maxsize=1024)
def places_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that take positional arguments, without `self`."""
    known = inspect.signature(function).parameters.values()
    return tuple(each.name for each in known if each.kind is each.POSITIONAL_OR_KEYWORD)[1:]


def options_by_name(
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: Any,
    mask: Any,
) -> tuple[tuple[Any, ...], dict[str, Any], Any, Any]:
    """Takes `training` and `mask` out of the positional arguments of a user's `call`.

    >>> def call(self, inputs, training=False, scale=1): ...
    >>> options_by_name(call, ("x", True, 2), {}, None, None)
    (('x',), {'scale': 2}, True, None)
    """
    places = places_of(call)
    first = min(
        (places.index(name) for name in ("training", "mask") if name in places), default=len(args)
    )
    named = dict(zip(places[first:], args[first:], strict=False))
    known = {"training": training, "mask": mask}
    known = {key: value for key, value in known.items() if value is not None} | kwargs
    if named.keys() & known.keys() or len(args) > len(places):
        return args, kwargs, training, mask  # the call itself will raise the error
    known |= named
    return args[:first], known, known.pop("training", None), known.pop("mask", None)
