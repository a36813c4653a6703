"""Trained models that others published: how each is opened, and what it should compute.

They are in `../shared/models` beside the repository, each with its licence, and are not part of it.
Where the folder has no reference, one is computed by `plain`, in float64.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors.numpy

import ferrnn
import plain
from ferrnn._src.interop.torch.files import read_torch_file

MODELS = Path(__file__).parents[4] / "shared" / "models"
ABSENT = f"SKIPPED ALOUD: no trained models of others at {MODELS}"
layers = ferrnn.layers


@dataclass
class Opened:
    """A model, inputs (by name, of ONNX), and for each output what it should be."""

    model: Any
    inputs: Any
    wanted: list[Any]

    def run(self) -> list[Any]:
        """The outputs that have a reference."""
        if isinstance(self.inputs, dict):
            found = list(self.model.run(self.inputs).values())
        else:
            single = len(self.inputs) == 1
            found = self.model.predict(self.inputs[0] if single else self.inputs, verbose=0)
        return (found if isinstance(found, list) else [found])[: len(self.wanted)]


def numbers(file: str) -> dict[str, Any]:
    with np.load(MODELS / file) as stored:
        return {name: stored[name] for name in stored.files}


def draw(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


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


def keras(file: str) -> Opened:
    model = ferrnn.models.load_model(MODELS / file)
    reference = numbers(file.replace(".h5", ".numpy64_reference.npz"))
    return Opened(model, [reference["x"]], [reference["y"]])


def factor_net(file: str) -> Opened:
    model = ferrnn.models.load_model(MODELS / file, compile=False, backend="theano")
    reference = numbers(file.replace(".hdf5", ".numpy64_reference.npz"))
    inputs = [reference[f"input_{i}"] for i in (1, 2)]
    wanted = [reference["y_theano_flip"]]
    return Opened(model, inputs, wanted)


def mixture(x: Any, heads: Any) -> Any:
    """What `MDN` computes."""
    mus, sigmas, pi = (plain.dense(x, *heads[at : at + 2]) for at in (0, 2, 4))
    return np.concatenate([mus, plain.elu(sigmas) + 1 + 1e-7, pi], axis=-1)


def music(file: str) -> Opened:
    """`.keras` of Keras 2.15: one step, the states are inputs and outputs."""
    model = ferrnn.models.load_model(MODELS / file, custom_objects={"MDN": MDN}, compile=False)
    inputs = [
        draw(3, *(size or 1 for size in each.shape[1:]), seed=at)
        for at, each in enumerate(model.inputs)
    ]
    first, second, heads = (
        model.get_layer(name).get_weights() for name in ("lstm_0", "lstm_1", "mdn_outputs")
    )
    x, *states = inputs
    hidden = plain.lstm(x, first, start=states[:2])
    wanted = mixture(plain.lstm(hidden, second, start=states[2:])[:, -1], heads)
    return Opened(model, inputs, [wanted])


def music_of_2019(file: str) -> Opened:
    """Legacy HDF5 of Keras 2.2: a whole model."""
    model = ferrnn.models.load_model(MODELS / file, custom_objects={"MDN": MDN}, compile=False)
    return _music_over_time(model, MODELS / file)


def music_weights(file: str) -> Opened:
    """The same of tf.keras, weights alone."""
    with h5py.File(MODELS / file) as stored:
        features, wide = stored["lstm0/lstm0/kernel:0"].shape
    x = ferrnn.Input((None, features), name="inputs")
    y = layers.LSTM(wide // 4, return_sequences=True, name="lstm0")(x)
    y = layers.LSTM(wide // 4, return_sequences=True, name="lstm1")(y)
    y = layers.TimeDistributed(MDN(features, 5), name="td_mdn")(y)
    model = ferrnn.Model(x, y)
    model.load_weights(MODELS / file)
    return _music_over_time(model, MODELS / file)


def _music_over_time(model: Any, path: Path) -> Opened:
    with h5py.File(path) as stored:
        groups = stored.get("model_weights", stored)
        parts = [
            [groups[layer][key][()] for key in groups[layer].attrs["weight_names"]]
            for layer in ("lstm0", "lstm1", "td_mdn")
        ]
        config = json.loads(stored.attrs.get("model_config", "{}"))
    hard = "hard_sigmoid" in str(config)
    gate = plain.hard_sigmoid_of_keras_2 if hard else plain.sigmoid
    x = draw(2, model.inputs[0].shape[1] or 30, parts[0][0].shape[0])
    wanted = mixture(plain.lstm(plain.lstm(x, parts[0], gate), parts[1], gate), parts[2])
    return Opened(model, [x], [wanted])


def text(file: str) -> Opened:
    """Weights alone, of layers that ran in cuDNN; the attention after them is a class of their own.

    Float64: these weights, up to 9, amplify the rounding of float32 a thousand times in 40 steps,
    in plain NumPy as well.
    """
    path = MODELS / file
    with h5py.File(path) as stored:
        table = stored["embedding/embedding/embeddings:0"][()]
        cells = [
            [stored[name][key][()] for key in stored[name].attrs["weight_names"]]
            for name in ("rnn_1", "rnn_2")
        ]
    x = ferrnn.Input((None,), name="input")
    y = layers.Embedding(*table.shape, dtype="float64", name="embedding")(x)
    for i in (1, 2):
        y = layers.LSTM(128, return_sequences=True, dtype="float64", name=f"rnn_{i}")(y)
    model = ferrnn.Model(x, y)
    model.load_weights(path, by_name=True)
    ids = np.random.default_rng(2).integers(0, len(table), (2, 40))
    wanted = table[ids]
    for weights in cells:
        wanted = plain.lstm(wanted, _without_cudnn(*weights))
    return Opened(model, [ids], [wanted])


def _without_cudnn(kernel: Any, recurrent: Any, bias: Any) -> list[Any]:
    """Each gate's matrix is transposed in memory, and there are two biases."""
    turned = [part.T.reshape(part.shape, order="F") for part in np.split(kernel, 4, axis=1)]
    across = [part.T for part in np.split(recurrent, 4, axis=1)]
    return [np.hstack(turned), np.hstack(across), np.sum(np.split(bias, 2), axis=0)]


