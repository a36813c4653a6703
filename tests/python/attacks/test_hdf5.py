"""Files of weights that want much memory, lead elsewhere, or hold what cannot be."""

import tracemalloc
import zlib

import numpy as np
import pytest

from attacks import damage
from ferrnn.saving import FileError

h5py = pytest.importorskip("h5py")
PLACE = "layers/dense/vars"


@pytest.fixture
def path(tmp_path):
    model = damage.trained(damage.chain(), np.random.default_rng(2))
    model.save_weights(tmp_path / "a.weights.h5")
    return tmp_path / "a.weights.h5"


def load(path):
    model = damage.chain()
    model.optimizer.build(model.trainable_weights)
    model.load_weights(path)
    return model


def replaced(path, name, **options):
    """The file with another array at `dense/0`, made by h5py."""
    with h5py.File(path, "a") as file:
        value = file[f"{PLACE}/{name}"][()]
        del file[f"{PLACE}/{name}"]
        file[PLACE].create_dataset(name, **{"data": value, **options})
    return value


def test_a_chunk_that_is_larger_than_its_array(path):
    replaced(path, "0", maxshape=(None, None), chunks=(2**10, 2**10), compression="gzip")
    tracemalloc.start()
    with pytest.raises(FileError, match="must not have chunks of 4194304 bytes"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_chunk_that_inflates_to_more_than_it_holds(path):
    value = replaced(path, "0", chunks=(4, 2), compression="gzip")
    with h5py.File(path, "a") as file:
        bomb = zlib.compress(bytes(50 * 2**20), 9)
        file[f"{PLACE}/0"].id.write_direct_chunk((0, 0), bomb)
    with pytest.raises(FileError, match=f"expand to more than its {value.nbytes} bytes"):
        load(path)


def test_compressed_arrays_of_other_writers_are_read(path):
    options = {"chunks": (2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True}
    value = replaced(path, "0", **options)
    assert np.array_equal(load(path).get_layer("dense").get_weights()[0], value)


def test_filters_that_are_not_known(path):
    replaced(path, "0", chunks=(2, 2), compression="lzf")
    with pytest.raises(FileError, match="stored plainly or with deflate"):
        load(path)


def test_numbers_in_another_file(tmp_path, path):
    (tmp_path / "secret").write_bytes(bytes(32))
    value = replaced(path, "0")
    with h5py.File(path, "a") as file:
        del file[f"{PLACE}/0"]
        elsewhere = [(str(tmp_path / "secret"), 0, 32)]
        file[PLACE].create_dataset("0", value.shape, "f4", external=elsewhere)
    with pytest.raises(FileError, match="must hold an array"):
        load(path)


def test_a_virtual_array(tmp_path, path):
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((4, 2), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4, 2))
        del file[f"{PLACE}/0"]
        file[PLACE].create_virtual_dataset("0", layout)
    with pytest.raises(FileError, match="must hold an array"):
        load(path)


@pytest.mark.parametrize("place", [f"{PLACE}/0", PLACE, "layers"])
@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("other.h5", "/a"), h5py.SoftLink("/layers/lstm")]
)
def test_links(path, place, link):
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = link
    with pytest.raises(FileError, match=f"{PLACE}|: vars|layers/"):
        load(path)


def test_numbers_that_changed_in_the_file(path):
    with h5py.File(path, "a") as file:
        file[f"{PLACE}/0"][1, 1] += 1e-3
    with pytest.raises(FileError, match=r"the array '0' is damaged") as caught:
        load(path)
    assert caught.value.place == PLACE
    assert caught.value.filename == str(path)


def test_arrays_that_changed_places(path):
    with h5py.File(path, "a") as file:
        file["optimizer/vars"].move("2", "x")
        file["optimizer/vars"].move("3", "2")
        file["optimizer/vars"].move("x", "3")
    with pytest.raises(FileError, match="damaged"):
        load(path)


def test_files_without_checksums_are_read(path):
    expected = damage.state(load(path))

    def forget(_, item):
        for name in [*item.attrs]:
            del item.attrs[name]

    with h5py.File(path, "a") as file:
        file.visititems(forget)
    assert damage.same(damage.state(load(path)), expected)


def test_what_is_skipped_is_whole(path):
    with h5py.File(path, "a") as file:
        file[f"{PLACE}/0"][0, 0] = 9
    with pytest.raises(FileError, match="damaged"):
        damage.chain().load_weights(path, skip_mismatch=True)


def test_an_optimizer_that_is_gone(path):
    with h5py.File(path, "a") as file:
        file.move("optimizer", "optimizes")
    with pytest.raises(FileError, match="the variables of the optimizer are missing"):
        load(path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "0",
            np.float64(1e300),
            "'iteration' of the optimizer 'adam.*' must be a non-negative integer",
        ),
        ("0", np.int32(-4), "'iteration' of the optimizer"),
        ("0", np.uint64(2**64 - 1), "'iteration' of the optimizer"),
        (
            "1",
            np.float32("nan"),
            "'learning_rate' of the optimizer .* must be a non-negative number",
        ),
        ("1", np.float32("inf"), "'learning_rate' of the optimizer"),
        ("1", np.float32(-0.1), "'learning_rate' of the optimizer"),
        ("3", np.full((3, 16), -1e-9, "f4"), "'velocity' of the optimizer .* not be negative"),
        ("3", np.ones((3, 15), "f4"), r"must have the shape \(3, 16\)"),
        ("3", np.ones((3, 16), "S4"), "received the shape"),
    ],
)
def test_a_state_that_no_optimizer_has(path, name, value, reason):
    with h5py.File(path, "a") as file:
        del file[f"optimizer/vars/{name}"]
        file["optimizer/vars"].create_dataset(name, data=value)
    model = damage.chain()
    model.optimizer.build(model.trainable_weights)
    before = damage.state(model)
    with pytest.raises(FileError, match=reason) as caught:
        model.load_weights(path)
    assert caught.value.place == "optimizer/vars"
    assert damage.same(damage.state(model), before)
