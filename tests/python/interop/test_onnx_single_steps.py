"""Recurrent nodes of ONNX that take one step of few rows, as models with states among inputs do."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.sequence.one_step import MOST_ROWS, OneStep

FEATURES, UNITS = 5, 7
KINDS = {"LSTM": 4, "GRU": 3, "RNN": 1}


def graph(kind, direction="forward", dtype="float32", **settings):
    """A node with initial states, and all of its outputs."""
    b, rng = Builder(dtype), np.random.default_rng(3)
    count, gates = 2 if direction == "bidirectional" else 1, KINDS[kind]
    shapes = (
        (count, gates * UNITS, FEATURES),
        (count, gates * UNITS, UNITS),
        (count, 2 * gates * UNITS),
    )
    weights = [b.constant(0.4 * rng.normal(size=shape)) for shape in shapes]
    x = b.input("x", dtype, ("time", "batch", FEATURES))
    letters = "hc" if kind == "LSTM" else "h"
    states = [b.input(each, dtype, (count, "batch", UNITS)) for each in letters]
    settings = {"hidden_size": UNITS, "direction": direction, **settings}
    made = b.node(kind, x, *weights, "", *states, count=1 + len(letters), **settings)
    for name, value in zip(("y", "h_next", "c_next"), made, strict=False):
        b.output(value, name, dtype, ())
    return ferrnn.from_onnx(b.model("graph", "test", "1"))


def inputs(model, batch, seed=4):
    rng = np.random.default_rng(seed)
    named = {"batch": batch, "time": 1}
    return {
        each.name: rng.normal(size=[named.get(n, n) for n in each.shape]).astype(each.dtype)
        for each in model.inputs
    }


@each_case("dtype", ["float32", "float64"])
@each_case("direction", ["forward", "reverse", "bidirectional"])
@each_case("kind", KINDS)
def test_few_rows_have_the_bits_of_many(kind, direction, dtype):
    own = {"linear_before_reset": 1} if kind == "GRU" else {}
    model = graph(kind, direction, dtype, clip=1.5, **own)
    many = inputs(model, MOST_ROWS + 3)
    whole = model.run(many)
    for rows in (1, 2, MOST_ROWS):
        few = {name: array[:, :rows] for name, array in many.items()}
        for name, array in model.run(few).items():
            np.testing.assert_array_equal(array, whole[name][..., :rows, :])


def test_few_rows_of_one_step_do_not_take_a_whole_call(monkeypatch):
    model = graph("LSTM")

    def refused(*args, **options):
        raise AssertionError("a whole call")

    monkeypatch.setattr("ferrnn._src.interop.onnx.recurrent.rnn_forward", refused)
    model.run(inputs(model, MOST_ROWS))
    with pytest.raises(AssertionError, match="a whole call"):
        model.run(inputs(model, MOST_ROWS + 1))


def test_outputs_and_states_share_no_memory():
    found = graph("LSTM").run(inputs(graph("LSTM"), 1))
    assert not np.may_share_memory(found["y"], found["h_next"])


def test_threads_do_not_see_the_states_of_others():
    model = graph("GRU")
    given = [inputs(model, 1 + seed % 3, seed) for seed in range(48)]
    expected = [model.run(each) for each in given]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(model.run, given), expected, strict=True):
            for name, array in found.items():
                np.testing.assert_array_equal(array, wanted[name])


def test_streams_that_wait_are_few_and_go_on_after_an_error():
    model = graph("RNN")
    node = model.plan.steps[0]
    model.run(inputs(model, 1))
    ((_, step, _),) = node.run.__self__.packed[1]
    assert isinstance(step, OneStep)
    for _ in range(20):
        model.run(inputs(model, 2))
    assert len(step._idle) == 1
    with pytest.raises(ValueError, match="expected the shape"):
        step(np.zeros((2, FEATURES + 1), "float32"), [np.zeros((2, UNITS), "float32")])
    model.run(inputs(model, 2))
