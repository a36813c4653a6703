"""One model for each of many groups, a part of the groups on each worker."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import dask.bag as db

from ferrnn._src.clusters.shipping import read_client
from ferrnn._src.models.many import (
    ManyModels,
    check_options,
    note_failures,
    seeds_of,
    train_many,
)
from ferrnn._src.training.samples import checked_count


def fit_many(
    build: Callable[..., Any],
    groups: Any,
    *,
    seed: int | Mapping[Any, int] | None = None,
    callbacks: Any = None,
    partition_size: int = 64,
    client: Any = None,
    **options: Any,
) -> ManyModels:
    """`ferrnn.fit_many` on the workers of a cluster: models, histories and failures come back here.

    Models are to the bit those of `ferrnn.fit_many`, whichever worker trains them. Callbacks run on
    the workers.

    Args:
        build: As for `ferrnn.fit_many`; it is sent to the workers.
        groups: A mapping of keys to groups, or a Dask bag of pairs `(key, group)`, whose groups are
            never here. A group is `(x, y)`, `(x, y, sample_weight)` or a dict of arguments of
            `fit`.
        seed: That of the first group, or a mapping of keys to seeds; drawn if None.
        callbacks: Copied for each model, or a function of the key that returns them.
        partition_size: How many groups of a mapping one task trains together.
        client: A `distributed.Client`; the one in use if None.
        **options: Arguments of `fit` for all groups.

    Raises:
        TypeError: If an argument is of another kind than described.
        ValueError: If keys of a bag occur twice.
        RuntimeError: If all groups failed.

    >>> import distributed
    >>> import numpy as np
    >>> import ferrnn as keras
    >>> from ferrnn.dask import fit_many
    >>> def build():
    ...     model = keras.Sequential([keras.Input((4, 1)), keras.layers.GRU(2)])
    ...     model.compile("adam", loss="mse")
    ...     return model
    >>> groups = {n: (np.ones((8, 4, 1)), np.full((8, 2), n)) for n in range(3)}
    >>> with distributed.Client(processes=False, dashboard_address=None) as client:
    ...     many = fit_many(build, groups, epochs=2, seed=1, partition_size=2, client=client)
    >>> many
    <ManyModels of 3 models>
    """
    if not callable(build):
        raise TypeError(f"`build` must be a function that returns a model, received {build!r}")
    check_options(options)
    size, client = checked_count(partition_size, "partition_size"), read_client(client)
    parts, keys = _parted(groups, size, client)
    seeds = seeds_of([key for part in keys for key in part], seed)
    trained = [
        client.submit(
            _train, build, part, {key: seeds[key] for key in own}, callbacks, options, pure=False
        )
        for part, own in zip(parts, keys, strict=True)
    ]
    models: dict[Hashable, Any] = {}
    histories: dict[Hashable, Any] = {}
    failures: dict[Hashable, Exception] = {}
    for future in trained:
        found: ManyModels = future.result()
        models |= dict(found)
        histories |= found.histories
        failures |= found.failures
    note_failures(failures, len(seeds))
    return ManyModels(models, histories, {key: seeds[key] for key in models}, failures)


def _parted(groups: Any, size: int, client: Any) -> tuple[list[Any], list[list[Any]]]:
    """Lists of pairs of key and group, here or on workers, and the keys of each."""
    if isinstance(groups, Mapping):
        pairs = list(groups.items())
        parts: list[Any] = [pairs[at : at + size] for at in range(0, len(pairs), size)]
        return parts, [[key for key, _ in part] for part in parts]
    if not isinstance(groups, db.Bag):
        raise TypeError(
            "`groups` must be a mapping of keys to groups or a Dask bag of pairs (key, group), "
            f"received {type(groups).__name__}"
        )
    parts = [client.submit(list, part) for part in client.compute(groups.to_delayed())]
    keys = client.gather([client.submit(_keys, part) for part in parts])
    known: set[Any] = set()
    for key in (key for part in keys for key in part):
        if key in known:
            raise ValueError(f"`groups` must have each key once, received {key!r} twice")
        known.add(key)
    return parts, keys


def _keys(pairs: Iterable[Any]) -> list[Any]:
    return [key for key, _ in pairs]


def _train(
    build: Callable[..., Any],
    pairs: Iterable[Any],
    seeds: Mapping[Any, int],
    callbacks: Any,
    options: Mapping[str, Any],
) -> ManyModels:
    return train_many(build, dict(pairs), seeds, callbacks, options)[0]
