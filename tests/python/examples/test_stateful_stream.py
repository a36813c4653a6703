"""The example of a stateful LSTM remembers from chunk to chunk, and streams the same numbers."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "stateful_stream.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def test_memory_beyond_a_chunk_pays(example, capsys):
    errors = example["main"](["--days", "15", "--epochs", "15"])
    assert errors["stateful LSTM"] < 0.75 * errors["without memory"]
    assert errors["without memory"] < 0.85 * errors["guessing the mean"]
    assert "it gave the stateful model's bits" in capsys.readouterr().out


def test_chunks_follow_each_other_room_by_room(example):
    rooms, chunk = 3, example["CHUNK"]
    series = np.arange(rooms * 2 * chunk).reshape(rooms, 2 * chunk, 1)
    chunks = example["in_chunks"](series)
    np.testing.assert_array_equal(chunks[:rooms, -1] + 1, chunks[rooms:, 0])


def test_the_stream_equals_the_stateful_model_and_needs_its_states(example):
    model = example["make_model"](2, example["CHUNK"], True)
    x = np.random.default_rng(1).normal(size=(3 * example["CHUNK"], 2)).astype("float32")
    by_day = example["day_by_day"](model, x)
    streamed, _ = example["hour_by_hour"](model, x)
    np.testing.assert_array_equal(streamed, by_day)
    anew = model.stream()(x[example["CHUNK"]])
    assert not np.array_equal(anew, by_day[example["CHUNK"]])
