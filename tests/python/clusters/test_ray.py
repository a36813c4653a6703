"""Scoring and training on a local cluster of Ray, with real worker processes."""

import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

if "FERRNN_DEEP" not in os.environ:
    pytest.skip("`make deep` runs it", allow_module_level=True)

import ferrnn
from clusters.cases import (
    Deadly,
    assert_same,
    build,
    die_once,
    five_groups,
    networks,
    samples,
)
from ferrnn.layers import GRU, Dense, Input

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
on_ray = pytest.importorskip("ferrnn.ray")

# Sockets and locks of the cluster's own, which it closes when Python collects them.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
CPUS = 3


@pytest.fixture(scope="module", autouse=True)
def cluster():
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))  # workers read `clusters`
        ray.init(num_cpus=CPUS, **options)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


def fitted(layer=None, dataset=False, **options):
    x, y = samples()
    model = networks(dropout=options.pop("dropout", 0.0), first=layer)
    options = {"batch_size": 64, "shard_size": 16, "epochs": 2, **options}
    given = (rows(x, y), "y") if dataset else (x, y)
    history = on_ray.fit(model, *given, **options)
    return model.get_weights(), history.history


def rows(x, y):
    """A dataset of blocks of ragged lengths."""
    bounds = [0, 1, 50, 51, 120, len(x)]
    parts = [
        ray.data.from_items(
            [{"data": x[n], "y": y[n], "at": n} for n in range(start, stop)], override_num_blocks=1
        )
        for start, stop in pairwise(bounds)
    ]
    return parts[0].union(*parts[1:])


def test_outputs_are_those_of_predict_beside_the_other_columns():
    model, (x, y) = networks(), samples()
    found = on_ray.predict(model, rows(x, y), batch_size=64).take_all()
    wanted = model.predict(x, verbose=0)
    assert sorted(row["at"] for row in found) == list(range(203))
    for row in found:
        np.testing.assert_array_equal(row["output"], wanted[row["at"]])
        np.testing.assert_array_equal(row["y"], y[row["at"]])


def test_columns_of_numbers_are_read_step_by_step(tmp_path):
    pytest.importorskip("h5py")
    model, (x, _) = networks(), samples(31)
    model.save(tmp_path / "model.keras")
    table = {f"n{at}": x.reshape(31, 14)[:, at] for at in range(14)}
    dataset = ray.data.from_items(
        [{"text": "a", **{name: values[at] for name, values in table.items()}} for at in range(31)]
    )
    found = on_ray.predict(
        tmp_path / "model.keras", dataset, columns=list(table), output="scores"
    ).take_all()
    by_first = {float(row["n0"]): row["scores"] for row in found}
    for sample, wanted in zip(x, model.predict(x, verbose=0), strict=True):
        np.testing.assert_array_equal(by_first[float(sample[0, 0])], wanted)


def test_a_worker_that_is_killed_in_scoring_loses_no_row(tmp_path):
    model, (x, y) = networks(), samples()
    marker = tmp_path / "marker"
    marker.touch()

    def deadly(batch):
        if 100 in batch["at"]:
            die_once(marker)
        return batch

    dataset = on_ray.predict(model, rows(x, y).map_batches(deadly, batch_format="numpy"))
    found = {row["at"]: row["output"] for row in dataset.take_all()}
    assert not marker.exists()
    np.testing.assert_array_equal(
        np.stack([found[at] for at in range(203)]), model.predict(x, verbose=0)
    )


def test_shards_of_a_whole_batch_train_as_fit_does():
    x, y = samples()
    alone = networks()
    alone.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
    weights, _ = fitted(shard_size=64, shuffle=False)
    assert_same(weights, alone.get_weights())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_weights_are_the_same_for_any_number_of_workers(dropout):
    wanted, history = fitted(dropout=dropout)
    assert dropout or history["loss"][-1] < history["loss"][0]
    for count in (1, 2):
        with Only(count):
            weights, other = fitted(dropout=dropout)
        assert_same(weights, wanted)
        assert other == history


