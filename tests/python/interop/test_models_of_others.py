"""Trained models that others published, if the folder `../shared/models` is there."""

import h5py
import numpy as np
import pytest

import ferrnn
import others
from each_case import each_case

pytestmark = pytest.mark.skipif(not others.MODELS.is_dir(), reason=others.ABSENT)

ENDINGS = {".h5", ".hdf5", ".keras", ".onnx", ".pt", ".safetensors", ".index", ".json", ".nam"}


def test_every_file_of_the_folder_is_in_the_table():
    files = {
        path.relative_to(others.MODELS).as_posix()
        for path in others.MODELS.rglob("*")
        if path.suffix in ENDINGS
    }
    assert files == {*others.OPENS, *others.WITHOUT_A_MODEL}


@each_case("file", others.OPENS)
def test_a_model_opens_and_gives_its_reference(file):
    assert others.difference(others.OPENS[file](file)) < 2e-6


def test_the_new_hard_sigmoid_would_be_wrong_by_a_sixth():
    folder = "xiaochus+TrafficFlowPrediction"
    model = ferrnn.models.load_model(others.MODELS / folder / "lstm.h5")
    reference = others.numbers(f"{folder}/lstm.numpy64_reference.npz")
    for layer in model.layers:
        if isinstance(layer, ferrnn.layers.LSTM):
            layer.cell.recurrent_activation = ferrnn.activations.hard_sigmoid
    wrong = np.abs(np.asarray(model(reference["x"].astype("float32"))) - reference["y"]).max()
    assert 0.1 < wrong < 0.2


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gates_with_the_old_hard_sigmoid_run_in_the_engine(name):
    file = f"xiaochus+TrafficFlowPrediction/{name}"
    model = ferrnn.models.load_model(others.MODELS / f"{file}.h5")
    reference = others.numbers(f"{file}.numpy64_reference.npz")
    stream = model.stream(streams=len(reference["x"]))
    for step in reference["x"].swapaxes(0, 1):
        last = stream(step)
    np.testing.assert_allclose(last, reference["y"], rtol=0, atol=2e-6)


def test_kernels_are_turned_only_if_asked():
    path = others.MODELS / "uci-cbcl+FactorNet" / "best_model.hdf5"
    reference = others.numbers("uci-cbcl+FactorNet/best_model.numpy64_reference.npz")
    model = ferrnn.models.load_model(path, compile=False)
    found = model.predict([reference[f"input_{i}"] for i in (1, 2)], verbose=0)
    np.testing.assert_allclose(found, reference["y_correlation"], rtol=2e-6)


@pytest.mark.parametrize("name", ["dim2-layers2-units32", "dim4-layers2-units64"])
def test_a_layer_of_the_users_opens_with_custom_objects(name):
    path = others.MODELS / "cpmpercussion+impsy" / f"musicMDRNN-{name}-mixtures5-scale10.keras"
    with pytest.raises(ValueError, match="the class 'MDN' is not known"):
        ferrnn.models.load_model(path)
    model = ferrnn.models.load_model(path, custom_objects={"MDN": others.MDN}, compile=False)
    if name.startswith("dim4"):  # the file beside it has the same weights
        with h5py.File(path.with_suffix(".h5")) as file:
            kernel = file["lstm0/lstm0/kernel:0"][()]
        np.testing.assert_array_equal(model.get_layer("lstm_0").get_weights()[0], kernel)


def test_the_state_of_an_optimizer_is_no_model():
    path = others.MODELS / "NOAA-OWP+lstm" / "optimizer_state_epoch009.pt"
    with pytest.raises(ValueError, match="has no named tensors"):
        ferrnn.from_torch(path)
