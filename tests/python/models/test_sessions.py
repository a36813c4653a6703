"""States are values: rows come and go, sessions branch, bytes go from process to process."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import GRU, LSTM, Conv1D, ConvLSTM1D, Dense, Embedding, Flatten, Input
from ferrnn.models import Sequential, Sessions
from models.streaming import FEATURES, deep, randomised, sequences


def frames():
    layers = [Input((None, 5, 2)), ConvLSTM1D(2, 3, name="rain")]
    return randomised(Sequential(layers))


def windowed():
    layers = [Input((None, FEATURES)), Conv1D(4, 3), LSTM(3, return_sequences=True), Dense(2)]
    return randomised(Sequential(layers))


MODELS = {"deep": deep, "windowed": windowed}


@pytest.mark.parametrize("name", MODELS)
def test_rows_come_and_go_and_each_goes_on_as_if_it_were_alone(name):
    model = MODELS[name]()
    inputs = sequences(6)
    alone = [model.stream() for _ in range(6)]
    expected = np.array(
        [[stream(x) for x in row] for stream, row in zip(alone, inputs, strict=True)]
    )
    stream = model.stream(2)
    np.testing.assert_array_equal(stream(inputs[:2, 0]), expected[:2, 0])
    stream.add_rows(3)
    mixed = np.concatenate([inputs[:2, 1], inputs[2:5, 0]])
    wanted = np.concatenate([expected[:2, 1], expected[2:5, 0]])
    np.testing.assert_array_equal(stream(mixed), wanted)
    stream.drop_rows([0, 3])
    assert stream.streams == 3
    received = stream(np.stack([inputs[1, 2], inputs[2, 1], inputs[4, 1]]))
    wanted = np.stack([expected[1, 2], expected[2, 1], expected[4, 1]])
    np.testing.assert_array_equal(received, wanted)
    other = model.stream()
    other(inputs[5, 0])
    stream.add_rows(1, other.get_state())
    np.testing.assert_array_equal(stream(np.repeat(inputs[5:, 1], 4, 0))[3], expected[5, 1])


def test_rows_of_frames_come_and_go():
    model = frames()
    inputs = np.random.default_rng(1).normal(size=(2, 5, 2)).astype("float32")
    stream, alone = model.stream(), model.stream()
    first = stream(inputs[0])
    stream.add_rows()
    assert stream(inputs).shape == (2, *first.shape)
    stream.drop_rows(slice(1, None))
    alone(inputs[0])
    alone(inputs[0])
    np.testing.assert_array_equal(stream(inputs[1]), alone(inputs[1]))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda s: s.add_rows(0), ValueError, "`count` must be a positive integer, received 0"),
        (lambda s: s.add_rows(1, {}), ValueError, "that of another model"),
        (lambda s: s.drop_rows([0, 1]), ValueError, "must leave at least one row"),
        (lambda s: s.drop_rows(5), IndexError, "indices below 2"),
        (lambda s: s.add_rows(3, s.state), ValueError, r"shape \[streams, units\] = \(3, 7\)"),
    ],
)
def test_wrong_rows_are_refused_and_change_nothing(call, error, said):
    stream = randomised(Sequential([Input((None, FEATURES)), GRU(7)])).stream(2)
    before = stream(sequences(2)[:, 0])
    with pytest.raises(error, match=said):
        call(stream)
    assert stream.streams == 2
    np.testing.assert_array_equal(next(iter(stream.state.values())), before)


def test_bytes_go_on_in_another_process(tmp_path):
    pytest.importorskip("h5py")
    model = deep()
    model.save(tmp_path / "model.keras")
    stream = model.stream(3)
    inputs = sequences(3)
    stream(inputs[:, 0])
    (tmp_path / "state").write_bytes(stream.state_to_bytes())
    np.save(tmp_path / "x.npy", inputs[:, 1])
    code = (
        "import sys, numpy as np, ferrnn; from pathlib import Path; at = Path(sys.argv[1])\n"
        "stream = ferrnn.load_model(at / 'model.keras').stream(3)\n"
        "stream.state_from_bytes((at / 'state').read_bytes())\n"
        "np.save(at / 'y.npy', stream(np.load(at / 'x.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), stream(inputs[:, 1]))


def test_arrays_from_pickles_are_read_and_written_like_any():
    model = deep()
    x = sequences(1)[0, 0]
    expected = model.stream()(x)
    out = pickle.loads(pickle.dumps(np.empty_like(expected)))
    np.testing.assert_array_equal(model.stream()(pickle.loads(pickle.dumps(x)), out), expected)


def damaged(data, at):
    content = bytearray(data)
    content[at] ^= 4
    return bytes(content)


@each_case(
    ("change", "said"),
    [
        (lambda data: damaged(data, -3), "damaged"),
        (lambda data: damaged(data, 100), "must be the bytes of a state"),
        (lambda data: data[:-9], "must be the bytes of a state"),
        (lambda data: b"", "must be the bytes of a state"),
        (lambda data: data.replace(b'"ferrnn-state":"1"', b'"ferrnn-state":"7"'), "received '7'"),
        (lambda data: deep().stream(2).state_to_bytes(), "another model"),
    ],
)
def test_bytes_that_are_not_right_are_refused_and_change_nothing(change, said):
    stream = randomised(Sequential([Input((None, FEATURES)), GRU(7, name="memory")])).stream(2)
    data = stream.state_to_bytes()
    before = stream(sequences(2)[:, 0])
    with pytest.raises(ValueError, match=said):
        stream.state_from_bytes(change(data))
    np.testing.assert_array_equal(stream.state["memory/h"], before)
    with pytest.raises(TypeError, match="must be bytes, received str"):
        stream.state_from_bytes("text")
    stream.state_from_bytes(data)
    np.testing.assert_array_equal(stream(sequences(2)[:, 0]), before)


def test_any_sessions_step_together_with_the_bits_of_each_alone():
    model = deep()
    random = np.random.default_rng(4)
    sessions, alone = model.sessions(), {}
    for _ in range(60):
        ids = list(random.choice(40, size=random.integers(1, 9), replace=False))
        x = random.normal(size=(len(ids), FEATURES)).astype("float32")
        outputs = sessions.step(ids, x)
        for each, row, output in zip(ids, x, outputs, strict=True):
            stream = alone.setdefault(each, model.stream())
            np.testing.assert_array_equal(stream(row), output)
        if random.random() < 0.5:
            gone = random.choice(list(sessions))
            sessions.close(gone)
            del alone[gone]
    assert set(sessions) == set(alone)


def test_sessions_of_ids_and_of_frames():
    layers = [Input((None,)), Embedding(9, 3), LSTM(4, return_sequences=True)]
    reader = randomised(Sequential(layers))
    stream, sessions = reader.stream(), reader.sessions()
    np.testing.assert_array_equal(sessions.step(["a", "b", "c"], [3, 4, 3])[0], stream(3))
    np.testing.assert_array_equal(sessions.step(["a"], [5])[0], stream(5))
    model = frames()
    x = np.random.default_rng(1).normal(size=(3, 5, 2)).astype("float32")
    alone = model.stream()
    np.testing.assert_array_equal(model.sessions().step([*"abc"], x)[2], alone(x[2]))


def test_a_session_branches_and_goes_to_another_process_as_bytes():
    model = deep()
    one, other = model.sessions(), model.sessions()
    x = sequences(3)
    one.step([1, 2, 3], x[:, 0])
    one.branch(2, "what if")
    other.from_bytes("moved", one.to_bytes(2))
    expected = one.step([2], x[:1, 1])
    np.testing.assert_array_equal(one.step(["what if"], x[:1, 1]), expected)
    np.testing.assert_array_equal(other.step(["moved"], x[:1, 1]), expected)
    other.reset("moved")
    np.testing.assert_array_equal(
        other.step(["moved", "new"], np.repeat(x[:1, 1], 2, 0))[0],
        other.step(["third"], x[:1, 1])[0],
    )


def test_what_is_not_right_with_sessions_is_said():
    model = deep()
    sessions = model.sessions(limit=2)
    x = sequences(3)[:, 0]
    with pytest.raises(ValueError, match="would exceed `limit`, 2: 0 are open"):
        sessions.step([*"abc"], x)
    assert len(sessions) == 0
    sessions.step([*"ab"], x[:2])
    with pytest.raises(ValueError, match="would exceed `limit`, 2: 2 are open"):
        sessions.open("c")
    with pytest.raises(ValueError, match="a row for each of the 1 sessions"):
        sessions.step([*"a"], x)
    with pytest.raises(TypeError, match="`ids` must be a list of ids, received 'ab'"):
        sessions.step("ab", x[:2])
    with pytest.raises(TypeError, match="`ids` must hold ids that can be keys of a dict"):
        sessions.step([["a"]], x[:1])
    with pytest.raises(ValueError, match="must equal itself, received NaN"):
        sessions.step(["a", float("nan")], x[:2])
    with pytest.raises(ValueError, match="must not name a session twice"):
        sessions.step([*"aa"], x[:2])
    with pytest.raises(KeyError, match="must be open, received 'z'"):
        sessions.close("z")
    with pytest.raises(ValueError, match="already open"):
        sessions.open("a")
    sessions.close("a")
    with pytest.raises(ValueError, match="expected"):
        sessions.step([*"n"], x[:1, :1])
    assert list(sessions) == ["b"]
    with pytest.raises(ValueError, match="another model"):
        sessions.open("n", {"gru/h": [0.0]})
    assert list(sessions) == ["b"]
    with pytest.raises(ValueError, match="`limit` must be a positive integer"):
        Sessions(model.stream(), 0)


def test_sessions_that_come_and_go_take_no_more_memory():
    sessions = randomised(Sequential([Input((None, FEATURES)), LSTM(8), Flatten()])).sessions()
    x = np.zeros((50, FEATURES), "float32")
    for turn in range(40):
        ids = [(turn, each) for each in range(50)]
        sessions.step(ids, x)
        for each in ids:
            sessions.close(each)
    assert len(sessions) == 0
    assert all(len(kept) <= 64 for kept in sessions._kept.values())


def test_streams_and_sessions_say_what_they_are():
    model = deep()
    assert repr(model.sessions(3)) == "<Sessions open=0, limit=3>"
    assert ferrnn.models.Sessions is Sessions


def test_a_session_begins_from_zero_states_after_others_were_alone_there():
    model = deep()
    x = sequences(1)[0]
    expected = model.stream()(x[0])
    sessions = model.sessions()
    for session in ("ann", "bob", "eve"):
        np.testing.assert_array_equal(sessions.step([session], x[:1])[0], expected)
        sessions.step([session], x[1:2])
        if session == "ann":
            sessions.close("ann")
    sessions.reset("eve")
    np.testing.assert_array_equal(sessions.step(["eve"], x[:1])[0], expected)
