"""What training on a cluster costs: messages, and steps of one and of two worker processes.

    FERRNN_NUM_THREADS=1 python benches/python/clusters.py dask
    FERRNN_NUM_THREADS=1 python benches/python/clusters.py ray

Messages are tasks that receive an array and return it, by its size. Steps are those of
LSTM(128) with Dense and Adam, 50 time steps of 8 features, shards of 256 samples: strong, a batch
of 1,024 for all workers together, and weak, 512 for each worker; beside them `model.fit` on the
same batch. All take turns, and the least of all turns is shown.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

import ferrnn
from ferrnn.layers import LSTM, Dense, Input

SHARD, STRONG, WEAK = 256, 1024, 512
SIZES = {"empty": 0, "0.28 MB": 70_000, "2.8 MB": 700_000}
STEPS, MESSAGES = 3, 10


class Clock(ferrnn.callbacks.Callback):
    """Seconds of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[float] = []
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(time.perf_counter() - self._began)


def network() -> Any:
    """A model with 0.28 MB of weights."""
    model = ferrnn.Sequential([Input((50, 8)), LSTM(128), Dense(1)])
    model.compile("adam", loss="mse")
    return model


def back(value: Any) -> Any:
    """Returns what it is given."""
    return value


def last(*values: Any) -> Any:
    """A task that waits for others."""
    return values[-1]


def shortest_step(train: Callable[..., Any], batch: int, **options: Any) -> float:
    """The least of the steps of one short training."""
    x = np.random.default_rng(0).normal(size=(batch * STEPS, 50, 8)).astype("float32")
    clock = Clock()
    train(x, x[:, -1, :1], batch_size=batch, shuffle=False, callbacks=[clock], **options)
    return min(clock.steps)


def shortest_message(workers: Any, count: int) -> float:
    """The least time from a task to its answer."""
    found = []
    for _ in range(MESSAGES):
        value = np.random.default_rng(0).normal(size=count).astype("float32")
        began = time.perf_counter()
        workers.result(workers.submit(back, workers.hold(value)))
        found.append(time.perf_counter() - began)
    return min(found)


def shortest_hundred(workers: Any) -> float:
    """The least time of a hundred empty tasks at once, whose answers one more task receives."""
    found = []
    for _ in range(MESSAGES):
        began = time.perf_counter()
        workers.result(workers.submit(last, *(workers.submit(back, at) for at in range(100))))
        found.append(time.perf_counter() - began)
    return min(found)


def on_dask() -> tuple[Any, dict[int, Callable[..., Any]], Callable[[], None]]:
    """Workers for messages, trainings by their number of workers, and what ends it all."""
    distributed = import_module("distributed")
    public, inside = (
        import_module(name) for name in ("ferrnn.dask", "ferrnn._src.clusters.on_dask.workers")
    )
    options = {"threads_per_worker": 1, "dashboard_address": None}
    clients = {
        count: distributed.Client(distributed.LocalCluster(n_workers=count, **options))
        for count in (1, 2)
    }

    def end() -> None:
        for client in clients.values():
            client.cluster.close()

    trains = {
        count: lambda *a, c=client, **k: public.fit(network(), *a, client=c, **k)
        for count, client in clients.items()
    }
    return inside.DaskWorkers(clients[2]), trains, end


def on_ray() -> tuple[Any, dict[int, Callable[..., Any]], Callable[[], None]]:
    """As `on_dask`: two CPUs, of which a task uses both or one."""
    ray = import_module("ray")
    public, inside = (
        import_module(name) for name in ("ferrnn.ray", "ferrnn._src.clusters.on_ray.workers")
    )
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    trains = {
        count: lambda *a, n=2 // count, **k: public.fit(
            network(), *a, ray_remote_args={"num_cpus": n}, **k
        )
        for count in (1, 2)
    }
    return inside.RayWorkers({"num_cpus": 1}), trains, ray.shutdown


def main() -> None:
    """Measures in turns, and prints the least of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cluster", choices=["dask", "ray"])
    parser.add_argument("--turns", type=int, default=8)
    arguments = parser.parse_args()
    kind = arguments.cluster
    workers, trains, end = {"dask": on_dask, "ray": on_ray}[kind]()
    cases: dict[str, Callable[[], float]] = {
        f"message {name}": lambda count=count: shortest_message(workers, count)
        for name, count in SIZES.items()
    }
    cases["a hundred tasks"] = lambda: shortest_hundred(workers)
    for count, train in trains.items():
        for name, batch in (("strong", STRONG), ("weak", WEAK * count)):
            cases[f"{name}, {count} workers"] = lambda t=train, b=batch: shortest_step(
                t, b, shard_size=SHARD
            )
    cases["model.fit"] = lambda: shortest_step(
        lambda *a, **k: network().fit(*a, verbose=0, **k), STRONG
    )
    least = dict.fromkeys(cases, float("inf"))
    for _ in range(arguments.turns):
        for name, measure in cases.items():
            least[name] = min(least[name], measure())
    end()
    print(kind, "load", os.getloadavg()[0])
    for name, seconds in least.items():
        print(f"{name:22} {seconds * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