def onnx(file: str) -> Opened:
    model = ferrnn.from_onnx(MODELS / file)
    recorded = numbers(file.replace(".onnx", ".ort_reference.npz"))
    inputs = {key[3:]: recorded[key] for key in recorded if key.startswith("in_")}
    wanted = {key.split("_", 2)[2]: recorded[key] for key in recorded if key.startswith("out_")}
    return Opened(model, inputs, [wanted[value.name] for value in model.outputs])


def torch(file: str, *chain: Any) -> Opened:
    model = ferrnn.from_torch(MODELS / file, layers=chain)
    reference = numbers(file.replace(".pt", ".numpy64_reference.npz"))
    return Opened(model, [reference["x"]], [reference["y"]])


def walker(file: str) -> Opened:
    """TorchScript of a robot's policy, without a reference in the folder."""
    model = ferrnn.from_torch(MODELS / file, layers=["memory", "actor"])
    memory, first, last = (layer.get_weights() for layer in model.layers if layer.get_weights())
    x = draw(3, 20, len(memory[0]))
    wanted = plain.dense(plain.elu(plain.dense(plain.lstm(x, memory), *first)), *last)
    return Opened(model, [x], [wanted])


def flood(file: str, name: str = "forecast_lstm") -> Opened:
    """One chain of a model with branches, followed by the head."""
    state = {
        key.removeprefix("_orig_mod."): np.asarray(value)
        for key, value in read_torch_file(MODELS / file).items()
    }
    weights = plain.of_torch(state, name)
    model = ferrnn.from_torch(MODELS / file, layers=[name, "head.net.0"])
    x = draw(2, 15, len(weights[0]))
    head = state["head.net.0.weight"].T, state["head.net.0.bias"]
    return Opened(model, [x], [plain.dense(plain.lstm(x, weights), *head)])


class Magnitude(ferrnn.layers.Layer):
    """The absolute values of complex numbers, whose parts lie in two halves of the features."""

    def call(self, inputs):
        real, imaginary = ferrnn.ops.split(inputs, 2, axis=-1)
        return ferrnn.ops.sqrt(real**2 + imaginary**2)


def voice(file: str) -> Opened:
    """The voice detector's weights alone: `layers` describes what its code does with them."""
    strided = {"kind": "Conv1d", "padding": 1}
    state = safetensors.numpy.load_file(MODELS / file)
    model = ferrnn.from_torch(
        MODELS / file,
        layers=[
            ("stft_conv", {"kind": "Conv1d", "stride": 128}),
            Magnitude(),
            *(("conv1", strided), layers.ReLU()),
            *(("conv2", {**strided, "stride": 2}), layers.ReLU()),
            *(("conv3", {**strided, "stride": 2}), layers.ReLU()),
            *(("conv4", strided), layers.ReLU()),
            *("lstm_cell", layers.ReLU(), "final_conv", layers.Activation("sigmoid")),
        ],
    )
    x = draw(2, 1600, 1)
    spectrum = plain.convolution(x.swapaxes(1, 2).astype("f8"), state["stft_conv.weight"], 0, 128)
    y = np.sqrt(spectrum[:, :129] ** 2 + spectrum[:, 129:] ** 2)
    for i, stride in enumerate((1, 2, 2, 1), start=1):
        weights = state[f"conv{i}.weight"], state[f"conv{i}.bias"]
        y = np.maximum(plain.convolution(y, *weights, stride, 1), 0)
    y = np.maximum(plain.lstm(y.swapaxes(1, 2), plain.of_torch(state, "lstm_cell")), 0)
    y = plain.convolution(y.swapaxes(1, 2), state["final_conv.weight"], state["final_conv.bias"])
    wanted = plain.sigmoid(y.swapaxes(1, 2))
    return Opened(model, [x], [wanted])


