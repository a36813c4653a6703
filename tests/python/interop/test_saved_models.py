"""TensorFlow's SavedModels give Keras' numbers, without their graphs."""

import os
import shutil
import struct

import numpy as np
import pytest

import ferrnn
import foreign
from ferrnn._src.interop.keras.tensor_bundles import Bundle
from foreign import expect_close

NAMES = foreign.names("savedmodel")
INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
DEEP = "FERRNN_DEEP" in os.environ


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_gives_the_numbers_of_keras(name):
    case = foreign.load("savedmodel", name)
    model = ferrnn.models.load_model(foreign.path(case.about["file"]))
    inputs = case.series("input")
    found = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    found = found if len(inputs) > 1 else [found]
    for one, wanted in zip(found, case.series("output"), strict=True):
        expect_close(one, wanted)
    for weight, wanted in zip(model.get_weights(), case.series("weight"), strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_its_optimizer_goes_on():
    case = foreign.load("savedmodel", "lstm")
    model = ferrnn.models.load_model(foreign.path(case.about["file"]))
    assert int(model.optimizer.iterations) == 2
    bundle = Bundle(foreign.path(case.about["file"]) / INDEX)
    slots = [each for each in model.optimizer.variables if each.shape == (5, 12)]
    for slot, number in zip(slots, (7, 8), strict=True):
        stored = bundle.read(f"optimizer/_variables/{number}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(slot.numpy(), stored)
    assert not ferrnn.models.load_model(foreign.path(case.about["file"]), compile=False).compiled


def test_an_optimizer_of_before_keras_2_11_goes_on():
    case = foreign.load("savedmodel", "older_optimizer")
    model = ferrnn.models.load_model(foreign.path(case.about["file"]))
    assert int(model.optimizer.iterations) == 3
    (x,), y = case.series("input"), case.arrays["target_0"]
    losses = [model.train_on_batch(x, y) for _ in case.arrays["losses"]]
    np.testing.assert_allclose(np.ravel(losses), case.arrays["losses"], rtol=1e-5)


@pytest.fixture
def folder(tmp_path):
    """A SavedModel that may be damaged."""
    return shutil.copytree(foreign.path("savedmodel/gru"), tmp_path / "gru")


def damage(folder, name, at, new):
    data = bytearray((folder / name).read_bytes())
    data[at : at + len(new) if at >= 0 else None] = new
    (folder / name).write_bytes(data)


def refused(folder, reason):
    with pytest.raises(ferrnn.saving.FileError, match=reason) as error:
        ferrnn.models.load_model(folder)
    assert str(folder) in str(error.value)


class TestDamage:
    @pytest.mark.parametrize("name", [INDEX, DATA, "keras_metadata.pb"])
    def test_a_shortened_file_is_an_error(self, folder, name):
        whole = (folder / name).read_bytes()
        for part in range(0, 50, 1 if DEEP else 3):
            (folder / name).write_bytes(whole[: len(whole) * part // 50])
            refused(folder, "variables.index|keras_metadata.pb")

    @pytest.mark.parametrize("name", [INDEX, "keras_metadata.pb"])
    def test_flipped_bytes_are_errors_or_other_numbers(self, folder, name):
        whole = (folder / name).read_bytes()
        rng = np.random.default_rng(1)
        for at in rng.integers(0, len(whole), 100 if DEEP else 30):
            (folder / name).write_bytes(whole)
            damage(folder, name, at, bytes([whole[at] ^ 1 << rng.integers(8)]))
            try:
                ferrnn.models.load_model(folder, compile=False)
            except (ValueError, NotImplementedError) as error:
                assert str(error)  # noqa: PT017 - or it is read

    def test_blocks_outside_and_compressed_ones_are_named(self, folder):
        size = (folder / INDEX).stat().st_size
        damage(folder, INDEX, size - 48, b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\x7f" * 2)
        refused(folder, "a block lies outside")

    def test_another_end_is_named(self, folder):
        damage(folder, INDEX, -8, struct.pack("<Q", 1))
        refused(folder, "does not end with the footer")

    def test_without_keras_metadata_the_graph_is_not_read(self, folder):
        (folder / "keras_metadata.pb").unlink()
        (folder / "saved_model.pb").write_bytes(b"code")
        refused(folder, "only by its graph, which is not read")

    @pytest.mark.parametrize("name", [INDEX, DATA, "keras_metadata.pb"])
    def test_no_link_is_followed(self, folder, tmp_path, name):
        shutil.move(folder / name, tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        refused(folder, "not a regular file|the file keras_metadata.pb is missing")
