"""State dicts and sources for PyTorch: `from_torch` gives the model back from them."""

import ast

import numpy as np
import pytest

import ferrnn
from ferrnn import layers

MODELS = {
    "forecaster": (
        [
            ferrnn.Input((None, 3)),
            layers.LSTM(5, return_sequences=True, name="lstm"),
            layers.LSTM(4, use_bias=False, name="second"),
            layers.Dense(2, name="head"),
        ],
        ["lstm", ("second", {"return_sequences": False}), "head"],
    ),
    "tagger": (
        [
            ferrnn.Input((None,), dtype="int32"),
            layers.Embedding(11, 6, name="words"),
            layers.Bidirectional(layers.GRU(5, return_sequences=True), name="both"),
            layers.LayerNormalization(epsilon=1e-5, name="norm"),
            layers.Dense(3, use_bias=False, name="tags"),
        ],
        [
            ("words", {"kind": "Embedding"}),
            "both",
            "norm",
            ("tags", {"kind": "Linear"}),
        ],
    ),
    "bidirectional last": (
        [
            ferrnn.Input((None, 3)),
            layers.Bidirectional(layers.SimpleRNN(4, activation="relu"), name="both"),
        ],
        [("both", {"nonlinearity": "relu", "return_sequences": False})],
    ),
    "projected": (
        [
            ferrnn.Input((None, 3)),
            layers.ProjectedLSTM(5, 2, return_sequences=True, name="first"),
            layers.Bidirectional(layers.ProjectedLSTM(4, 3), name="both"),
        ],
        ["first", ("both", {"return_sequences": False})],
    ),
    "convolution": (
        [
            ferrnn.Input((9, 3)),
            layers.Conv1D(4, 3, strides=2, name="conv"),
            layers.BatchNormalization(epsilon=1e-5, name="norm"),
            layers.GRU(4, name="gru"),
        ],
        [("conv", {"stride": 2}), "norm", ("gru", {"return_sequences": False})],
    ),
}


def randomized(model):
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("name", MODELS)
def test_from_torch_gives_the_model_back(name):
    chain, order = MODELS[name]
    model = randomized(ferrnn.Sequential(chain))
    made = ferrnn.to_torch(model)
    ast.parse(made.code)
    again = ferrnn.from_torch(made.state, layers=order)
    shape = model.input_shape[1:]
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4, *(size or 7 for size in shape)))
    x = rng.integers(11, size=(4, 7)) if shape == (None,) else x.astype("float32")
    np.testing.assert_allclose(again.predict_on_batch(x), model.predict_on_batch(x), rtol=2e-6)


def test_names_of_modules_are_those_of_python():
    model = randomized(
        ferrnn.Sequential([ferrnn.Input((3,)), layers.Dense(2, name="1-st"), layers.Dense(2)])
    )
    names = {name.split(".")[0] for name in ferrnn.to_torch(model).state}
    assert "layer_1_st" in names
    assert all(name.isidentifier() for name in names)


def test_what_is_refused():
    x = ferrnn.Input((None, 3))
    for outputs, reason in [
        (layers.GRU(3, reset_after=False)(x), r"layer 'gru\w*' cannot be converted to PyTorch"),
        (layers.LSTM(3, clip=2.0)(x), r"layer 'lstm\w*' cannot be converted to PyTorch"),
        (layers.ProjectedLSTM(3, 3)(x), "a projection must have fewer units"),
        (layers.LSTM(3, activation="relu")(x), r"layer 'lstm\w*' cannot be converted to PyTorch"),
        (layers.Masking()(x), "it is a Masking"),
        (layers.Dense(3, "squareplus")(x), "the activation .squareplus."),
        (layers.Add()([x, layers.Dense(3)(x)]), "the model must be a chain"),
        (
            layers.Bidirectional(layers.LSTM(3), merge_mode=None)(x)[0],
            "must have the same settings",
        ),
    ]:
        with pytest.raises(ValueError, match=reason):
            ferrnn.to_torch(ferrnn.Model(x, outputs))
