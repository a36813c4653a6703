"""Exported models pass ONNX' checker and compute the same in ONNX Runtime."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers
from ferrnn.tree import flatten
from keras_models import MODELS
from onnx_session import session_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

REFUSED = {
    "stateful": r"is stateful.*`states=True`",
}


CELLS = {
    "IndRNN": layers.IndRNN,
    "CoupledLSTM": layers.CoupledLSTM,
    "MinimalGatedUnit": layers.MinimalGatedUnit,
    "ProjectedLSTM": lambda units, **options: layers.ProjectedLSTM(units, 3, **options),
    "PeepholeLSTM": layers.PeepholeLSTM,
    "LSTM": layers.LSTM,
    "GRU": layers.GRU,
    "GRU, reset before": lambda units, **options: layers.GRU(units, reset_after=False, **options),
    "SimpleRNN": layers.SimpleRNN,
}


class Own(ferrnn.layers.SimpleRNNCell):
    """A cell of a user's."""


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return model


def inputs_of(model, batch, time, seed=2):
    rng = np.random.default_rng(seed)

    def one(tensor):
        shape = [batch, *(size or time for size in tensor.shape[1:])]
        ids = tensor.shape[1:] == (None,)
        steps = rng.normal(size=shape)
        steps[0, -2:] = 0  # which a mask may hide
        return rng.integers(0, 4, size=shape) if ids else steps

    return [one(tensor).astype(tensor.dtype) for tensor in model.inputs]


def check(model, sizes=((3, 7), (2, 4)), tolerance=2e-6):
    content = ferrnn.to_onnx(model)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session, again = session_of(content), ferrnn.from_onnx(content)
    for batch, time in sizes:
        x = inputs_of(model, batch, time)
        named = {each.name: array for each, array in zip(session.get_inputs(), x, strict=True)}
        expected = flatten(model.predict_on_batch(x if len(x) > 1 else x[0]))
        for computed in (session.run(None, named), again.run(named).values()):
            for found, own in zip(computed, expected, strict=True):
                assert found.shape == own.shape
                np.testing.assert_allclose(found, own, rtol=0, atol=tolerance * abs(own).max())


@each_case("name", MODELS)
def test_models_compute_the_same_in_onnx_runtime(name):
    model = randomized(MODELS[name](ferrnn))
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]):
            ferrnn.to_onnx(model)
    else:
        check(model)


@each_case("merge", ["concat", "sum", "mul", "ave", None])
@each_case("sequences", [True, False])
def test_both_directions(merge, sequences):
    x = ferrnn.Input((None, 3))
    layer = layers.LSTM(4, return_sequences=sequences, return_state=True)
    check(randomized(ferrnn.Model(x, list(layers.Bidirectional(layer, merge_mode=merge)(x)))))


def two_ways(cell, *settings, **options):
    """A `Bidirectional` layer whose directions differ in what `settings` say."""
    ahead, back = (cell(4, return_state=True, **each) for each in settings)
    back.go_backwards = True
    return layers.Bidirectional(ahead, backward_layer=back, **options)


