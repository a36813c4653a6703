"""Second names of layers: properties of users' classes that return them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ferrnn._src.layer.layer import Layer


def other_places(entries: Iterable[tuple[str, Any, Any]]) -> dict[str, list[str]]:
    """Maps the places of layers to other places, which properties of their holders name.

    `entries` are those of `weights_file.saved`.
    """
    entries = list(entries)
    places = {id(owner): path for path, owner, _ in entries}
    found: dict[str, list[str]] = {}
    for path, owner, _ in entries:
        if isinstance(owner, Layer):
            for name, held in _held_by_properties(owner):
                known = places.get(id(held))
                if known is not None:
                    found.setdefault(known, []).append(f"{path}/{name}" if path else name)
    return found


def elsewhere(path: str, others: dict[str, list[str]]) -> Iterator[str]:
    """The other places of a layer, by its own second name or by those of its holders."""
    for known, names in others.items():
        if path == known or path.startswith(f"{known}/"):
            yield from (name + path[len(known) :] for name in names)


def _held_by_properties(owner: Layer) -> Iterator[tuple[str, Layer]]:
    """The layers that properties of a user's class return; properties that raise are skipped."""
    for kind in type(owner).__mro__:
        if kind.__module__.startswith("ferrnn."):
            return
        for name, value in vars(kind).items():
            if not isinstance(value, property):
                continue
            try:
                held = getattr(owner, name)
            except Exception:  # noqa: BLE001, S112 - the code is the user's
                continue
            if isinstance(held, Layer):
                yield name, held
