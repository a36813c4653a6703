"""`summary`: the table, with the lines that Keras prints."""

import re
from xml.etree import ElementTree as ET

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
    with pytest.raises(ValueError, match="must match layers"):
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


def test_operators_of_a_chain_have_lines():
    inputs = keras.Input((4,))
    made = keras.Model(inputs, keras.ops.mean(Dense(3)(inputs)))
    lines = text_of(made, show_trainable=True).splitlines()
    (row,) = [line for line in lines if "mean" in line.lower()]
    assert re.fullmatch(r"│ mean \(Mean\) +│ \(\) +│ +0 │ +- +│", row)
    assert " Total params: 15 (60.00 B)" in lines


def test_shapes_of_layers_called_on_arrays_only():
    class Heads(keras.layers.Layer):
        def __init__(self, *units):
            super().__init__()
            self.parts = [Dense(each) for each in units]

        def call(self, inputs):
            return {str(part.units): part(inputs) for part in self.parts}

        def compute_output_shape(self, input_shape):
            return {str(part.units): (*input_shape[:-1], part.units) for part in self.parts}

    class Silent(keras.layers.Layer):
        def call(self, inputs):
            return inputs

        def compute_output_shape(self, input_shape):
            raise NotImplementedError

    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.attention = keras.layers.MultiHeadAttention(2, 3, output_shape=4)
            self.pair, self.one, self.silent = Heads(5, 6), Heads(7), Silent()

        def call(self, inputs):
            found = self.attention(inputs, inputs, key=inputs)
            self.one(found)
            return self.silent(self.pair(found)["6"])

    made = Whole()
    made(np.ones((2, 3, 5), "float32"))
    shapes = re.findall(r"│ \S+ \(\w+\) +│ (.*?) +│", text_of(made, line_length=120))
    assert shapes == ["(2, 3, 4)", "{5: (2, 3, 5), 6: (2, 3, 6)}", "(2, 3, 7)", "?"]


def test_a_notebook_shows_the_summary_with_names_escaped():
    layer = keras.layers.Dense(2, name="a<script>")
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)], name="<b>&")
    model.compile("adam", "mse")
    shown = model._repr_html_()
    assert "a&lt;script&gt; (Dense)" in shown
    assert "Model: &lt;b&gt;&amp;" in shown
    assert "<script>" not in shown
    assert re.findall(r"<td[^>]*>([\d,]+)</td>", shown) == ["8", "3"]
    assert "Total params: 11" in shown
    assert ET.fromstring(shown.replace("<br>", "<br/>")).tag == "div"
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    assert "0 (unbuilt)" in unbuilt._repr_html_()
