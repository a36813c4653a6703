"""Trained models that others published, if the folder `../shared/models` is there."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import ferrnn
from foreign import expect_close

MODELS = Path(__file__).parents[3].parent / "shared" / "models"
pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason=f"SKIPPED ALOUD: no models of others at {MODELS}"
)


def numbers(file):
    with np.load(MODELS / file) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_traffic_is_predicted_as_by_keras_2(name):
    folder = "xiaochus+TrafficFlowPrediction"
    model = ferrnn.models.load_model(MODELS / folder / f"{name}.h5")
    reference = numbers(f"{folder}/{name}.numpy64_reference.npz")
    expect_close(model(reference["x"].astype("float32")), reference["y"])


def test_the_new_hard_sigmoid_would_be_wrong_by_a_sixth():
    folder = "xiaochus+TrafficFlowPrediction"
    model = ferrnn.models.load_model(MODELS / folder / "lstm.h5")
    reference = numbers(f"{folder}/lstm.numpy64_reference.npz")
    for layer in model.layers:
        if isinstance(layer, ferrnn.layers.LSTM):
            layer.cell.recurrent_activation = ferrnn.activations.hard_sigmoid
    wrong = np.abs(np.asarray(model(reference["x"].astype("float32"))) - reference["y"]).max()
    assert 0.1 < wrong < 0.2


def test_binding_is_predicted_as_by_keras_1_on_theano():
    folder = MODELS / "uci-cbcl+FactorNet"
    reference = numbers(folder / "best_model.numpy64_reference.npz")
    inputs = [reference[f"input_{i}"].astype("float32") for i in (1, 2)]
    for backend, wanted in (("theano", "y_theano_flip"), (None, "y_correlation")):
        model = ferrnn.models.load_model(folder / "best_model.hdf5", compile=False, backend=backend)
        expect_close(model(inputs), reference[wanted])


class MDN(ferrnn.layers.Layer):
    """Means, scales and weights of a mixture, side by side: of the package keras-mdn-layer."""

    def __init__(self, output_dimension, num_mixtures, **options):
        super().__init__(**options)
        dense = ferrnn.layers.Dense
        self.mdn_mus = dense(num_mixtures * output_dimension, name="mdn_mus")
        self.mdn_sigmas = dense(num_mixtures * output_dimension, name="mdn_sigmas")
        self.mdn_pi = dense(num_mixtures, name="mdn_pi")

    def build(self, input_shape):
        for part in (self.mdn_mus, self.mdn_sigmas, self.mdn_pi):
            part.build(input_shape)

    def call(self, inputs):
        scales = ferrnn.ops.elu(self.mdn_sigmas(inputs)) + 1 + 1e-7
        return ferrnn.ops.concatenate([self.mdn_mus(inputs), scales, self.mdn_pi(inputs)], axis=-1)


@pytest.mark.parametrize(
    "name", ["dim2-layers2-units32", "dim4-layers2-units64", "dim9-layers2-units64"]
)
def test_a_layer_of_the_users_opens_with_custom_objects(name):
    path = MODELS / "cpmpercussion+impsy" / f"musicMDRNN-{name}-mixtures5-scale10.keras"
    with pytest.raises(ValueError, match="the class 'MDN' is not known"):
        ferrnn.models.load_model(path)
    model = ferrnn.models.load_model(path, custom_objects={"MDN": MDN}, compile=False)
    if name.startswith("dim4"):  # the file beside it has the same weights
        with h5py.File(path.with_suffix(".h5")) as file:
            kernel = file["lstm0/lstm0/kernel:0"][()]
        np.testing.assert_array_equal(model.get_layer("lstm_0").get_weights()[0], kernel)


def test_weights_of_cudnn_are_turned_into_those_of_plain_layers():
    layers = ferrnn.layers
    x = ferrnn.Input((None,), name="input")
    y = layers.Embedding(465, 100, name="embedding")(x)
    for i in (1, 2):
        y = layers.LSTM(128, return_sequences=True, name=f"rnn_{i}")(y)
    model = ferrnn.Model(x, y)
    path = MODELS / "minimaxir+textgenrnn" / "textgenrnn_weights.hdf5"
    model.load_weights(path, by_name=True)
    with h5py.File(path) as file:
        names = file["rnn_1"].attrs["weight_names"]
        kernel, recurrent, bias = (file["rnn_1"][name][()] for name in names)
    found = model.get_layer("rnn_1").get_weights()
    for gate in range(4):
        own = np.s_[:, 128 * gate : 128 * (gate + 1)]
        turned = np.reshape(kernel[own].T, (100, 128), order="F")
        np.testing.assert_array_equal(found[0][own], turned)
        np.testing.assert_array_equal(found[1][own], recurrent[own].T)
    np.testing.assert_array_equal(found[2], bias[:512] + bias[512:])
