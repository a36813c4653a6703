"""Graphs of ONNX compared node by node, with float64 and with ONNX Runtime."""

from pathlib import Path

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers as L  # noqa: N812 - there are many
from ferrnn._src.command.arguments import main
from ferrnn._src.command.inputs import random_inputs
from ferrnn._src.interop.onnx.verifying import in_float64
from ferrnn._src.interop.onnx.writing import Builder

DATA = Path(__file__).parent / "data" / "onnx"
GRAPHS = [
    "torch_tagger_dynamo",
    "torch_packed_scripted",
    "torch_scaling_dynamo",
    "torch_step_dynamo",
    "torch_convolution_scripted",
    "if_on_input",
    "lstm_peepholes",
    "rnn_final_only",
    "gru_lengths",
]
RUNNERS = ["float64", "onnxruntime"]


def exported():
    """A graph with a Scan, and two branches."""
    rng = np.random.default_rng(4)
    x = ferrnn.Input((None, 3))
    both = L.Concatenate()([L.ProjectedLSTM(5, 2, return_sequences=True)(x), L.Dense(2)(x)])
    model = ferrnn.Model(x, L.GRU(4)(L.Conv1D(6, 3, padding="same")(both)))
    model.set_weights([0.4 * rng.normal(size=w.shape) for w in model.weights])
    return ferrnn.from_onnx(ferrnn.to_onnx(model)), model


def other(name):
    """Skips without what the comparison needs."""
    if name == "onnxruntime":
        pytest.importorskip("onnxruntime")
    return name


@each_case("against", RUNNERS)
@each_case("name", GRAPHS)
def test_every_node_agrees(name, against):
    model = ferrnn.from_onnx(DATA / f"{name}.onnx")
    report = ferrnn.verify(model, random_inputs(model), other(against))
    assert report.largest < 2e-6
    last = model.outputs[0].name
    assert any(last in node.outputs for node in model.graph.nodes)
    assert len(report.layers) > 1 or len(model.graph.nodes) == 1


@pytest.mark.parametrize("against", RUNNERS)
def test_a_scan_and_branches_agree(against):
    graph, model = exported()
    x = np.random.default_rng(5).normal(size=(2, 6, 3)).astype("float32")
    report = ferrnn.verify(graph, x, other(against))
    names = [each.layer.split()[0] for each in report.layers]
    assert {"Scan", "Concat", "Conv", "GRU"} <= set(names)
    assert 0 < report.largest < 2e-6
    assert ferrnn.verify(graph, x, model).largest < 2e-6
    assert ferrnn.verify(graph, x, graph).largest == 0


def test_float64_runs_neither_products_nor_cells_in_the_engine(monkeypatch):
    graph, _ = exported()
    x = np.random.default_rng(5).normal(size=(2, 6, 3)).astype("float32")
    expected = graph(x)

    def refused(*args, **options):
        raise AssertionError("the engine")

    for room in ("recurrent.rnn_forward", "products.dense_forward", "quick.dense_forward"):
        monkeypatch.setattr(f"ferrnn._src.interop.onnx.{room}", refused)
    found = in_float64(graph, x)
    (outputs,) = list(found.values())[-1]
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_a_node_that_differs_is_named(monkeypatch):
    graph, _ = exported()
    x = np.random.default_rng(5).normal(size=(2, 6, 3)).astype("float32")
    monkeypatch.setattr(
        "ferrnn._src.interop.onnx.recurrent.sigmoid", lambda x: 0.9 / (1 + np.exp(-x))
    )
    report = ferrnn.verify(graph, x)
    wrong = [each.layer for each in report.layers if each.largest > 1e-3]
    assert wrong[0].startswith("GRU ")


def test_constants_of_every_form_are_doubled():
    b = Builder("float32")
    x = b.input("x", "float32", ("batch", 3))
    third = b.op("Constant", value_float=1 / 3)
    row = b.op("Constant", value_floats=[0.1, 0.2, 0.3])
    cast = b.op("Cast", b.op("Cast", x, to=6), to=1)
    shape = b.op("Shape", x)
    zeros = b.op("ConstantOfShape", shape)
    made = b.op("Add", b.op("Mul", b.op("Add", cast, third), row), zeros)
    b.output(made, "y", "float32", ("batch", 3))
    model = ferrnn.from_onnx(b.model("graph", "test", "1"))
    report = ferrnn.verify(model, np.array([[1.5, -2.5, 7.0]], "float32"))
    assert report.largest < 1e-7


def test_from_onnx_prints_the_differences(capsys):
    x = np.zeros((2, 3), "float32")
    path = DATA / "torch_step_dynamo.onnx"
    given = random_inputs(ferrnn.from_onnx(path))
    ferrnn.from_onnx(path, verify=given)
    assert "against the same graph in float64: at most" in capsys.readouterr().out
    with pytest.raises(ValueError, match="`against` must be one of"):
        ferrnn.from_onnx(path, verify=given, against="tensorflow")
    with pytest.raises(ValueError, match="`inputs` must be"):
        ferrnn.from_onnx(path, verify=x)
    with pytest.raises(ValueError, match="as many outputs as the model"):
        ferrnn.from_onnx(path, verify=given, against=lambda x: [])


def test_the_command_verifies_and_times_what_is_no_chain(tmp_path, capsys):
    path = DATA / "torch_gru_states_scripted.onnx"
    assert main(["verify", str(path), "--against", "float64"]) == 0
    assert "GRU /rnn/GRU_1" in capsys.readouterr().out
    model = ferrnn.from_onnx(path)
    np.savez(tmp_path / "x.npz", **random_inputs(model, 3))
    assert main(["verify", str(path), "--inputs", str(tmp_path / "x.npz")]) == 0
    text = capsys.readouterr().out
    assert float(text.split("at most ")[1].split()[0]) < 2e-6
    assert main(["bench", str(path), "--seconds", "0.1"]) == 0
    text = capsys.readouterr().out
    assert "call [32,32,4]" in text
    assert "one step of a stream" in text


def test_inputs_that_must_be_chosen_are_asked_for(tmp_path, capsys):
    b = Builder("float32")
    x = b.input("x", "float32", ("batch", "time"))
    b.output(b.op("Reshape", x, b.integers(-1, 7)), "y", "float32", ("rows", 7))
    path = tmp_path / "m.onnx"
    path.write_bytes(b.model("graph", "test", "1"))
    for command in ("verify", "bench"):
        assert main([command, str(path)]) == 1
        told = capsys.readouterr().err
        assert "does not take random inputs: the Reshape node 'reshape'" in told
        assert "--inputs x.npz`: x ('batch', 'time')" in told
