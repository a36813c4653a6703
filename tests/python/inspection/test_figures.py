"""Pictures: what is drawn, where it can be seen, and what is missing where it cannot."""

import subprocess
import sys

import numpy as np
import pytest

from ferrnn import Input, Sequential, layers
from ferrnn.inspection import (
    integrated_gradients,
    plot_attributions,
    plot_history,
    plot_states,
)

RNG = np.random.default_rng(13)
X = RNG.normal(size=(8, 6, 2)).astype("float32")
Y = X[:, -1, :1]


@pytest.fixture
def model():
    pytest.importorskip("matplotlib")
    made = Sequential([Input((None, 2)), layers.GRU(4), layers.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    return made


def titles(figure):
    places = ("left", "center", "right")  # matplotlib's settings say which one it is
    shown = [axes.get_title(loc=place) for axes in figure.axes for place in places]
    return [title for title in shown if title]


def test_a_history_shows_loss_and_metrics(model, tmp_path):
    history = model.fit(X, Y, validation_data=(X, Y), epochs=3, verbose=0, initial_epoch=1)
    figure = history.plot()
    assert titles(figure) == ["loss", "mae"]
    training, validation = figure.axes[0].lines
    np.testing.assert_array_equal(training.get_xdata(), [2, 3])
    np.testing.assert_allclose(training.get_ydata(), history.history["loss"])
    np.testing.assert_allclose(validation.get_ydata(), history.history["val_loss"])
    figure.savefig(tmp_path / "training.png")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert titles(history.plot("mae")) == ["mae"]
    assert plot_history(history.history, log=True).axes[0].get_yscale() == "log"
    with pytest.raises(ValueError, match=r"some of \['loss', 'mae'\], received 'acc'"):
        history.plot("acc")
    with pytest.raises(ValueError, match="`history` must have at least one epoch"):
        plot_history({})


def test_states_are_heat_maps_over_time(model):
    figure = plot_states(model, X, sample=3)
    assert titles(figure) == ["inputs", "h", "update gate", "reset gate", "candidate"]
    (drawn,) = figure.axes[0].images
    np.testing.assert_allclose(drawn.get_array(), X[3].T, rtol=1e-6)
    (gate,) = figure.axes[2].images
    assert gate.get_clim() == (0, 1)
    assert titles(plot_states(model, X, names=["h"])) == ["inputs", "h"]
    with pytest.raises(ValueError, match=r"some of \['h', .* received \['c'\]"):
        plot_states(model, X, names=["c"])
    with pytest.raises(ValueError, match="`sample` must be one of 8"):
        plot_states(model, X, sample=8)


def test_attributions_are_a_heat_map_of_features(model):
    found = integrated_gradients(model, X)
    figure = plot_attributions(found, ["rain", "wind"], sample=2)
    (drawn,) = figure.axes[0].images
    np.testing.assert_array_equal(drawn.get_array(), found[2].T)
    low, high = drawn.get_clim()
    assert low == -high
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["rain", "wind"]
    with pytest.raises(ValueError, match="one name for each of 2 features"):
        plot_attributions(found, ["rain"])
    with pytest.raises(ValueError, match="`attributions` must be an array"):
        plot_attributions(found, sample=8)


def test_without_matplotlib_the_extra_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from ferrnn.callbacks import History\n"
        "history = History(); history.history = {'loss': [1.0]}; history.epoch = [0]\n"
        "try:\n    history.plot()\n"
        "except ImportError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ferrnn[plot]" in told.stdout
