"""The commands about files of models."""

import numpy as np
import pytest

import ferrnn
from ferrnn import layers
from ferrnn._src.command.arguments import main


@pytest.fixture
def path(tmp_path):
    model = ferrnn.Sequential(
        [ferrnn.Input((None, 3)), layers.LSTM(4, return_sequences=True), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    model.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def said(capsys, *arguments):
    assert main([str(each) for each in arguments]) == 0
    return capsys.readouterr().out


def test_info_tells_layers_and_how_they_are_compiled(path, capsys):
    text = said(capsys, "info", path)
    assert f"{path.stat().st_size:,} bytes, safetensors" in text
    assert "LSTM" in text
    assert "compiled with Adam, loss 'mse'" in text
    assert "no probe" in text


@pytest.mark.parametrize("name", ["b.keras", "b.onnx", "b.safetensors"])
def test_a_converted_model_computes_the_same(path, name, tmp_path, capsys):
    if name == "b.keras":
        pytest.importorskip("h5py")
    said(capsys, "convert", path, tmp_path / name)
    text = said(capsys, "verify", path, "--against", tmp_path / name)
    assert float(text.split("at most ")[1].split()[0]) < 2e-6
    said(capsys, "info", tmp_path / name)


def test_verify_takes_inputs(path, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((2, 5, 3)))
    assert "float64" in said(capsys, "verify", path, "--inputs", tmp_path / "x.npy")


def test_bench_times_a_model(path, capsys):
    text = said(capsys, "bench", path, "--seconds", "0.1")
    assert "call [32,32,3]" in text
    assert "one step of a stream" in text


def test_info_lists_weights_alone(tmp_path, capsys):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"rnn.weight": np.ones((2, 3), "float32")}, tmp_path / "w.safetensors")
    assert "rnn: module with weight (2, 3)" in said(capsys, "info", tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "command",
    [
        ["info", "none.keras"],
        ["convert", "none.keras", "b.onnx"],
        ["verify", "none.keras"],
        ["bench", "none.keras"],
    ],
)
def test_a_failure_is_one_sentence(command, capsys):
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"ferrnn {command[0]}: ")
    assert "Traceback" not in told.err
    assert not told.out
