"""Hostile arguments for all that the engine offers: `python -m engine.hostile [SECONDS [SEED]]`.

Bursts of calls run in child processes of limited memory. No call may end its process, panic, or
raise an error that does not answer a wrong argument. Run it with `tests/python` on Python's path.
"""

import collections
import os
import random
import resource
import signal
import sys
import time
from typing import Any

import numpy as np

from engine.hostile_arguments import Pool, arguments, junk, stream_call
from ferrnn import _core

MEMORY = 3 << 30
CALLS = 250
PATIENCE = 90.0
ANSWERS = (ValueError, TypeError, MemoryError, OverflowError, RuntimeError, IndexError)
NAMES = [
    *(3 * ["Weights", "Problem", "rnn_forward", "rnn_backward"]),
    *("Stream", "stream", "stream", "DenseWeights", "dense_forward", "dense_backward"),
    *("convolution_forward", "conv_lstm_step", "max_pool", "max_pool_backward"),
    *("EmbeddingWeights", "embedding_forward", "embedding_backward", "noise"),
    *("attention_forward", "products"),
    *("NormalizationWeights", "normalization_forward", "normalization_backward"),
    *("sgd_update", "adam_update", "squared_norms", "mean_loss", "activate", "limits"),
    *("penalty", "penalty_gradient"),
    *("set_num_threads", "num_threads", "simd_level", "machine", "clear_buffers"),
]


class TooLongError(BaseException):
    """A call takes longer than a moment: allowed, but given up."""


def told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, {value.shape}, strides {value.strides})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(told, value))}]"
    return repr(value)[:80]


def one_call(rng: random.Random, pool: Pool) -> tuple[str, Any, list[Any]] | None:
    """The name of what is called, it, and its arguments."""
    name = rng.choice(NAMES)
    if name == "stream":
        call = stream_call(rng, pool)
        return None if call is None else (name, *call)
    given = arguments(rng, name, pool)
    if given and rng.random() < 0.25:
        given[rng.randrange(len(given))] = junk(rng, pool)
    return name, getattr(_core, name), given


def keep(pool: Pool, name: str, given: list[Any], result: Any) -> None:
    """Remembers what later calls may take."""
    if name == "rnn_forward" and result[2] is not None:
        name, result = "passes", (given[0], given[1], result[0], result[2])
    if name == "passes" or name[0].isupper():
        pool[name] = [*pool.get(name, []), result][-10:]


def burst(seed: int, log: int) -> int:
    """Some calls; the log always holds the last one. Gives 1 if one was answered wrongly."""
    rng, pool, wrong = random.Random(seed), Pool(), 0

    def ring(*_: Any) -> None:
        raise TooLongError

    signal.signal(signal.SIGALRM, ring)
    for number in range(CALLS):
        chosen = one_call(rng, pool)
        if chosen is None:
            continue
        name, function, given = chosen
        line = f"seed {seed}, call {number}: {name}({', '.join(map(told, given))})"[:1500]
        os.pwrite(log, line.ljust(1500).encode(), 0)
        try:
            signal.setitimer(signal.ITIMER_REAL, 1.0)
            try:
                result = function(*given)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except TooLongError:
            continue
        except BaseException as error:  # noqa: BLE001 - a panic is no `Exception`
            if isinstance(error, _core.InternalError) or not isinstance(error, ANSWERS):
                print(f"{line}\n    {type(error).__name__}: {error}", flush=True)
                wrong = 1
            continue
        keep(pool, name, given, result)
    return wrong


def end_of(child: int) -> str:
    """How a child has ended; empty if well."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return f"ended by the signal {-code}" if code < 0 else code * "wrong answers"
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return ""  # a copy of a large array cannot be interrupted


def main(seconds: float, seed: int) -> int:
    end, ends = time.monotonic() + seconds, collections.Counter[str]()
    while time.monotonic() < end:
        log = os.memfd_create("log")
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os._exit(burst(seed, log))
        how = end_of(child)
        if how:
            print(f"{how} at {os.pread(log, 1500, 0).decode().strip()}", flush=True)
        os.close(log)
        ends[how or "well"] += 1
        seed += 1
    print(f"{CALLS} calls a burst;", ", ".join(f"{how}: {n}" for how, n in ends.items()))
    return int(set(ends) != {"well"})


if __name__ == "__main__":
    sys.exit(main(float([*sys.argv[1:2], "60"][0]), int([*sys.argv[2:3], "0"][0])))
