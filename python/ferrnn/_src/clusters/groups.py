"""One model for each of many groups, with several groups in each task."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from ferrnn._src.clusters.workers import Workers
from ferrnn._src.models.many import (
    ManyModels,
    check_options,
    note_failures,
    seeds_of,
    train_many,
)


def check_arguments(build: Any, options: Mapping[str, Any]) -> None:
    """Checks arguments before anything is sent."""
    if not callable(build):
        raise TypeError(f"`build` must be a function that returns a model, received {build!r}")
    check_options(options)


def parts_of_mapping(
    groups: Mapping[Any, Any], size: int
) -> tuple[list[list[tuple[Any, Any]]], list[list[Any]]]:
    """Lists of pairs of key and group, and the keys of each.

    >>> parts_of_mapping({"a": 1, "b": 2, "c": 3}, 2)[1]
    [['a', 'b'], ['c']]
    """
    pairs = list(groups.items())
    parts = [pairs[at : at + size] for at in range(0, len(pairs), size)]
    return parts, [keys_of(part) for part in parts]


def keys_of(pairs: Iterable[Any]) -> list[Any]:
    """The keys of pairs of key and group."""
    return [key for key, _ in pairs]


def train_parts(
    workers: Workers,
    build: Callable[..., Any],
    parts: list[Any],
    keys: list[list[Any]],
    *,
    seed: int | Mapping[Any, int] | None,
    callbacks: Any,
    options: Mapping[str, Any],
) -> ManyModels:
    """Models of all groups, in the order of the keys.

    Args:
        workers: The cluster.
        build: As for `ferrnn.fit_many`, and so `seed`, `callbacks` and `options`.
        parts: Pairs of key and group, or handles of such lists.
        keys: The keys of each part.
        seed: The seed of the first group, or a mapping.
        callbacks: Copied for each model.
        options: Arguments of `fit`.

    Raises:
        ValueError: If a key occurs twice.
    """
    known: set[Any] = set()
    for key in (key for part in keys for key in part):
        if key in known:
            raise ValueError(f"`groups` must have unique keys, received {key!r} twice")
        known.add(key)
    seeds = seeds_of([key for part in keys for key in part], seed)
    trained = [
        workers.submit(_train, build, part, {key: seeds[key] for key in own}, callbacks, options)
        for part, own in zip(parts, keys, strict=True)
    ]
    models: dict[Hashable, Any] = {}
    histories: dict[Hashable, Any] = {}
    failures: dict[Hashable, Exception] = {}
    for handle in trained:
        found: ManyModels = workers.result(handle)
        models |= dict(found)
        histories |= found.histories
        failures |= found.failures
    note_failures(failures, len(seeds))
    return ManyModels(models, histories, {key: seeds[key] for key in models}, failures)


def _train(
    build: Callable[..., Any],
    pairs: Iterable[Any],
    seeds: Mapping[Any, int],
    callbacks: Any,
    options: Mapping[str, Any],
) -> ManyModels:
    return train_many(build, dict(pairs), seeds, callbacks, options)[0]
