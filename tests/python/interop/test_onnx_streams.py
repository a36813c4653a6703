"""ONNX models one step a call, and chains of layers that train on."""

import numpy as np
import pytest

import ferrnn
import foreign
import others
from ferrnn.models import Stream
from foreign import expect_close

# Where the batch stands in the file's inputs and outputs.
CHAINS = {
    "onnx/classifier": (0, 0), "onnx/weights_in_graph": (1, 1), "onnx/if_constant": (1, 1),
    "onnx/gru_final_only": (1, 1), "onnx/lstm_layout_1": (0, 0), "onnx/gru_bidirectional": (1, 2),
    "onnx/lstm_no_bias": (1, 2), "onnx_exports/torch_lstm_deep_scripted": (0, 0),
    "onnx_exports/torch_gru_deep_dynamo": (0, 0), "onnx_exports/torch_tagger_dynamo": (0, 0),
    "onnx_exports/torch_rnn_relu_scripted": (1, 1),
    "onnx_exports/torch_forecaster_scripted": (0, 0),
}  # fmt: skip


def opened(name):
    case = foreign.load(*name.split("/"))
    return case, ferrnn.from_onnx(foreign.DATA / case.about["file"])


def batch_first(array, batch):
    """[batch, time, ...]; directions beside the features."""
    if batch == 2:  # [time, directions, batch, units]
        moved = array.transpose(2, 0, 1, 3)
        return moved.reshape(*moved.shape[:2], -1)
    moved = array.swapaxes(0, 1) if batch == 1 and array.ndim > 2 else array
    return moved.reshape(*moved.shape[:2], -1) if moved.ndim == 4 else moved


@pytest.mark.filterwarnings("ignore:.*linear_before_reset")
@pytest.mark.parametrize(("name", "batch"), CHAINS.items())
def test_a_chain_becomes_layers_with_its_numbers(name, batch):
    case, model = opened(name)
    x, wanted = case.series("input")[0], case.series("output")[0]
    if name == "onnx/gru_final_only":  # [directions, batch, units]
        wanted = np.concatenate(list(wanted), axis=-1)
    else:
        wanted = batch_first(wanted, batch[1])
    layers = model.to_layers()
    found = layers.predict(batch_first(x, batch[0]), verbose=0)
    expect_close(found, wanted.reshape(found.shape))


def test_a_chain_trains_on():
    _, model = opened("onnx/if_constant")
    layers = model.to_layers()
    layers.compile("adam", "mse")
    x = np.random.default_rng(1).normal(size=(8, 6, 4)).astype("float32")
    shape = layers.predict(x, verbose=0).shape
    losses = layers.fit(x, np.full(shape, 0.3), epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("onnx/lstm_reverse", "its outputs are those of a node that runs backwards"),
        ("onnx/reducing", "ReduceMean node 'n_ReduceMean': it is not a layer"),
        ("onnx/if_on_input", "ReduceSum node 'n_ReduceSum_22': it is not a layer"),
        ("onnx_exports/torch_packed_scripted", "it has 2 inputs"),
    ],
)
def test_what_is_no_chain_is_named(name, reason):
    with pytest.raises(ValueError, match=f"not a chain of layers: .*{reason}"):
        opened(name)[1].to_layers()


@pytest.mark.parametrize("name", ["onnx/weights_in_graph", "onnx_exports/torch_lstm_scripted"])
def test_a_chain_streams_in_the_engine(name):
    case, model = opened(name)
    x, wanted = (each.swapaxes(0, 1) for each in (case.series(s)[0] for s in ("input", "output")))
    stream = model.stream(streams=len(x))
    assert type(stream) is Stream
    for t in range(x.shape[1]):
        expect_close(stream(x[:, t]), wanted[:, t])


@pytest.mark.parametrize("kind", ["scripted", "dynamo"])
@pytest.mark.parametrize("name", ["lstm_states", "gru_states"])
def test_states_are_carried_from_step_to_step(name, kind):
    case, model = opened(f"onnx_exports/torch_{name}_{kind}")
    x, *states = case.series("input")
    wanted, *finals = case.series("output")
    stream = model.stream(streams=len(x))
    stream.state = dict(zip(stream.states, states, strict=True))
    halfway = None
    for t in range(x.shape[1]):
        expect_close(stream(x[:, t : t + 1]), wanted[:, t : t + 1])
        halfway = stream.copy() if t == 1 else halfway
    for found, final in zip(stream.state.values(), finals, strict=True):
        expect_close(found, final)
    expect_close(halfway(x[:, 2:3]), wanted[:, 2:3])
    stream.reset()
    zeros = [np.zeros_like(state) for state in states]
    np.testing.assert_array_equal(stream(x[:, :1]), model(x[:, :1], *zeros)[0])