@pytest.mark.parametrize(
    ("layer", "operators"),
    [
        (two_ways(layers.GRU, {"activation": "elu"}, {"recurrent_activation": "hard_sigmoid"}), 1),
        (two_ways(layers.PeepholeLSTM, {}, {}, merge_mode="ave"), 1),
        (two_ways(layers.SimpleRNN, {"use_bias": False}, {}), 2),
        (two_ways(layers.LSTM, {"clip": 0.3}, {}, merge_mode=None), 2),
        (two_ways(layers.CoupledLSTM, {}, {"activation": "gelu"}), 2),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_directions_become_one_operator_if_they_are_alike(layer, operators):
    x = ferrnn.Input((None, 3))
    model = randomized(ferrnn.Model(x, list(layer(x))))
    check(model)
    nodes = onnx.load_from_string(ferrnn.to_onnx(model)).graph.node
    assert sum(node.op_type in ("LSTM", "GRU", "RNN", "Scan") for node in nodes) == operators


@each_case(
    "layer",
    [
        layers.PeepholeLSTM(4, return_sequences=True),
        layers.PeepholeLSTM(4, use_bias=False, go_backwards=True),
        layers.LSTM(4, activation="softsign", recurrent_activation="hard_sigmoid_keras2"),
        layers.GRU(4, activation="linear", recurrent_activation="sigmoid", reset_after=False),
        layers.SimpleRNN(4, activation="leaky_relu", go_backwards=True, return_sequences=True),
        layers.RNN([layers.GRUCell(4), layers.PeepholeLSTMCell(2)], return_state=True),
        layers.LSTM(4, clip=0.3, return_sequences=True),
        layers.PeepholeLSTM(4, clip=0.2, go_backwards=True),
        layers.GRU(4, clip=0.3, reset_after=False),
        layers.GRU(4, clip=0.3, return_sequences=True),
        layers.SimpleRNN(4, clip=0.25, return_sequences=True),
        layers.LayerNormalization(),
        layers.RMSNormalization(),
        layers.BatchNormalization(),
        layers.UpSampling1D(3),
        layers.ReLU(threshold=0.3, negative_slope=0.2, max_value=1.0),
        layers.Conv1D(4, 3, padding="causal", activation="mish", groups=1),
        layers.TimeDistributed(layers.Dense(4, "gelu")),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_alone(layer):
    x = ferrnn.Input((None, 3))
    y = layer(x)
    check(randomized(ferrnn.Model(x, list(y) if isinstance(y, tuple | list) else y)))


@each_case("cell", CELLS)
@each_case(
    "options",
    [
        {"return_sequences": True, "return_state": True, "activation": "tanh"},
        {"go_backwards": True, "return_sequences": True, "activation": "gelu"},
        {"activation": "sparsemax", "clip": 0.3, "use_bias": False},
    ],
)
def test_cells_and_activations_that_onnx_has_no_operator_for(cell, options):
    x = ferrnn.Input((None, 4))
    y = CELLS[cell](5, **options)(x)
    check(randomized(ferrnn.Model(x, list(y) if isinstance(y, tuple | list) else y)))


@each_case("name", [name for name in dir(ferrnn.activations) if name not in ("glu", "threshold")])
def test_activations(name):
    function = getattr(ferrnn.activations, name)
    if isinstance(function, ferrnn.activations.Activation):
        x = ferrnn.Input((None, 4))
        check(randomized(ferrnn.Model(x, layers.Activation(function)(x))))


MASKED = {
    "last": lambda: [layers.LSTM(5)],
    "all": lambda: [layers.GRU(5, return_sequences=True), layers.Dense(2)],
    "both": lambda: [
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(3), merge_mode="sum"),
    ],
    "stacked": lambda: [
        layers.RNN([layers.LSTMCell(3), layers.IndRNNCell(2)], return_sequences=True)
    ],
    "backwards": lambda: [layers.GRU(3, go_backwards=True, return_sequences=True)],
    "zeros": lambda: [
        layers.RNN(layers.LSTMCell(3), return_sequences=True, zero_output_for_mask=True)
    ],
    "means": lambda: [
        layers.LayerNormalization(), layers.Dropout(0.2), layers.GlobalAveragePooling1D(),
    ],
    "steps": lambda: [layers.TimeDistributed(layers.Dense(3)), layers.ProjectedLSTM(4, 2)],
    "lost": lambda: [layers.Conv1D(3, 2), layers.LSTM(2)],
    "nested": lambda: [
        ferrnn.Sequential([layers.GRU(3, return_sequences=True)]), layers.CoupledLSTM(2)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("first", ["ids", "values"])
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_masks_are_carried(first, name):
    rng = np.random.default_rng(3)
    if first == "ids":
        start = [ferrnn.Input((None,), dtype="int32"), layers.Embedding(9, 4, mask_zero=True)]
        x = rng.integers(1, 9, size=(4, 7)).astype("int32")
    else:
        start = [ferrnn.Input((None, 3)), layers.Masking(0.5)]
        x = rng.normal(size=(4, 7, 3)).astype("float32")
    x[0, 5:] = x[1, :3] = x[2, 2] = x[3] = 0 if first == "ids" else 0.5
    model = randomized(ferrnn.Sequential([*start, *MASKED[name]()]))
    content = ferrnn.to_onnx(model)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session, own = session_of(content), model.predict_on_batch(x)
    named = {session.get_inputs()[0].name: x}
    for found in (session.run(None, named)[0], ferrnn.from_onnx(content)(x)):
        np.testing.assert_allclose(found, own, rtol=0, atol=2e-6 * abs(own).max())


def test_masks_that_have_no_form_are_named():
    x = ferrnn.Input((None, 3))
    hidden = layers.Masking()(x)
    for layer, inputs in [
        (layers.Add(name="odd"), [hidden, hidden]),
        (layers.Attention(name="odd"), [hidden, hidden]),
        (layers.Softmax(name="odd"), hidden),
    ]:
        with pytest.raises(ValueError, match="layer 'odd' gets a mask, which cannot be written"):
            ferrnn.to_onnx(ferrnn.Model(x, layer(inputs)))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_categories(mode):
    x = ferrnn.Input((6,))
    intervals = layers.Discretization([-1.0, 0.1, 0.7], output_mode=mode)(x)
    outputs = [intervals]
    if mode != "int":
        ids = layers.Discretization([-0.5, 0.5])(x)
        outputs.append(layers.CategoryEncoding(3, mode)(ids))
    check(ferrnn.Model(x, outputs))


def test_operators_between_layers():
    x = ferrnn.Input((None, 3))
    y = layers.Dense(3)(x)
    z = (x + y) * 2.0 - 1.0 / (y * y + 3.0)
    outputs = [z[:, -1], z[:, 0], z[..., 1:], z[:, ::-1], z[:, -2:, 0]]
    check(randomized(ferrnn.Model(x, outputs)))


OPERATIONS = {
    "arithmetic": lambda x, o: [-x, abs(x), x**2.0, o.divide(x, 3.0), o.maximum(x, 0.2), 1.0 - x],
    "functions": lambda x, o: [
        *(getattr(o, name)(x) for name in ("exp", "square", "sign", "floor", "sin", "erf")),
        o.sqrt(o.abs(x)),
        o.log(o.square(x) + 1.0),
    ],
    "activations": lambda x, o: [
        *(getattr(o, name)(x) for name in ("relu", "relu6", "sigmoid", "silu", "softplus")),
        o.softmax(x),
        o.log_softmax(x, axis=1),
    ],
    "reductions": lambda x, o: [
        o.mean(x, axis=1), o.sum(x, axis=-1, keepdims=True), o.max(x, axis=(1, 2)),
        o.min(x, axis=2),
    ],
    "shapes": lambda x, o: [
        o.concatenate([x, x], axis=1), o.expand_dims(x, 1), o.transpose(x, (0, 2, 1)),
        o.squeeze(o.expand_dims(x, -1), -1), o.reshape(x, (-1, 4)),
        o.matmul(x, o.transpose(x, (0, 2, 1))),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_between_layers(name):
    x = ferrnn.Input((None, 4))
    y = layers.Dense(4)(x)
    check(randomized(ferrnn.Model(x, OPERATIONS[name](y, ferrnn.ops))))


def test_statistics_of_data_are_constants():
    scaled = layers.Normalization()
    scaled.adapt(np.random.default_rng(3).normal(3, 2, size=(20, 5, 3)))
    check(ferrnn.Sequential([ferrnn.Input((None, 3)), scaled, layers.GRU(2)]))


def test_states_are_carried_from_call_to_call():
    inner = ferrnn.Sequential([layers.GRU(3, return_sequences=True)], name="inner")
    model = ferrnn.Sequential([
        ferrnn.Input((None, 2)), layers.LSTM(4, return_sequences=True, name="first"), inner,
        layers.RNN([layers.LSTMCell(2), layers.ProjectedLSTMCell(4, 3)], return_sequences=True,
                   name="stack"),
    ])  # fmt: skip
    randomized(model)
    content = ferrnn.to_onnx(model, states=True)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = session_of(content)
    names = [each.name for each in session.get_inputs()][1:]
    gru = next(name for name in names if name.startswith("inner/"))
    assert names == ["first/h", "first/c", gru, "stack/0/h", "stack/0/c", "stack/1/h", "stack/1/c"]
    x = np.random.default_rng(4).normal(size=(3, 6, 2)).astype("float32")
    states = {
        each.name: np.zeros((3, each.shape[1]), "float32") for each in session.get_inputs()[1:]
    }
    parts = []
    for part in (x[:, :1], x[:, 1:4], x[:, 4:]):
        outputs, *ends = session.run(None, {session.get_inputs()[0].name: part, **states})
        parts.append(outputs)
        states = dict(zip(names, ends, strict=True))
    assert [each.name for each in session.get_outputs()][1:] == [f"{name}/next" for name in names]
    np.testing.assert_allclose(np.concatenate(parts, 1), model.predict_on_batch(x), atol=2e-6)


def test_ferrnn_opens_what_it_exports(tmp_path):
    model = randomized(MODELS["nested"](ferrnn))
    model.export(tmp_path / "m.onnx")
    x = inputs_of(model, 2, 5)[0]
    found = ferrnn.from_onnx(tmp_path / "m.onnx")(x)
    np.testing.assert_allclose(found, model.predict_on_batch(x), rtol=2e-6)


def test_what_is_refused(tmp_path):
    x = ferrnn.Input((None, 3))
    for model, reason in [
        (ferrnn.Model(x, ferrnn.ops.cumsum(x)), "the operation Cumsum"),
        (ferrnn.Model(x, x[:, None]), "an index must be made of numbers and slices"),
        (
            ferrnn.Model(x, layers.RNN(Own(3))(x)),
            "its cell is a Own; supported are CoupledLSTMCell, GRUCell",
        ),
        (ferrnn.Model(x, layers.Dense(3, np.cbrt)(x)), "the activation cbrt of layer"),
        (ferrnn.Model(x, layers.LSTM(3, activation=np.cbrt)(x)), "the activation cbrt of layer"),
        (ferrnn.Model(x, layers.Lambda(np.cbrt)(x)), "cannot be written to ONNX: it is Lambda"),
        (ferrnn.Model(x, layers.IntegerLookup(vocabulary=[1])(x)), "uses a vocabulary or hashes"),
        (ferrnn.Sequential([layers.Dense(3)]), "must be a Sequential or functional model"),
    ]:
        with pytest.raises(ValueError, match=reason):
            model.export(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="`format` of `export` must be 'onnx', received 'tf'"):
        model.export(tmp_path / "m.onnx", "tf")
    assert not list(tmp_path.iterdir())
