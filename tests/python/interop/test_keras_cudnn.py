"""Layers of cuDNN: files of plain layers, rewritten as cuDNN stores them, compute the same."""

import json
import shutil

import h5py
import numpy as np
import pytest

import ferrnn
import foreign
from foreign import expect_close

_PLAIN = ("activation", "recurrent_activation", "reset_after", "use_bias", "implementation")


def by_gate(matrix, gates, turn):
    return np.concatenate([turn(part) for part in np.split(matrix, gates, axis=1)], axis=1)


def as_cudnn(kernel, recurrent, bias, gates):
    """What Keras 2 writes for a layer of cuDNN that computes the same."""
    kernel = by_gate(kernel, gates, lambda part: part.T.reshape(part.shape))
    recurrent = by_gate(recurrent, gates, lambda part: part.T)
    if gates == 3:
        return kernel, recurrent, bias.reshape(-1)
    half = np.random.default_rng(7).normal(size=bias.shape).astype("float32")
    return kernel, recurrent, np.concatenate([half, bias - half])


@pytest.mark.parametrize(("name", "kind", "gates"), [("lstm", "LSTM", 4), ("gru", "GRU", 3)])
def test_the_layers_of_cudnn_become_plain_ones(tmp_path, name, kind, gates):
    case = foreign.load("keras2", f"{name}_h5")
    path = tmp_path / "cudnn.h5"
    shutil.copy(foreign.path(case.about["file"]), path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = config["config"]["layers"][1]
        layer["class_name"] = f"CuDNN{kind}"
        for key in _PLAIN:
            layer["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights"][layer["config"]["name"]]
        names = list(group.attrs["weight_names"])
        made = as_cudnn(*(group[each][()] for each in names), gates)
        for each, value in zip(names, made, strict=True):
            del group[each]
            group[each] = value
    model = ferrnn.models.load_model(path, compile=False)
    assert type(model.layers[0]).__name__ == kind
    expect_close(model(case.arrays["input_0"]), case.arrays["output_0"])


def test_both_directions_of_cudnn_become_plain_ones(tmp_path):
    case = foreign.load("keras2", "bidirectional_h5")
    path = tmp_path / "cudnn.h5"
    shutil.copy(foreign.path(case.about["file"]), path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        outer = config["config"]["layers"][2]
        assert outer["class_name"] == "Bidirectional"
        layer = outer["config"]["layer"]
        layer["class_name"] = "CuDNNLSTM"
        for key in _PLAIN:
            layer["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights"][outer["config"]["name"]]
        names = list(group.attrs["weight_names"])
        for start in (0, 3):
            own = names[start : start + 3]
            made = as_cudnn(*(group[each][()] for each in own), 4)
            for each, value in zip(own, made, strict=True):
                del group[each]
                group[each] = value
    model = ferrnn.models.load_model(path, compile=False)
    assert type(model.layers[1].forward_layer).__name__ == "LSTM"
    expect_close(model(case.arrays["input_0"]), case.arrays["output_0"])
