"""The bar in a notebook: one place that is drawn over now and then, and does not grow."""

import re
import sys
import types

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training import notebook, progress


class Stream:
    """Standard output of a kernel."""

    __module__ = "ipykernel.iostream"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


class Cells:
    """What IPython displays: a list of places, each with all that it has shown."""

    def __init__(self):
        self.places = []

    def display(self, shown, *, raw, display_id):
        assert raw
        assert display_id
        self.places.append([shown])
        return types.SimpleNamespace(update=lambda new, raw: self.places[-1].append(new))


@pytest.fixture
def cells(monkeypatch):
    made = Cells()
    module = types.ModuleType("IPython.display")
    module.display = made.display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    made.begin = lambda: monkeypatch.setattr(sys, "stdout", Stream())
    return made


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    for module in (notebook, progress):
        monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def text(shown):
    return re.sub("\x1b\\[\\d+m", "", shown["text/plain"]).split("\n")


def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", loss="mse")
    return made


def test_training_is_drawn_in_one_place(cells):
    cells.begin()
    made = model()
    history = made.fit(np.ones((8, 2)), np.ones(8), batch_size=2, epochs=3, verbose="auto")
    assert len(cells.places) == 1
    last = text(cells.places[0][-1])
    assert last[::2] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    assert re.fullmatch(r"4/4 ━{20} 0s \d+\ws/step - loss: [\d.e-]+", last[-1])
    assert f"loss: {history.history['loss'][-1]:.4f}" in last[-1]
    assert sys.stdout.text == ""
    made.evaluate(np.ones((8, 2)), np.ones(8))
    made.predict(np.ones((80, 2)))
    assert len(cells.places) == 3
    made.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    assert len(cells.places) == 3
    made.fit(np.ones((8, 2)), np.ones(8), verbose=2)  # a line for each epoch is what was asked for
    assert len(cells.places) == 3
    assert "step - loss: " in sys.stdout.text


def test_many_short_epochs_neither_flood_nor_grow(cells, clock):
    cells.begin()

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock(0.005)

    model().fit(np.ones((8, 2)), np.ones(8), batch_size=2, epochs=100, callbacks=[Clock()])
    (place,) = cells.places
    assert len(place) <= 2.0 / notebook.INTERVAL + 2  # of two seconds
    assert max(len(text(shown)) for shown in place) <= 14
    last = text(place[-1])
    assert last[0] == "... 188 lines before ..."
    assert last[-2] == "Epoch 100/100"
    assert last[-1].startswith("4/4 ")


def test_a_line_is_drawn_over(cells, clock):
    screen = notebook.Screen(cells.display)
    screen.write("Epoch 1\n")
    for part in ("\r1/3 long", "\r2/3", " more"):
        clock(1.0)
        screen.write(part)
    assert text(cells.places[0][-1]) == ["Epoch 1", "2/3 more"]
    count = len(cells.places[0])
    screen.flush()  # nothing waits
    assert len(cells.places[0]) == count


def test_names_are_escaped(cells, clock):
    screen = notebook.Screen(cells.display)
    screen.write("\r\x1b[32m━\x1b[0m - <script>: 1\n")
    shown = cells.places[0][-1]["text/html"]
    assert '<span style="color:#2e8b57">━</span> - &lt;script&gt;: 1</pre>' in shown


def test_output_that_goes_elsewhere_gets_lines(cells, monkeypatch, tmp_path):
    with (tmp_path / "log").open("w+", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        model().fit(np.ones((8, 2)), np.ones(8), epochs=2)
        assert cells.places == []
        file.seek(0)
        assert "Epoch 2/2" in file.read()
    monkeypatch.undo()


def test_an_interrupted_training_leaves_what_was_drawn(cells):
    cells.begin()

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model().fit(np.ones((8, 2)), np.ones(8), epochs=5, callbacks=[Stop()])
    assert text(cells.places[0][-1])[0] == "Epoch 1/5"
