"""The example of a service: a real client against a real server process."""

import asyncio
import http.client
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import GRU, LSTM, Dense, Input

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
pytest.importorskip("h5py", reason="the extra `files` is not installed")

EXAMPLE = Path(__file__).parents[3] / "examples" / "serve_sessions.py"
SERVICE = EXAMPLE.with_name("session_service.py")
FEATURES = 3


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("session_service", SERVICE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["session_service"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["session_service"]


@pytest.fixture(scope="module")
def model():
    ferrnn.utils.set_random_seed(3)
    return ferrnn.Sequential(
        [
            Input((None, FEATURES)),
            LSTM(7, return_sequences=True),
            GRU(5, return_sequences=True),
            Dense(2),
        ]
    )


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "model.keras"
    model.save(path)
    return path


class Client:
    def __init__(self, port):
        self.port = port

    def __call__(self, method, path, body=None):
        """Status, headers and what is in the answer's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        finally:
            connection.close()

    def step(self, session, values):
        values = np.asarray(values).tolist()
        status, _, answer = self("POST", f"/sessions/{session}/steps", {"values": values})
        assert status == 200, answer
        return np.array(answer["outputs"], "float32")

    def state(self, session):
        status, _, answer = self("GET", f"/sessions/{session}/state")
        assert status == 200, answer
        return {name: np.array(each, "float32") for name, each in answer["state"].items()}


@contextmanager
def served(model, *arguments):
    """A server process and its client; it is asked to end at the end."""
    command = [sys.executable, EXAMPLE, model, "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
            port = next((int(found[1]) for line in lines if (found := address.search(line))), None)
            assert port, "the server did not start"
            yield process, Client(port)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def client(saved):
    with served(saved, "--body", "20000", "--sessions", "60") as (_, client):
        yield client


def series(steps, seed=1):
    return np.random.default_rng(seed).normal(size=(steps, FEATURES)).astype("float32")


def test_the_numbers_are_those_of_a_stream(client, model):
    x, stream = series(9), model.stream()
    expected = np.array([stream(step) for step in x])
    one_by_one = [client.step("ann", step) for step in x[:4]]
    np.testing.assert_array_equal(one_by_one, expected[:4])
    np.testing.assert_array_equal(client.step("ann", x[4:]), expected[4:])
    for name, state in client.state("ann").items():
        np.testing.assert_array_equal(state, stream.state[name][0])
    assert client("DELETE", "/sessions/ann")[0] == 204
    np.testing.assert_array_equal(client.step("ann", x[0]), expected[0])  # from zero states
    assert client("DELETE", "/sessions/ann")[0] == 204


def test_fifty_sessions_at_once_each_get_their_own_numbers(client, model):
    before = client("GET", "/health")[2]

    def one(seed):
        x, stream = series(8, seed), model.stream()
        received = [client.step(f"s{seed}", step) for step in x]
        np.testing.assert_array_equal(received, [stream(step) for step in x])
        assert client("DELETE", f"/sessions/s{seed}")[0] == 204

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(one, range(50)))
    after = client("GET", "/health")[2]
    assert after["steps"] - before["steps"] == 400
    assert after["batches"] - before["batches"] < 400  # some went together
    assert (after["sessions"], after["waiting"]) == (before["sessions"], 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 5000, "no JSON"),
        (b"[1, 2, 3]", "nothing else"),
        (b'{"values": [1, 2, 3], "more": 1}', "nothing else"),
        (b'{"values": 3}', "shape []"),
        (b'{"values": []}', "shape [0]"),
        (b'{"values": [1, 2]}', "shape [2]"),
        (b'{"values": [[[1, 2, 3]]]}', "shape [1, 1, 3]"),
        (b'{"values": [[1, 2, 3], [1, 2]]}', "differ in length"),
        (b'{"values": [1, 2, "3"]}', "than numbers"),
        (b'{"values": [1, 2, null]}', "than numbers"),
        (b'{"values": [1, 2, 1' + 400 * b"0" + b"]}", "than numbers"),
        (b'{"values": [1, 2, NaN]}', "finite"),
        (b'{"values": [1, 2, 1e39]}', "finite in float32"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_a_bad_body_is_refused_in_a_sentence_and_opens_nothing(client, body, words):
    status, _, answer = client("POST", "/sessions/bad/steps", body)
    assert (status, list(answer)) == (400, ["error"])
    assert words in answer["error"]
    assert client("GET", "/sessions/bad/state")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sessions/nobody/state", 404),
        ("DELETE", "/sessions/nobody", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/sessions/ann/steps", 405),
        ("POST", "/sessions/a%20b/steps", 400),
        ("POST", f"/sessions/{129 * 'a'}/steps", 400),
    ],
)
def test_what_is_not_there_is_said_in_json(client, method, path, status):
    received, _, answer = client(method, path)
    assert (received, list(answer)) == (status, ["error"])


def test_a_body_above_the_limit_is_refused(client):
    status, _, answer = client("POST", "/sessions/ann/steps", b" " * 20001)
    assert status == 413
    assert "20000 bytes" in answer["error"]


def test_sessions_above_the_limit_are_refused_and_the_others_go_on(client):
    names = [f"many{n}" for n in range(60)]
    for name in names:
        client.step(name, series(1)[0])
    status, headers, answer = client("POST", "/sessions/more/steps", {"values": [0, 0, 0]})
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "60 sessions" in answer["error"]
    client.step(names[0], series(1)[0])
    for name in names:
        client("DELETE", f"/sessions/{name}")


def test_overload_is_refused_and_a_restart_finishes_and_keeps_states(saved, model, tmp_path):
    kept, x, stream = tmp_path / "states.npz", series(3000), model.stream()
    expected = np.array([stream(step) for step in x])
    with (
        ThreadPoolExecutor(1) as pool,
        served(saved, "--state", str(kept), "--waiting", "1") as (process, client),
    ):
        other = client.step("other", x[0])
        long = pool.submit(client.step, "long", x)
        while not client("GET", "/health")[2]["waiting"]:
            time.sleep(0.001)
        status, headers, answer = client("POST", "/sessions/other/steps", {"values": [0, 0, 0]})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "1 requests wait" in answer["error"]
        assert not long.done()
        process.send_signal(signal.SIGTERM)
        np.testing.assert_array_equal(long.result(), expected)
        process.wait(30)
    np.testing.assert_array_equal(other, expected[0])
    assert [each.name for each in tmp_path.iterdir()] == ["states.npz"]

    with served(saved, "--state", str(kept)) as (_, client):
        assert client("GET", "/health")[2]["sessions"] == 2
        assert client("GET", "/sessions/long/state")[2]["steps"] == 3000
        for name, state in client.state("long").items():
            np.testing.assert_array_equal(state, stream.state[name][0])
        np.testing.assert_array_equal(client.step("long", x[0]), stream(x[0]))
        np.testing.assert_array_equal(client.step("other", x[1]), expected[1])


def test_a_killed_service_goes_on_from_its_last_save_and_says_how_many_steps_it_has(
    saved, model, tmp_path
):
    kept, x, stream = tmp_path / "states.npz", series(5000), model.stream()
    done, in_file = 0, 0
    with served(saved, "--state", str(kept), "--save-every", "0.05") as (process, client):
        end = time.monotonic() + 30
        while in_file < 20:  # saves go on while it works
            assert time.monotonic() < end
            np.testing.assert_array_equal(client.step("ann", x[done]), stream(x[done]))
            done += 1
            client.step(f"other{done}", x[0])
            found = np.load(kept)
            in_file = dict(zip(found["sessions"], found["steps"], strict=True)).get("ann", 0)
        assert client("GET", "/health")[2]["saved"] < 10
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    draft = tmp_path / ".states.npz.draft"
    draft.write_bytes(b"of a save that the signal ended")

    with served(saved, "--state", str(kept)) as (_, client):
        steps = client("GET", "/sessions/ann/state")[2]["steps"]
        assert in_file <= steps <= done
        stream = model.stream()
        for step in x[:steps]:
            stream(step)
        np.testing.assert_array_equal(client.step("ann", x[steps]), stream(x[steps]))
    assert not draft.exists()


def test_nothing_is_saved_where_nothing_changed_and_a_failure_is_said_and_tried_again(
    example, model, tmp_path, caplog
):
    path, x = tmp_path / "folder" / "states.npz", series(1)
    path.parent.mkdir()

    async def story():
        service = example.service_of(model, example.Limits(), path)
        working = asyncio.gather(service.run(), service.save_at_times(path, 0.02))
        await service.step("ann", x)
        await until(lambda: "ann" in np.load(path)["sessions"])
        before = path.stat()
        await asyncio.sleep(0.15)
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        path.unlink()
        path.parent.rmdir()
        await service.step("bob", x)
        await until(lambda: "could not be saved" in caplog.text)
        path.parent.mkdir()
        await until(path.exists)
        assert sorted(np.load(path)["sessions"]) == ["ann", "bob"]
        await service.close("bob")
        await until(lambda: np.load(path)["sessions"].tolist() == ["ann"])
        service.finish()
        await working

    async def until(true):
        end = time.monotonic() + 10
        while not true():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_save_of_many_sessions_lets_requests_pass_between(example, model, tmp_path, monkeypatch):
    monkeypatch.setattr(example, "TOGETHER", 2)
    path, x = tmp_path / "states.npz", series(1)

    async def story():
        service = example.service_of(model, example.Limits(), path)
        names = [f"s{number}" for number in range(9)]
        working = asyncio.create_task(service.run())
        await asyncio.gather(*(service.step(name, x) for name in names))
        gathering = asyncio.create_task(service._gathered())
        await asyncio.sleep(0)
        await service.step("s0", x)
        assert not gathering.done()
        kept = await gathering
        assert kept.ids == names
        assert set(kept.taken[1:]) == {1}
        service.finish()
        await working

    asyncio.run(story())


def test_states_that_are_damaged_or_of_another_model_stop_the_start(example, model, tmp_path):
    other = ferrnn.Sequential([Input((None, FEATURES)), LSTM(4)])
    path = tmp_path / "states.npz"
    sessions = other.sessions()
    sessions.step(["ann"], series(1))
    example.save_states(example.Kept(["ann"], [sessions.get_state("ann")], [1]), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="states that this model can take up"):
        example.service_of(model, example.Limits(), path)
    damaged = bytearray(before)
    damaged[len(before) // 4] ^= 1
    for wrong in (before[:-30], bytes(damaged), b"", b"no file of arrays"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="states that this model can take up"):
            example.service_of(other, example.Limits(), path)
        assert path.read_bytes() == wrong


def test_idle_sessions_are_dropped_and_failures_told_to_those_who_wait(example, model):
    async def story():
        service = example.service_of(model, example.Limits(idle=0.1))
        working = asyncio.create_task(service.run())
        x = series(2)
        await service.step("idle", x)
        await asyncio.sleep(0.15)
        await service.step("new", x)
        assert list(service.states) == ["new"]
        with pytest.raises(example.UnknownError):
            service.state("idle")
        right, service.states.step = service.states.step, failing
        answers = await asyncio.gather(
            service.step("other", x), service.state("other"), return_exceptions=True
        )
        assert [type(each) for each in answers] == [MemoryError, example.UnknownError]
        service.states.step = right
        np.testing.assert_array_equal(await service.step("other", x), [stream(step) for step in x])
        assert service.count == 0
        service.finish()
        await working

    def failing(ids, rows):
        raise MemoryError

    stream = model.stream()
    asyncio.run(story())


def test_limits_must_be_positive(example):
    with pytest.raises(ValueError, match="`idle` must be positive, received -1"):
        example.Limits(idle=-1)
