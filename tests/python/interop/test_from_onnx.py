"""ONNX files give ONNX Runtime's numbers, and what is not supported is named."""

import subprocess
import sys

import numpy as np
import pytest

import ferrnn
import foreign
from each_case import each_case
from ferrnn._src.interop.onnx.recurrent import Recurrent
from foreign import expect_close
from onnx_session import session_of

CASES = [
    (maker, name, foreign.load(maker, name).about)
    for maker in ("onnx", "onnx_exports", "tf2onnx")
    for name in foreign.names(maker)
]
READ = [(maker, name) for maker, name, about in CASES if not about.get("refused")]
# Weights that come with each call are slow, and right.
REFUSED = [
    (maker, name)
    for maker, name, about in CASES
    if about.get("refused") and name not in ("weights_given", "loop")
]


@pytest.mark.filterwarnings("ignore:.*linear_before_reset")
@each_case(("maker", "name"), READ)
def test_a_file_gives_the_numbers_of_onnx_runtime(maker, name):
    case = foreign.load(maker, name)
    model = ferrnn.from_onnx(foreign.path(case.about["file"]))
    inputs = dict(zip(case.about["inputs"], case.series("input"), strict=True))
    found = model.run(inputs)
    for output, wanted in zip(case.about["outputs"], case.series("output"), strict=True):
        assert found[output].dtype == wanted.dtype, output
        expect_close(found[output], wanted)
    for output, again in model.run(inputs).items():  # by the program that the first call became
        np.testing.assert_array_equal(again, found[output])


ENGINE = [
    "lstm_peepholes", "lstm_peepholes_no_bias", "lstm_input_forget", "gru_activations",
    "gru_linear_before_reset_0", "rnn_alpha_beta", "lstm_clip", "rnn_clip",
]  # fmt: skip
NUMPY = ["lstm_input_forget_peepholes", "lstm_activations", "rnn_default_alpha"]


@pytest.mark.parametrize("name", ENGINE + NUMPY)
def test_the_engine_runs_the_cells_that_it_has(name, monkeypatch):
    case = foreign.load("onnx", name)
    stepwise = []
    steps = Recurrent._steps
    monkeypatch.setattr(
        Recurrent, "_steps", lambda self, at, *args: stepwise.append(at) or steps(self, at, *args)
    )
    ferrnn.from_onnx(foreign.DATA / case.about["file"])(*case.series("input"))
    assert bool(stepwise) == (name in NUMPY or name == "rnn_alpha_beta")


@each_case(("maker", "name"), REFUSED)
def test_what_is_not_supported_is_named(maker, name):
    case = foreign.load(maker, name)
    with pytest.raises(
        ValueError, match=r"\.onnx`: .*(not supported|must have|another file|damaged|types?)"
    ):
        ferrnn.from_onnx(foreign.DATA / case.about["file"])


def test_a_loop_carries_its_state():
    model = ferrnn.from_onnx(foreign.DATA / "onnx" / "loop.onnx")
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32")
    expect_close(model(x), np.tanh(np.tanh(np.tanh(np.tanh(x.astype("f8"))))))
    expect_close(model(x[:, :1]), np.tanh(np.tanh(np.tanh(np.tanh(x[:, :1].astype("f8"))))))