class TestStates:
    def test_states_may_be_said(self):
        _, model = opened("onnx_exports/torch_step_dynamo")
        pairs = {"x_1": "mul_79", "x_2": "add_38"}
        x = np.random.default_rng(2).normal(size=(4, 3, 4)).astype("float32")
        said, found = model.stream(3, states=pairs), model.stream(3)
        assert said.states == found.states == pairs
        for step in x:
            np.testing.assert_array_equal(said(step), found(step))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"states": {"x_1": "nothing"}}, "`states` must map inputs"),
            ({"rate": 3}, r"must name inputs of the model.*\['rate'\]"),
            ({"initial": {"x_9": 1}}, "`initial` must have names of states"),
        ],
    )
    def test_names_that_are_not_there_are_errors(self, options, message):
        _, model = opened("onnx_exports/torch_step_dynamo")
        with pytest.raises(ValueError, match=message):
            model.stream(**options)

    def test_a_wrong_call_or_state_is_named(self):
        stream = opened("onnx_exports/torch_step_dynamo")[1].stream()
        with pytest.raises(ValueError, match="takes the 1 inputs"):
            stream(1, 2)
        with pytest.raises(ValueError, match="`inputs` must be"):
            stream()
        with pytest.raises(ValueError, match=r"`state` must have the names"):
            stream.state = {"x_1": np.zeros((1, 5))}
        with pytest.raises(ValueError, match=r"`state\['x_2'\]` must have the shape \(1, 5\)"):
            stream.state = {"x_1": np.zeros((1, 5)), "x_2": np.zeros((2, 5))}

    def test_what_is_written_to_an_output_does_not_change_the_state(self):
        onnx = pytest.importorskip("onnx")
        value, float_ = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
        nodes = [
            onnx.helper.make_node("Add", ["x", "sum"], ["next_sum"]),
            onnx.helper.make_node("Identity", ["next_sum"], ["y"]),
        ]
        values = [value(name, float_, [2]) for name in ("x", "sum", "y", "next_sum")]
        graph = onnx.helper.make_graph(nodes, "sums", values[:2], values[2:])
        stream = ferrnn.from_onnx(onnx.helper.make_model(graph)).stream()
        assert stream.states == {"sum": "next_sum"}
        for step in range(1, 4):
            y = stream(np.ones(2, "float32"))
            np.testing.assert_array_equal(y, step)
            y[:] = 100

    def test_a_graph_without_states_is_an_error_that_lists_what_there_is(self):
        with pytest.raises(ValueError, match="no input is a state that an output updates"):
            opened("onnx_exports/torch_packed_scripted")[1].stream()


@pytest.mark.skipif(not others.MODELS.is_dir(), reason=others.ABSENT)
@pytest.mark.parametrize(
    ("file", "states", "settled"),
    [
        ("snakers4+silero-vad/silero_vad_16k_op15", {"state": "stateN"}, {"sr": 16000}),
        ("snakers4+silero-vad/silero_vad_op18_ifless", {"state": "stateN"}, {"sr": 16000}),
        ("breizhn+DTLN/model_1", {"input_3": "tf_op_layer_stack_2"}, {}),
        ("breizhn+DTLN/model_2", {"input_5": "tf_op_layer_stack_5"}, {}),
    ],
)
def test_models_of_others_stream(file, states, settled):
    model = ferrnn.from_onnx(others.MODELS / f"{file}.onnx")
    stream = model.stream(**settled)
    assert stream.states == states
    ((state, after),) = states.items()
    x = next(value for value in model.inputs if value.name not in {state, *settled})
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in x.shape]
    shape[-1] = 576 if settled else shape[-1]
    now = stream.state[state]
    for step in np.random.default_rng(3).normal(size=(5, *shape)).astype("float32"):
        found = model.run({x.name: step, state: now, **settled})
        now = found[after]
        np.testing.assert_array_equal(stream(step), found[stream.outputs[0]])


def test_a_model_with_branches_streams_through_onnx():
    x = ferrnn.Input((None, 3))
    one = ferrnn.layers.LSTM(4, return_sequences=True, name="one")(x)
    two = ferrnn.layers.IndRNN(3, return_sequences=True, name="two")(x)
    joined = ferrnn.layers.Concatenate()([one, two, x])
    model = ferrnn.Model(x, [ferrnn.layers.Dense(2)(joined), two + x])
    with pytest.raises(ValueError, match=r"layer '\w+' .*`from_onnx\(to_onnx\(model, states=True"):
        model.stream()
    stream = ferrnn.from_onnx(ferrnn.to_onnx(model, states=True)).stream(streams=2)
    assert stream.states == {"one/h": "one/h/next", "one/c": "one/c/next", "two/h": "two/h/next"}
    given = np.random.default_rng(5).normal(size=(2, 6, 3)).astype("float32")
    parts = [stream(given[:, t : t + 1]) for t in range(6)]
    for at, whole in enumerate(model.predict_on_batch(given)):
        expect_close(np.concatenate([part[at] for part in parts], axis=1), whole)
