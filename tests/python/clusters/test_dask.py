"""Scoring and training on a local cluster of real processes."""

import importlib
import os
import signal
import sys

import numpy as np
import pytest

if "FERRNN_DEEP" not in os.environ:
    pytest.skip("`make deep` runs it", allow_module_level=True)

import ferrnn
from clusters.cases import Deadly, assert_same, build, five_groups, networks, samples
from ferrnn.layers import GRU, Dense, Input

da = pytest.importorskip("dask.array")
db = pytest.importorskip("dask.bag")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
distributed = pytest.importorskip("distributed")

on_dask = pytest.importorskip("ferrnn.dask")

# Sockets and locks of the cluster's own, which it closes when Python collects them.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def cluster():
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=3, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def fitted(client, **options):
    x, y = samples()
    model = networks(dropout=options.pop("dropout", 0.0), first=options.pop("first", None))
    options = {"batch_size": 64, "shard_size": 16, "epochs": 3, "client": client, **options}
    history = on_dask.fit(model, da.from_array(x, chunks=50), y, **options)
    return model.get_weights(), history.history


class Killing(ferrnn.callbacks.Callback):
    """Kills a worker's process after some steps."""

    def __init__(self, client):
        super().__init__()
        self.client, self.left = client, 3

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            kill_one(self.client)


def kill_one(client):
    pid = next(iter(client.run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)


def test_outputs_of_an_array_are_those_of_predict(cluster):
    model, (x, _) = networks(), samples()
    found = on_dask.predict(model, da.from_array(x, chunks=(50, 4, 1)))
    assert found.shape == (203, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.compute(), model.predict(x, verbose=0))


def test_chunks_of_unknown_length_are_scored(cluster):
    model, (x, _) = networks(), samples()
    array = da.from_array(x, chunks=(50, 7, 2))
    some = array[da.from_array(x[:, 0, 0], chunks=50) > 0]
    found = on_dask.predict(model, some).compute()
    np.testing.assert_array_equal(found, model.predict(x[x[:, 0, 0] > 0], verbose=0))


def test_outputs_of_a_bag_and_of_a_dataframe_keep_order_and_index(cluster, tmp_path):
    pytest.importorskip("h5py")
    model, (x, _) = networks(), samples(31)
    model.save(tmp_path / "model.keras")
    wanted = model.predict(x, verbose=0)
    bag = db.from_sequence(list(x), npartitions=4)
    np.testing.assert_array_equal(
        np.stack(on_dask.predict(tmp_path / "model.keras", bag).compute()), wanted
    )
    frame = pd.DataFrame(x.reshape(31, 14), index=np.arange(31) * 3)
    frame = frame.rename(columns=str).assign(other="text")
    found = on_dask.predict(
        model, dd.from_pandas(frame, npartitions=3), columns=[str(n) for n in range(14)]
    ).compute()
    np.testing.assert_array_equal(found.to_numpy(), wanted)
    assert list(found.columns) == ["output_0", "output_1", "output_2"]
    assert list(found.index) == list(frame.index)


def test_a_process_opens_a_model_once(cluster):
    x, _ = samples()
    cluster.run(count_loads)
    on_dask.predict(networks(units=6), da.from_array(x, chunks=(10, 7, 2))).compute()
    counts = cluster.run(loads).values()
    assert max(counts) == 1
    cluster.run(loads, ending=True)


def count_loads():
    shipping = importlib.import_module("ferrnn._src.clusters.shipping")
    real = shipping.cloudpickle

    class Counting:
        count = 0
        original = real

        def loads(self, content):
            Counting.count += 1
            return real.loads(content)

    shipping.cloudpickle = Counting()


def loads(ending=False):
    shipping = sys.modules["ferrnn._src.clusters.shipping"]
    count = shipping.cloudpickle.count
    if ending:
        shipping.cloudpickle = shipping.cloudpickle.original
    return count


def test_shards_of_a_whole_batch_train_as_fit_does(cluster):
    x, y = samples()
    alone = networks()
    alone.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
    weights, _ = fitted(cluster, batch_size=64, shard_size=64, epochs=2, shuffle=False)
    assert_same(weights, alone.get_weights())


def test_gradients_of_shards_are_those_of_the_batch(cluster):
    x, y = samples()
    alone = networks()
    alone.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
    weights, _ = fitted(cluster, shard_size=4, epochs=2, shuffle=False)
    for one, other in zip(weights, alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_weights_are_the_same_for_any_number_of_workers(cluster, dropout):
    wanted, history = fitted(cluster, dropout=dropout)
    assert dropout or history["loss"][-1] < history["loss"][0]
    for count in (1, 2):
        address = list(cluster.scheduler_info(n_workers=-1)["workers"])[:count]
        with Only(cluster, address):
            weights, other = fitted(cluster, dropout=dropout)
        assert_same(weights, wanted)
        assert other == history


class Only:
    """All tasks run on some of the workers."""

    def __init__(self, client, addresses):
        self.client, self.addresses = client, addresses

    def __enter__(self):
        self.submit, self.compute = self.client.submit, self.client.compute
        self.client.submit = lambda *a, **k: self.submit(*a, workers=self.addresses, **k)
        self.client.compute = lambda *a, **k: self.compute(*a, workers=self.addresses, **k)

    def __exit__(self, *error):
        del self.client.submit, self.client.compute


def test_a_worker_that_is_killed_in_training_changes_no_weight(cluster):
    wanted, history = fitted(cluster, epochs=4)
    killing = Killing(cluster)
    weights, other = fitted(cluster, epochs=4, callbacks=[killing])
    assert killing.left < 0
    assert_same(weights, wanted)
    assert other == history


def test_a_worker_that_is_killed_amid_a_shard_changes_no_weight(cluster, tmp_path):
    marker = tmp_path / "marker"
    wanted, history = fitted(cluster, first=Deadly(marker))
    marker.touch()
    weights, other = fitted(cluster, first=Deadly(marker))
    assert not marker.exists()
    assert_same(weights, wanted)
    assert other == history


def test_a_worker_that_is_killed_in_scoring_loses_no_row(cluster):
    model, (x, _) = networks(units=32), samples(6000)
    future = cluster.compute(on_dask.predict(model, da.from_array(x, chunks=(100, 7, 2))))
    kill_one(cluster)
    np.testing.assert_array_equal(future.result(), model.predict(x, batch_size=100, verbose=0))


@pytest.mark.parametrize("as_bag", [False, True])
def test_many_models_are_those_that_are_trained_here(cluster, as_bag):
    groups = five_groups()
    groups["bad"] = (np.zeros((4, 7, 2)), np.zeros((5, 3)))
    options = {"epochs": 2, "seed": 7}
    with pytest.warns(RuntimeWarning, match="bad"):
        here = ferrnn.fit_many(build, groups, **options)
    given = db.from_sequence(groups.items(), npartitions=3) if as_bag else groups
    with pytest.warns(RuntimeWarning, match="bad"):
        there = on_dask.fit_many(build, given, partition_size=2, client=cluster, **options)
    assert list(there) == list(here)
    assert there.seeds == here.seeds
    assert list(there.failures) == ["bad"]
    for key in here:
        assert_same(there[key].get_weights(), here[key].get_weights())
        assert there.history(key).history == here.history(key).history


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("batch_size", {"batch_size": 100}),
        ("shard_size", {"shard_size": 0}),
        ("y", {"y": None}),
        ("y", {"y": np.zeros((3, 3))}),
        ("x", {"x": np.zeros((0, 7, 2))}),
        ("sample_weight", {"sample_weight": np.ones(3)}),
        ("client", {"client": "tcp://here"}),
        ("model", {"model": ferrnn.Sequential([Dense(3)])}),
        ("model", {"model": ferrnn.Sequential([Input((7, 2)), GRU(3)])}),
        ("model", {"model": 3}),
    ],
)
def test_errors_of_fit_name_the_argument(cluster, argument, options):
    x, y = samples()
    given = {"model": networks(), "x": x, "y": y, "batch_size": 64, "shard_size": 16, **options}
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        on_dask.fit(**{"client": cluster, **given})