class TestErrors:
    def test_a_gru_that_torch_wrote_wrong_is_computed_as_written_with_a_warning(self):
        path = foreign.DATA / "onnx" / "gru_of_torch_without_reset.onnx"
        with pytest.warns(UserWarning, match=r"linear_before_reset=0.*as written"):
            ferrnn.from_onnx(path)

    def test_bytes_and_paths_are_taken_and_nothing_else(self):
        path = foreign.DATA / "onnx" / "lstm_initial.onnx"
        assert ferrnn.from_onnx(path.read_bytes()).inputs == ferrnn.from_onnx(str(path)).inputs
        with pytest.raises(TypeError, match="`source` must be a path, bytes or"):
            ferrnn.from_onnx(3)

    def test_inputs_that_do_not_fit_are_named(self):
        model = ferrnn.from_onnx(foreign.DATA / "onnx" / "lstm_no_bias.onnx")
        name = model.inputs[0].name
        with pytest.raises(ValueError, match=r"must be .* received"):
            model(nothing=np.zeros(1))
        with pytest.raises(ValueError, match=f"input '{name}' must have the shape"):
            model(np.zeros((1, 1)))
        with pytest.raises(ValueError, match="received 9"):
            model(*[np.zeros(1)] * 9)

    def test_a_node_that_fails_is_named_in_every_call(self):
        case = foreign.load("onnx", "classifier")
        model = ferrnn.from_onnx(foreign.DATA / case.about["file"])
        ids = case.series("input")[0]
        model(ids)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"Gather node .* cannot take inputs"):
                model(np.full_like(ids, 10**6))

    @pytest.mark.parametrize("name", ["lstm_peepholes", "classifier", "if_constant"])
    def test_a_shortened_file_is_an_error_or_a_smaller_model(self, name, tmp_path):
        whole = (foreign.DATA / "onnx" / f"{name}.onnx").read_bytes()
        for part in range(50):
            with pytest.raises(
                ValueError, match=r"damaged|ONNX|not supported|not computed by any node|in"
            ):
                ferrnn.from_onnx(whole[: len(whole) * part // 50])(np.zeros(1))

    def test_flipped_bytes_are_errors_or_other_numbers(self):
        whole = (foreign.DATA / "onnx" / "lstm_everything.onnx").read_bytes()
        rng = np.random.default_rng(1)
        for at in rng.integers(0, len(whole), 300):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.integers(8)
            try:
                ferrnn.from_onnx(bytes(damaged))
            except ValueError as error:
                assert str(error)  # noqa: PT017 - or it is read


def test_the_tests_of_onnx_itself_pass():
    """Their modules make their cases when they are imported, once in a process."""
    pytest.importorskip("onnx.backend.test.case.node")
    code = (
        "import numpy, ferrnn\n"
        "from onnx.backend.test.case import node\n"
        "from onnx.backend.test.case.node import gru, lstm, rnn\n"
        "for case in node._NodeTestCases:\n"
        "    model = ferrnn.from_onnx(case.model)\n"
        "    for inputs, outputs in case.data_sets:\n"
        "        found = model(*inputs)\n"
        "        found = found if isinstance(found, tuple) else (found,)\n"
        "        for one, wanted in zip(found, outputs, strict=True):\n"
        "            numpy.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-6)\n"
        "    print(case.model.graph.node[0].op_type, case.name)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    passed = [line.split() for line in run.stdout.splitlines()]
    kinds = [kind for kind, _ in passed]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"LSTM": 6, "GRU": 6, "RNN": 6}
    assert sum("batchwise" in name for _, name in passed) == 3


@pytest.mark.parametrize("name", ["torch_step_scripted", "torch_step_dynamo"])
def test_a_cell_that_was_written_as_its_arithmetic_runs_in_the_engine(name):
    case = foreign.load("onnx_exports", name)
    model = ferrnn.from_onnx(foreign.path(case.about["file"]))
    operators = [step.node.operator for step in model._programs.plan.steps]
    assert operators.count("LSTMCell") == 1
    assert not {"Split", "Tanh", "Sigmoid"} & set(operators)


CHANGES = {
    "a sigmoid in place of the tanh": ("Tanh", 0, "Sigmoid"),
    "a difference of the states": ("Add", -1, "Sub"),
    "another function of the state": ("Tanh", 1, "Relu"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_almost_a_cell_is_computed_as_written(change):
    onnx = pytest.importorskip("onnx")
    case = foreign.load("onnx_exports", "torch_step_dynamo")
    made = onnx.load(foreign.path(case.about["file"]))
    kind, at, new = CHANGES[change]
    node = [node for node in made.graph.node if node.op_type == kind][at]
    node.op_type = new
    model = ferrnn.from_onnx(made)
    assert "LSTMCell" not in [step.node.operator for step in model._programs.plan.steps]
    session = session_of(made.SerializeToString())
    inputs = dict(zip(case.about["inputs"], case.series("input"), strict=True))
    for found, wanted in zip(model(**inputs), session.run(None, inputs), strict=True):
        expect_close(found, wanted)


@pytest.mark.parametrize("kind", ["L1", "L2", "LogSum", "LogSumExp", "SumSquare", "Sum"])
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions_are_those_of_onnx_runtime(kind, keep):
    onnx = pytest.importorskip("onnx")
    value, float_ = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    node = onnx.helper.make_node(f"Reduce{kind}", ["x", "axes"], ["y"], keepdims=keep)
    graph = onnx.helper.make_graph(
        [node],
        "reduction",
        [value("x", float_, [None] * 3)],
        [value("y", float_, None)],
        [onnx.numpy_helper.from_array(np.array([0, 2]), "axes")],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    x = np.random.default_rng(1).uniform(0.1, 90, (4, 3, 5)).astype("float32")
    session = session_of(made.SerializeToString())
    expect_close(ferrnn.from_onnx(made)(x), session.run(None, {"x": x})[0])


@pytest.mark.parametrize("kind", [ferrnn.layers.LSTM, ferrnn.layers.GRU, ferrnn.layers.SimpleRNN])
def test_a_clip_comes_back_as_that_of_a_layer(kind, tmp_path):
    layer = kind(4, clip=0.25, return_sequences=True)
    model = ferrnn.Sequential([ferrnn.Input((None, 3)), layer])
    model.export(tmp_path / "m.onnx")
    again = ferrnn.from_onnx(tmp_path / "m.onnx").to_layers()
    assert [each.clip for each in again.layers if isinstance(each, kind)] == [0.25]
    x = np.random.default_rng(3).normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_allclose(again(x), model(x), atol=1e-6)