class Only:
    """Leaves so many CPUs to tasks, and so as many processes: actors take the others."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        holder = ray.remote(num_cpus=1)(Idle)
        self.actors = [holder.remote() for _ in range(CPUS - self.count)]
        ray.get([actor.pid.remote() for actor in self.actors])

    def __exit__(self, *error):
        for actor in self.actors:
            ray.kill(actor)
        while ray.available_resources().get("CPU") != CPUS:
            time.sleep(0.05)


class Idle:
    def pid(self):
        return os.getpid()


def test_a_dataset_trains_to_the_weights_of_its_arrays():
    wanted, history = fitted()
    weights, other = fitted(dataset=True)
    assert_same(weights, wanted)
    assert other == history


def test_a_worker_that_is_killed_in_training_changes_no_weight(tmp_path):
    marker = tmp_path / "marker"
    wanted, history = fitted(layer=Deadly(marker))
    marker.touch()
    weights, other = fitted(layer=Deadly(marker))
    assert not marker.exists()
    assert_same(weights, wanted)
    assert other == history


def test_many_models_are_those_that_are_trained_here():
    groups = five_groups()
    groups["bad"] = (np.zeros((4, 7, 2), "f4"), np.zeros((5, 3), "f4"))
    options = {"epochs": 2, "seed": 7}
    with pytest.warns(RuntimeWarning, match="bad"):
        here = ferrnn.fit_many(build, groups, **options)
    dataset = ray.data.from_items(
        [{"key": key, "x": x, "y": y} for key, (x, y) in groups.items()], override_num_blocks=3
    )
    for given in (groups, dataset):
        with pytest.warns(RuntimeWarning, match="bad"):
            there = on_ray.fit_many(build, given, partition_size=2, **options)
        assert list(there) == list(here)
        assert there.seeds == here.seeds
        assert list(there.failures) == ["bad"]
        for key in here:
            assert_same(there[key].get_weights(), here[key].get_weights())
            assert there.history(key).history == here.history(key).history


def test_keys_that_occur_twice_are_refused():
    x, y = samples(8)
    dataset = ray.data.from_items([{"key": 1, "x": x, "y": y}] * 2)
    with pytest.raises(ValueError, match="each key once, received 1 twice"):
        on_ray.fit_many(build, dataset)


def test_weights_that_change_without_gradients_are_refused():
    model = ferrnn.Sequential([Input((7, 2)), GRU(3), ferrnn.layers.BatchNormalization()])
    model.compile("adam", loss="mse")
    with pytest.raises(NotImplementedError, match="moving_mean"):
        on_ray.fit(model, *samples(40))


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("batch_size", {"batch_size": 100}),
        ("y", {"y": None}),
        ("y", {"y": np.zeros((3, 3))}),
        ("x", {"x": np.zeros((0, 7, 2))}),
        ("sample_weight", {"sample_weight": np.ones(3)}),
        ("model", {"model": ferrnn.Sequential([Dense(3)])}),
        ("inputs", {"dataset": True, "inputs": "nothing"}),
        ("y", {"dataset": True, "y": "nothing"}),
        ("y", {"dataset": True, "y": np.zeros((203, 3))}),
    ],
)
def test_errors_of_fit_name_the_argument(argument, options):
    x, y = samples()
    options = dict(options)
    if options.pop("dataset", False):
        options = {"y": "y", **options, "x": rows(x, y)}
    given = {"model": networks(), "x": x, "y": y, "batch_size": 64, "shard_size": 16, **options}
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        on_ray.fit(**given)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("dataset", {"dataset": np.zeros((3, 7, 2))}),
        ("batch_size", {"batch_size": 0}),
        ("columns", {"columns": "x"}),
        ("columns", {"columns": ["data", "at"]}),
        ("output", {"output": "y"}),
    ],
)
def test_errors_of_predict_name_the_argument(argument, options):
    given = {"dataset": rows(*samples()), **options}
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        on_ray.predict(networks(), **given)
