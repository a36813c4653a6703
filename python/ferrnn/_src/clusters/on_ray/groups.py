"""One model for each of many groups, trained by Ray's workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import ray.data

from ferrnn._src.clusters.groups import check_arguments, keys_of, parts_of_mapping, train_parts
from ferrnn._src.clusters.on_ray.scoring import check_columns
from ferrnn._src.clusters.on_ray.workers import RayWorkers
from ferrnn._src.models.many import ManyModels
from ferrnn._src.training.samples import checked_count
from ferrnn._src.tree.types import Array


def fit_many(
    build: Callable[..., Any],
    groups: Any,
    *,
    seed: int | Mapping[Any, int] | None = None,
    callbacks: Any = None,
    partition_size: int = 64,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> ManyModels:
    """`ferrnn.fit_many` on the workers of a cluster; models, histories and failures come back.

    Models are bitwise those of `ferrnn.fit_many`, whichever worker trains them. Callbacks run on
    the workers.

    Args:
        build: As for `ferrnn.fit_many`; it is sent to the workers.
        groups: A mapping of keys to groups: `(x, y)`, `(x, y, sample_weight)` or a dict of
            arguments of `fit`. Or a `ray.data.Dataset` with a group in each row, whose columns are
            "key", "x", "y" and further arguments of `fit`; its rows never come to this process,
            and one task trains a block of them.
        seed: The seed of the first group, or a mapping of keys to seeds; drawn if None.
        callbacks: Copied for each model, or a function of the key that returns them.
        partition_size: How many groups of a mapping one task trains together.
        ray_remote_args: Options of Ray's tasks, such as `num_cpus`.
        **options: Arguments of `fit` for all groups.

    Raises:
        TypeError: If an argument is of another kind than described.
        ValueError: If keys of a dataset occur twice, or columns are missing.
        RuntimeError: If all groups failed.

    >>> import ferrnn as keras
    >>> from ferrnn.ray import fit_many
    >>> def build():
    ...     model = keras.Sequential([keras.Input((4, 1)), keras.layers.GRU(2)])
    ...     model.compile("adam", loss="mse")
    ...     return model
    >>> groups = {n: (np.ones((8, 4, 1)), np.full((8, 2), n)) for n in range(3)}
    >>> fit_many(build, groups, epochs=2, seed=1, partition_size=2)  # doctest: +SKIP
    <ManyModels of 3 models>
    """
    check_arguments(build, options)
    size, workers = checked_count(partition_size, "partition_size"), RayWorkers(ray_remote_args)
    parts, keys = _parted(groups, size, workers)
    return train_parts(workers, build, parts, keys, seed=seed, callbacks=callbacks, options=options)


def _parted(groups: Any, size: int, workers: RayWorkers) -> tuple[list[Any], list[list[Any]]]:
    """Lists of pairs of key and group, here or on workers, and the keys of each."""
    if isinstance(groups, Mapping):
        return parts_of_mapping(groups, size)
    if not isinstance(groups, ray.data.Dataset):
        raise TypeError(
            "`groups` must be a mapping of keys to groups or a Ray Dataset with a group in each "
            f"row, received {type(groups).__name__}"
        )
    rows = groups.materialize()
    check_columns(rows.schema().names, ["key", "x", "y"], "groups")
    parts = [workers.submit(_pairs, block) for block in rows.to_numpy_refs()]
    return parts, [workers.result(each) for each in [workers.submit(keys_of, p) for p in parts]]


def _pairs(block: dict[str, Array]) -> list[tuple[Any, dict[str, Any]]]:
    """The groups of the rows of a block, by key."""
    keys = np.asarray(block["key"]).tolist()
    return [
        (key, {name: values[at] for name, values in block.items() if name != "key"})
        for at, key in enumerate(keys)
    ]
