"""Files of PyTorch give PyTorch's numbers, and what cannot be read is refused with a sentence."""

import re

import numpy as np
import pytest

import ferrnn
import foreign
from each_case import each_case
from ferrnn._src.interop.torch.files import read_torch_file
from foreign import expect_close

CASES = foreign.names("torch")
READ = [name for name in CASES if not foreign.load("torch", name).about.get("refused")]
REFUSED = [
    name
    for name in CASES
    if foreign.load("torch", name).about.get("refused") and name != "whole_module"
]
RECURRENT = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
# What the file's tensors do not tell.
TOLD = (
    *("nonlinearity", "eps", "momentum", "stride", "padding", "dilation", "groups", "kernel_size"),
    *("num_groups", "p", "negative_slope", "alpha", "approximate", "dim", "min_val", "max_val"),
    "beta",
)


def chain(order):
    """The argument `layers` for the steps of a case."""
    layers = []
    for step in order:
        kind = step["kind"]
        if kind == "last_step":
            layers.append(ferrnn.layers.Lambda(lambda x: x[:, -1]))
        elif kind == "mean_over_time":
            layers.append(ferrnn.layers.GlobalAveragePooling1D())
        elif not kind.startswith("channels_"):
            told = {key: step[key] for key in TOLD if step.get(key) is not None}
            layers.append((step["name"], {"kind": kind, **told}))
    return layers


def batch_first(case, array):
    """The array with the batch before the time, as our layers take it."""
    about = case.about["order"][0]
    swapped = about["kind"] in RECURRENT and about.get("batch_first") is False
    return array.swapaxes(0, 1) if swapped else array


# What these cases have that no layer of ours has; the message says it.
WITHOUT_A_LAYER = {
    "activations_1": "alpha=0.7",
    "activations_2": "approximate='tanh'",
    "activations_3": "min_val=-0.7",
    "convolution": "strides > 1",
    "convolution_safetensors": "strides > 1",
}


@each_case("name", [name for name in READ if name not in WITHOUT_A_LAYER])
def test_a_file_gives_the_numbers_of_torch(name):
    case = foreign.load("torch", name)
    path = foreign.DATA / case.about["file"]
    model = ferrnn.from_torch(path, layers=chain(case.about["order"]))
    inputs = batch_first(case, case.series("input")[0])
    wanted = batch_first(case, case.series("output")[0])
    if case.about["order"][0]["kind"].endswith("Cell") and inputs.ndim == 2:
        inputs, wanted = inputs[:, None], wanted[:, None]
    expect_close(model.predict(inputs, verbose=0), wanted)


@pytest.mark.parametrize(("name", "reason"), WITHOUT_A_LAYER.items())
def test_a_setting_without_a_layer_is_named(name, reason):
    case = foreign.load("torch", name)
    with pytest.raises(ValueError, match=re.escape(reason)):
        ferrnn.from_torch(foreign.DATA / case.about["file"], layers=chain(case.about["order"]))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_of_known_layers_is_refused(name):
    case = foreign.load("torch", name)
    with pytest.raises(ValueError, match=r"`layers`|`source`|not allowed|not supported|model"):
        ferrnn.from_torch(foreign.DATA / case.about["file"], layers=["lstm"])


def test_a_module_that_was_pickled_whole_knows_its_chain():
    path = foreign.DATA / "torch" / "whole_module.pt"
    model = ferrnn.from_torch(path)
    modules = read_torch_file(path).state["_modules"]
    (one, a), (two, b) = (
        [modules[at].state["_parameters"][name] for name in ("weight", "bias")] for at in "02"
    )
    x = np.random.default_rng(6).normal(size=(5, 3)).astype("float32")
    expect_close(model.predict(x, verbose=0), np.tanh(x @ one.T + a) @ two.T + b)


def test_the_last_state_of_each_direction_is_that_of_torch():
    case = foreign.load("torch", "lstm_bidirectional")
    model = ferrnn.from_torch(
        foreign.DATA / case.about["file"], layers=[("", {"return_sequences": False})]
    )
    h = case.arrays["final_0"]  # [layers * directions, batch, units]
    wanted = np.concatenate([h[-2], h[-1]], axis=-1)
    expect_close(model.predict(batch_first(case, case.series("input")[0]), verbose=0), wanted)


def state(rng):
    """A state dict of a GRU and a head."""
    shapes = {
        "net.rnn.weight_ih_l0": (12, 3),
        "net.rnn.weight_hh_l0": (12, 4),
        "net.rnn.bias_ih_l0": (12,),
        "net.rnn.bias_hh_l0": (12,),
        "net.head.weight": (2, 4),
        "net.head.bias": (2,),
    }
    return {key: rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}


class TestChains:
    def test_without_an_order_the_error_lists_what_was_found(self):
        with pytest.raises(ValueError, match="`layers` is required") as error:
            ferrnn.from_torch(state(np.random.default_rng(1)))
        assert "net.rnn: module with weight_ih_l0 (12, 3)" in str(error.value)
        assert "net.head: module with weight (2, 4), bias (2,)" in str(error.value)

    def test_a_name_may_be_the_end_of_a_longer_one(self):
        weights = state(np.random.default_rng(2))
        model = ferrnn.from_torch(weights, layers=["rnn", "net.head"])
        assert model.predict(np.ones((1, 5, 3)), verbose=0).shape == (1, 5, 2)

    @each_case(
        ("layers", "error", "message"),
        [
            (["lstm"], ValueError, "no module named 'lstm'"),
            ("rnn", TypeError, "must be a list"),
            ([3], TypeError, "must hold names"),
            ([("rnn", {"kind": "Transformer"})], ValueError, "Transformer is not supported"),
            (["head", "rnn"], ValueError, "the shapes .* at this place in the chain"),
            (["net"], ValueError, "its class cannot be determined"),
        ],
    )
    def test_a_wrong_chain_is_named(self, layers, error, message):
        with pytest.raises(error, match=message):
            ferrnn.from_torch(state(np.random.default_rng(3)), layers=layers)

    def test_a_gate_that_is_cut_off_is_named(self):
        weights = state(np.random.default_rng(4))
        weights["net.rnn.weight_ih_l0"] = weights["net.rnn.weight_ih_l0"][:9]
        with pytest.raises(ValueError, match=r"do not fit: weight_ih_l0 \(9, 3\)"):
            ferrnn.from_torch(weights, layers=["rnn"])

    def test_a_loaded_model_trains_and_streams(self):
        model = ferrnn.from_torch(
            state(np.random.default_rng(5)), layers=[("rnn", {"return_sequences": False}), "head"]
        )
        model.compile("adam", "mse")
        x = np.random.default_rng(6).normal(size=(4, 6, 3)).astype("float32")
        history = model.fit(x, np.ones((4, 2)), epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0]
        stream = model.stream()
        steps = [stream(step).copy() for step in x[0]]
        np.testing.assert_array_equal(steps[-1], model.predict(x[:1], verbose=0)[0])
