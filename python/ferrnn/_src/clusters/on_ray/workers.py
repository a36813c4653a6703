"""Ray's worker processes, and its object store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray


class RayWorkers:
    """`Workers` of the cluster in use; Ray starts one if there is none.

    `options` are those of Ray's tasks, such as `num_cpus` and `max_retries`.
    """

    def __init__(self, options: Mapping[str, Any] | None) -> None:
        self._options = dict(options or {})
        self._known: dict[Callable[..., Any], Any] = {}

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A reference to the result of a task."""
        if function not in self._known:
            task = ray.remote(function)
            self._known[function] = task.options(**self._options) if self._options else task
        return self._known[function].remote(*arguments)

    def hold(self, value: Any) -> Any:
        """A reference to a value in the store of this machine."""
        return ray.put(value)

    def result(self, handle: Any) -> Any:
        """The value of a reference."""
        return ray.get(handle)
