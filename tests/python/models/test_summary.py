"""`summary`: the table, with the lines that Keras prints."""

import re

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.models.summary import readable_size
from ferrnn.layers import GRU, LSTM, Dense


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def text_of(model, **options):
    parts = []
    model.summary(print_fn=parts.append, **options)
    return "".join(parts)


# What Keras 3.15.1 prints for this model at 80 columns.
EXPECTED = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ lstm (LSTM)                     │ (None, 6, 8)           │           384 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ gru (GRU)                       │ (None, 5)              │           225 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 1)              │             6 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 615 (2.40 KB)
 Trainable params: 615 (2.40 KB)
 Non-trainable params: 0 (0.00 B)
"""


def model():
    return keras.Sequential([keras.Input((6, 3)), LSTM(8, return_sequences=True), GRU(5), Dense(1)])


def test_is_what_keras_prints(capsys):
    model().summary()
    assert capsys.readouterr().out == EXPECTED
    assert text_of(keras.Sequential()).startswith('Model: "sequential_1"\n┏')


def test_counts_the_optimizer_once_it_is_built():
    made = model()
    made.compile("adam", loss="mse")
    assert text_of(made) == EXPECTED
    made.fit(np.ones((2, 6, 3)), np.ones(2), verbose=0)
    lines = text_of(made).splitlines()
    assert lines[-4].startswith(" Total params: 1,847 (7.2")
    assert lines[-1].startswith(" Optimizer params: 1,232 (4.8")


def test_a_model_that_is_not_built():
    lines = text_of(keras.Sequential([Dense(2)])).splitlines()
    assert lines[4] == (
        "│ dense (Dense)                   │ ?                      │   0 (unbuilt) │"
    )


def test_several_outputs_fill_several_lines():
    lines = text_of(
        keras.Sequential([keras.Input((6, 3)), LSTM(8, return_state=True)])
    ).splitlines()
    assert lines[4:6] == [
        "│ lstm (LSTM)                     │ [(None, 8), (None, 8), │           384 │",
        "│                                 │ (None, 8)]             │               │",
    ]


def test_nested_models_and_trainable_column():
    inner = keras.Sequential([keras.Input((6, 3)), LSTM(8)], name="inner")
    inner.trainable = False
    outer = keras.Sequential([inner, Dense(1)])
    plain = text_of(outer)
    assert "└ lstm" not in plain
    assert "inner (Sequential)" in plain
    full = text_of(outer, expand_nested=True, show_trainable=True)
    assert "   └ lstm (LSTM)" in full
    assert re.search(r"inner \(Sequential\).* N  +│", full)
    assert " Non-trainable params: 384 (1.50 KB)" in full


def test_some_layers_only():
    text = text_of(model(), layer_range=["gru", "den.*"])
    assert "lstm" not in text
    assert "gru" in text
    assert "dense" in text
    with pytest.raises(ValueError, match="names no layers"):
        text_of(model(), layer_range=["gru", "conv"])
    with pytest.raises(ValueError, match="two names"):
        text_of(model(), layer_range=["gru"])


def test_width_can_be_chosen():
    lines = text_of(model(), line_length=100).splitlines()
    assert {len(line) for line in lines[1:10]} == {100}
    with pytest.raises(ValueError, match="`line_length`"):
        text_of(model(), line_length=10)


def test_readable_sizes():
    assert [readable_size(size) for size in (0, 1023, 1024, 1536 * 1024, 2.0**50)] == [
        "0.00 B",
        "1023.00 B",
        "1.00 KB",
        "1.50 MB",
        "1.00 PB",
    ]
