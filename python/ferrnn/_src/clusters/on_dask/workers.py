"""Dask's workers, through a client of `distributed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import distributed

from ferrnn._src.clusters.workers import itself


class DaskWorkers:
    """`Workers` of a client, or of the one in use if None."""

    def __init__(self, client: Any) -> None:
        self.client = _read_client(client)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A future of the task."""
        return self.client.submit(function, *arguments, pure=False)

    def hold(self, value: Any) -> Any:
        """A future of a task, not of scattered data: it is made again if its worker is lost."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            return self.submit(itself, value)

    def result(self, handle: Any) -> Any:
        """The value of a future."""
        return handle.result()


def _read_client(client: Any) -> Any:
    """The client given, or the one in use."""
    if client is None:
        try:
            return distributed.default_client()
        except ValueError as error:
            raise ValueError(
                "`client` must be a `distributed.Client` if none is in use, received None"
            ) from error
    if not isinstance(client, distributed.Client):
        raise TypeError(
            f"`client` must be a `distributed.Client`, received {type(client).__name__}"
        )
    return client
