"""One model for each of many groups, trained by Dask's workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dask.bag as db

from ferrnn._src.clusters.groups import check_arguments, keys_of, parts_of_mapping, train_parts
from ferrnn._src.clusters.on_dask.workers import DaskWorkers
from ferrnn._src.models.many import ManyModels
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
    """`ferrnn.fit_many` on the workers of a cluster; models, histories and failures come back.

    Models are bitwise those of `ferrnn.fit_many`, whichever worker trains them. Callbacks run on
    the workers.

    Args:
        build: As for `ferrnn.fit_many`; it is sent to the workers.
        groups: A mapping of keys to groups, or a Dask bag of pairs `(key, group)`, whose groups
            never come to this process. A group is `(x, y)`, `(x, y, sample_weight)` or a dict of
            arguments of `fit`.
        seed: The seed of the first group, or a mapping of keys to seeds; drawn if None.
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
    check_arguments(build, options)
    size, workers = checked_count(partition_size, "partition_size"), DaskWorkers(client)
    parts, keys = _parted(groups, size, workers)
    return train_parts(workers, build, parts, keys, seed=seed, callbacks=callbacks, options=options)


def _parted(groups: Any, size: int, workers: DaskWorkers) -> tuple[list[Any], list[list[Any]]]:
    """Lists of pairs of key and group, here or on workers, and the keys of each."""
    if isinstance(groups, Mapping):
        return parts_of_mapping(groups, size)
    if not isinstance(groups, db.Bag):
        raise TypeError(
            "`groups` must be a mapping of keys to groups or a Dask bag of pairs (key, group), "
            f"received {type(groups).__name__}"
        )
    blocks = workers.client.compute(groups.to_delayed())
    parts = [workers.client.submit(list, block) for block in blocks]
    return parts, workers.client.gather([workers.client.submit(keys_of, part) for part in parts])
