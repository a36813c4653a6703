"""The commands about files of models."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from ferrnn import layers
from ferrnn._src.command.arguments import main
from ferrnn._src.command.sources import Source


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


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_converted_weights_are_kept_in_fewer_bits(precision, path, tmp_path, capsys):
    target = tmp_path / "b.safetensors"
    said(capsys, "convert", path, target, "--precision", precision)
    assert f"weights for inference in {precision} (lstm)" in said(capsys, "info", target)
    text = said(capsys, "verify", target)
    assert f"float64, from {precision} (lstm)" in text
    assert 1e-5 < float(text.split("at most ")[1].split()[0]) < 0.1
    text = said(capsys, "bench", target, "--seconds", "0.05")
    assert text.startswith(f"weights in {precision} (lstm)\n")
    said(capsys, "convert", target, path, "--precision", "full")
    assert "for inference" not in said(capsys, "info", path)


def test_precisions_that_a_target_cannot_tell_are_refused(path, tmp_path, capsys):
    assert main(["convert", str(path), str(tmp_path / "b.onnx"), "--precision", "int8"]) == 1
    assert (
        "`--precision` is only for `.safetensors` files, received int8" in capsys.readouterr().err
    )
    ferrnn.Sequential([ferrnn.Input((3,)), layers.Dense(2)]).save(tmp_path / "d.safetensors")
    arguments = [tmp_path / "d.safetensors", tmp_path / "b.safetensors", "--precision", "int8"]
    assert main(["convert", *map(str, arguments)]) == 1
    assert "models with recurrent layers" in capsys.readouterr().err


TORCH = Path(__file__).parents[1] / "interop" / "data" / "torch"
LAYERS = ("rnn:return_sequences=false,kind=LSTM", "head", "act:kind=Tanh")


def state_dict():
    rng = np.random.default_rng(1)
    shapes = {"rnn.weight_ih_l0": (16, 3), "rnn.weight_hh_l0": (16, 4), "rnn.bias_ih_l0": (16,)}
    shapes |= {"rnn.bias_hh_l0": (16,), "head.weight": (2, 4), "head.bias": (2,)}
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


@pytest.mark.parametrize("name", ["b.keras", "b.h5", "b.onnx", "b.safetensors"])
def test_weights_of_pytorch_are_converted_to_every_format(name, tmp_path, capsys):
    numpy = pytest.importorskip("safetensors.numpy")
    if name in ("b.keras", "b.h5"):
        pytest.importorskip("h5py")
    path = tmp_path / "w.safetensors"
    numpy.save_file(state_dict(), path)
    assert main(["convert", str(path), str(tmp_path / name), "--layers", *LAYERS]) == 0
    told = capsys.readouterr().err
    assert ("considered legacy" in told) is (name == "b.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = Source(path, LAYERS).model()
    x = np.random.default_rng(2).normal(size=(3, 6, 3)).astype("float32")
    found = Source(tmp_path / name).model().predict_on_batch(x)
    np.testing.assert_allclose(found, source.predict_on_batch(x), rtol=1e-6)
    text = said(capsys, "verify", path, "--layers", *LAYERS, "--against", tmp_path / name)
    assert float(text.split("at most ")[1].split()[0]) < 2e-6


@pytest.mark.parametrize(
    ("file", "chain"),
    [
        ("lstm_3_layers.pt", []),
        ("legacy.pth", ["rnn", "hidden", "act:kind=ReLU", "head:kind=Linear"]),
        ("scripted.pt", ["embedding", "lstm", "norm", "head"]),
        ("lightning.pt", ["model.rnn", "model.hidden", "head:kind=Linear"]),
        ("lstm.pt", []),
    ],
)
def test_files_of_pytorch_are_converted(file, chain, tmp_path, capsys):
    options = ["--layers", *chain] if chain else []
    said(capsys, "convert", TORCH / file, tmp_path / "m.safetensors", *options)
    copy = tmp_path / "of_another_name.keras"
    copy.write_bytes((TORCH / file).read_bytes())
    text = said(capsys, "verify", copy, *options, "--against", tmp_path / "m.safetensors")
    assert "at most 0 " in text


def test_options_that_do_not_fit_are_named(path, tmp_path, capsys):
    for options, reason in [
        (["out.txt"], "OUT must end in one of .keras, .h5"),
        (["out.onnx", "--layers", "a"], "`--layers` is only for files of PyTorch"),
        (["out.onnx", "--keras", "2"], "`--keras` is only for `.h5` files"),
    ]:
        assert main(["convert", str(path), str(tmp_path / options[0]), *options[1:]]) == 1
        assert reason in capsys.readouterr().err
    assert main(["convert", str(TORCH / "lstm.pt"), "o.onnx", "--layers", "rnn:units"]) == 1
    assert "`--layers` must be names" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["m.safetensors"]


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


@pytest.mark.parametrize("name", ["m.weights.h5", "m.h5"])
def test_info_lists_weights_of_keras_alone(name, path, tmp_path, capsys):
    h5py = pytest.importorskip("h5py")
    model = ferrnn.load_model(path)
    if name == "m.h5":
        with pytest.warns(UserWarning, match="legacy"):
            model.save(tmp_path / name)
        with h5py.File(tmp_path / name, "a") as file:
            del file.attrs["model_config"]
    else:
        model.save_weights(tmp_path / name)
    text = said(capsys, "info", tmp_path / name)
    assert "weights alone, for `load_weights`" in text
    assert "(4, 16)" in text
    assert "(4, 2)" in text


def test_info_tells_what_a_graph_is(path, tmp_path, capsys):
    said(capsys, "convert", path, tmp_path / "m.onnx")
    text = said(capsys, "info", tmp_path / "m.onnx")
    assert "154 numbers in constants; nodes once they are folded: 1 Add, 1 Identity, 1 LSTM" in text
    assert "lstm" in text.split("154 numbers")[1]
    read = layers.Input((None, 3))
    forked = ferrnn.Model(read, layers.add([layers.GRU(3, return_sequences=True)(read), read]))
    forked.export(tmp_path / "forked.onnx")
    assert "not a chain of layers: the Add node" in said(capsys, "info", tmp_path / "forked.onnx")


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


def test_inputs_and_sources_that_are_none_are_named(path, tmp_path, capsys):
    junk = tmp_path / "junk.npy"
    for content in (b"junk", b"", b"PK\x03\x04junk"):
        junk.write_bytes(content)
        assert main(["verify", str(path), "--inputs", str(junk)]) == 1
        told = capsys.readouterr().err
        assert told.startswith("ferrnn verify: `--inputs` must be a .npy or .npz file of numbers")
        assert told.endswith(f"received {junk}\n")
    assert main(["verify", str(path), "--against", "tensorflow"]) == 1
    wanted = "`--against` must be float64, onnxruntime, keras, or an existing file"
    assert wanted in capsys.readouterr().err


def test_a_damaged_file_is_named_by_info(tmp_path, capsys):
    pytest.importorskip("h5py")
    for name in ("m.h5", "m.keras"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\njunk")
        assert main(["info", str(tmp_path / name)]) == 1
        assert f"`{tmp_path / name}`: " in capsys.readouterr().err


def test_info_tells_the_origin_of_what_it_cannot_open(tmp_path, capsys):
    pytest.importorskip("h5py")

    class NowhereRegistered(layers.Dense):
        pass

    ferrnn.Sequential([ferrnn.Input((3,)), NowhereRegistered(2)]).save(tmp_path / "own.keras")
    assert main(["info", str(tmp_path / "own.keras")]) == 1
    told = capsys.readouterr()
    assert "own.keras" in told.out
    assert "bytes, an archive of Keras 3" in told.out
    assert "the class 'NowhereRegistered' is not known" in told.err
