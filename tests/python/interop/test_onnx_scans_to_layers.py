"""Cells that ONNX has no operator for: written as Scans, and read as the layers they were."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers as L  # noqa: N812 - there are many
from ferrnn._src.command.arguments import main
from ferrnn.layers import Input
from test_onnx_to_layers import FEATURES, randomized, sequences

GELU = {"activation": "gelu"}
CELLS = {
    "simple": L.SimpleRNN(5, "silu"),
    "long and short": L.LSTM(5, "mish", recurrent_activation="sparse_sigmoid"),
    "projected": L.ProjectedLSTM(5, 2),
    "coupled": L.CoupledLSTM(5, use_bias=False),
    "peephole": L.PeepholeLSTM(5),
    "peephole of another activation": L.PeepholeLSTM(5, "exponential", clip=0.5),
    "gated": L.GRU(5, **GELU),
    "gated without bias": L.GRU(5, use_bias=False, **GELU),
    "reset before": L.GRU(5, "hard_tanh", reset_after=False),
    "minimal": L.MinimalGatedUnit(5, recurrent_activation="hard_sigmoid_keras2"),
    "independent": L.IndRNN(5),
    "clipped": L.ProjectedLSTM(5, 3, activation="relu6", clip=0.75),
    "leaky": L.LSTM(5, "leaky_relu"),
}
DERIVED = ("initializer", "unit_forget_bias", "name")


def settings(layer):
    """What a layer computes, without what it starts from."""
    config = layer.get_config()
    for key in ("layer", "backward_layer"):
        if key in config:
            config[key] = settings(getattr(layer, {"layer": "forward_layer"}.get(key, key)))
    return {key: value for key, value in config.items() if not any(d in key for d in DERIVED)}


def check(*layers, dtype="float32"):
    """The layers are read as they were, and compute the same for other lengths."""
    copies = [type(each).from_config(each.get_config()) for each in layers]
    model = randomized(ferrnn.Sequential([Input((None, FEATURES), dtype=dtype), *copies]))
    again = ferrnn.from_onnx(ferrnn.to_onnx(model)).to_layers()
    assert [type(each) for each in again.layers] == [type(each) for each in model.layers]
    for one, other in zip(again.layers, model.layers, strict=True):
        assert settings(one) == settings(other)
    for time in (9, 13):
        x = sequences(time=time).astype(dtype)
        np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-6)
    return model, again


@each_case("name", CELLS)
def test_a_cell_is_read_as_it_was(name):
    for sequence, backwards in ((True, False), (True, True), (False, len(name) % 2 == 0)):
        config = CELLS[name].get_config()
        config.update(return_sequences=sequence, go_backwards=backwards)
        check(type(CELLS[name]).from_config(config), L.Dense(2))


@each_case("name", ["projected", "gated", "independent", "peephole"])
@each_case("mode", ["concat", "sum", "mul", "ave"])
def test_a_cell_in_both_directions_is_read_as_it_was(name, mode):
    config = CELLS[name].get_config()
    inner = [
        type(CELLS[name]).from_config({**config, "return_sequences": s}) for s in (True, False)
    ]
    check(*(L.Bidirectional(each, merge_mode=mode) for each in inner), L.Dense(2))


def test_stacks_of_scans_stream_and_train_on():
    model, again = check(
        L.Dense(3),
        L.CoupledLSTM(5, "gelu", return_sequences=True),
        L.MinimalGatedUnit(4, return_sequences=True),
        L.Dense(2),
    )
    x = sequences()
    stream = again.stream(3)
    found = np.stack([stream(x[:, t]) for t in range(x.shape[1])], axis=1)
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)
    losses = []
    for each in (model, again):
        each.compile("adam", "mse")
        losses.append(each.fit(x, np.zeros_like(found), epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_doubles_stay_doubles():
    _, again = check(L.ProjectedLSTM(5, 2, dtype="float64"), dtype="float64")
    assert again.layers[0].dtype == "float64"


def test_a_masked_scan_is_refused_by_its_name():
    masked = ferrnn.Sequential([Input((None,)), L.Embedding(7, 3, mask_zero=True), L.IndRNN(4)])
    with pytest.raises(ValueError, match=r"not a chain of layers: the \w+ node '"):
        ferrnn.from_onnx(ferrnn.to_onnx(masked)).to_layers()


def test_a_step_of_other_equations_is_refused():
    model = randomized(ferrnn.Sequential([Input((None, FEATURES)), L.IndRNN(5, "tanh")]))
    content = ferrnn.to_onnx(model).replace(b"\x22\x04Tanh", b"\x22\x04Sqrt")
    with pytest.raises(
        ValueError, match=r"the Scan node 'scan': its steps are not those of a layer"
    ):
        ferrnn.from_onnx(content).to_layers()


def test_the_command_converts_there_and_back(tmp_path):
    model = randomized(
        ferrnn.Sequential([Input((None, FEATURES)), L.ProjectedLSTM(5, 2), L.Dense(1)])
    )
    one, two, three = (tmp_path / f"m{end}" for end in (".safetensors", ".onnx", ".keras"))
    model.save(one)
    assert main(["convert", str(one), str(two)]) == 0
    assert main(["convert", str(two), str(three)]) == 0
    found = ferrnn.load_model(three)
    assert [type(each) for each in found.layers] == [L.ProjectedLSTM, L.Dense]
    np.testing.assert_allclose(found(sequences()), model(sequences()), rtol=1e-5, atol=1e-6)