def words(file: str) -> Opened:
    """A SavedModel without its graph; the same weights lie beside it as text."""
    folder = (MODELS / file).parent
    model = ferrnn.models.load_model(folder, compile=False)
    stored = json.loads((folder / "weights.json").read_text())
    table, *weights = (
        np.reshape(np.asarray(stored[f"mat{i}"]["data"], "f4"), stored[f"mat{i}"]["dim"])
        for i in range(1, 10)
    )
    ids = np.random.default_rng(4).integers(0, len(table), (2, 300))
    x = table[ids]
    ahead, back = plain.lstm(x, weights[:3]), plain.lstm(x[:, ::-1], weights[3:6])[:, ::-1]
    z = plain.dense(np.concatenate([ahead, back], axis=-1), *weights[6:])
    raised = np.exp(z - z.max(axis=-1, keepdims=True))
    wanted = raised / raised.sum(axis=-1, keepdims=True)
    return Opened(model, [ids], [wanted])


_NOAA, _MUSIC = "NOAA-OWP+lstm", "cpmpercussion+impsy/musicMDRNN"
OPENS: dict[str, Callable[[str], Opened]] = {
    "xiaochus+TrafficFlowPrediction/lstm.h5": keras,
    "xiaochus+TrafficFlowPrediction/gru.h5": keras,
    "uci-cbcl+FactorNet/best_model.hdf5": factor_net,
    "minimaxir+textgenrnn/textgenrnn_weights.hdf5": text,
    f"{_MUSIC}-dim2-layers2-units32-mixtures5-scale10.keras": music,
    f"{_MUSIC}-dim4-layers2-units64-mixtures5-scale10.keras": music,
    f"{_MUSIC}-dim9-layers2-units64-mixtures5-scale10.keras": music,
    f"{_MUSIC}-dim2-layers2-units32-mixtures5-scale10.h5": music_of_2019,
    f"{_MUSIC}-dim4-layers2-units64-mixtures5-scale10.h5": music_weights,
    f"{_MUSIC}-dim9-layers2-units64-mixtures5-scale10.h5": music_weights,
    "unicode-org+lstm_word_segmentation/Lao/variables.index": words,
    "snakers4+silero-vad/silero_vad_16k_op15.onnx": onnx,
    "snakers4+silero-vad/silero_vad_op18_ifless.onnx": onnx,
    "snakers4+silero-vad/silero_vad_16k.safetensors": voice,
    "breizhn+DTLN/model_1.onnx": onnx,
    "breizhn+DTLN/model_2.onnx": onnx,
    "leggedrobotics+legged_gym/anydrive_v3_lstm.pt": lambda file: torch(file, "lstm", "linear"),
    "unitreerobotics+unitree_rl_gym/motion_g1.pt": lambda file: torch(file, "memory", "actor"),
    "unitreerobotics+unitree_rl_gym/motion_h1.pt": walker,
    f"{_NOAA}/model_epoch009.pt": lambda file: torch(file, "lstm", "head.net.0"),
    f"{_NOAA}/sugar_creek_trained.pt": lambda file: torch(file, "lstm", "head"),
    "google-research+flood-forecasting/model_epoch001.pt": flood,
}

# Files that are not models by themselves, and why.
WITHOUT_A_MODEL = {
    f"{_NOAA}/optimizer_state_epoch009.pt": "an optimizer's state, with no tensor named",
    "uci-cbcl+FactorNet/model.json": "the configuration that best_model.hdf5 holds, too",
    "unicode-org+lstm_word_segmentation/Lao/weights.json": "those of the SavedModel beside it",
    **dict.fromkeys(
        (
            *(
                f"jatinchowdhury18+RTNeural/{name}.json"
                for name in ("gru", "gru_1d", "gru_torch", "lstm", "lstm_1d", "lstm_torch")
            ),
            "sdatkinson+NeuralAmpModelerCore/lstm.nam",
        ),
        "JSON of a player for audio effects, which an example reads",
    ),
}


def difference(opened: Opened) -> float:
    """The largest difference from the expected outputs, relative to the largest number of each."""
    found = opened.run()
    assert len(found) == len(opened.wanted)
    worst = 0.0
    for one, wanted in zip(found, opened.wanted, strict=True):
        assert np.shape(one) == np.shape(wanted)
        apart = np.abs(np.asarray(one, "f8") - np.asarray(wanted, "f8")).max()
        worst = max(worst, float(apart / np.abs(wanted).max()))
    return worst
