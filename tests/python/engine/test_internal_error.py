"""A panic of the engine reaches Python as an error that asks for a report."""

import pickle

import pytest

import ferrnn
from ferrnn import _core


@pytest.mark.parametrize("place", ["here", "away", "team"])
def test_a_panic_is_an_error_that_names_its_place(place, capfd):
    ferrnn.set_num_threads(2)
    with pytest.raises(ferrnn.InternalError, match=r"a panic for a test \(src.*:\d+:\d+, ferrnn"):
        _core._panic(place)
    assert "a panic for a test" in capfd.readouterr().err


def test_it_asks_for_a_report_and_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="Please report it") as raised:
        _core._panic("here")
    assert type(raised.value) is ferrnn.InternalError
    assert pickle.loads(pickle.dumps(raised.value)).args == raised.value.args


def test_the_engine_works_on_after_a_panic():
    layer = ferrnn.layers.LSTM(3)
    before = layer([[[1.0, 2.0]]])
    for place in ("here", "away", "team"):
        with pytest.raises(ferrnn.InternalError):
            _core._panic(place)
    assert (layer([[[1.0, 2.0]]]) == before).all()


def test_a_size_beyond_all_memory_is_a_memory_error():
    for double in (False, True):
        with pytest.raises(MemoryError):
            _core.NormalizationWeights(2**64 - 1, 1e-3, double=double)
    with pytest.raises(MemoryError):
        _core.Stream(["tanh"], 2**64 - 1)