def test_stateful_layers_are_refused(cluster):
    model = ferrnn.Sequential([Input((7, 2), batch_size=16), GRU(3, stateful=True)])
    model.compile("adam", loss="mse")
    with pytest.raises(ValueError, match="stateful"):
        on_dask.fit(model, *samples(), client=cluster)


def test_weights_that_change_without_gradients_are_refused(cluster):
    model = ferrnn.Sequential([Input((7, 2)), GRU(3), ferrnn.layers.BatchNormalization()])
    model.compile("adam", loss="mse")
    with pytest.raises(NotImplementedError, match="moving_mean"):
        on_dask.fit(model, *samples(), client=cluster)


@pytest.mark.parametrize(
    ("argument", "collection", "options"),
    [
        ("collection", np.zeros((3, 7, 2)), {}),
        ("batch_size", da.zeros((3, 7, 2)), {"batch_size": 0}),
        ("columns", da.zeros((3, 7, 2)), {"columns": ["a"]}),
        ("columns", dd.from_pandas(pd.DataFrame({"a": [1.0]}), npartitions=1), {"columns": ["b"]}),
        ("columns", dd.from_pandas(pd.DataFrame({"a": [1.0]}), npartitions=1), {}),
    ],
)
def test_errors_of_predict_name_the_argument(argument, collection, options):
    with pytest.raises((ValueError, TypeError), match=f"`{argument}`"):
        on_dask.predict(networks(), collection, **options)
