"""Finds speech in a recording with the voice detector of Silero, 32 ms per call.

The model is github.com/snakers4/silero-vad, `silero_vad_16k_op15.onnx` or another of its ONNX files
of version 5; ONNX Runtime and PyTorch are not needed. A call takes 512 new samples and the 64
before them; what the LSTM remembers stays in the stream.

    python examples/voice_activity.py silero_vad_16k_op15.onnx --input speech.wav

Prints the seconds with speech, and what a call of 32 ms costs. Without a recording, it listens to
noise, a tone and silence, in which there is none.
"""

from __future__ import annotations

import argparse
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras

RATE, CHUNK, CONTEXT = 16_000, 512, 64

Array = np.ndarray[Any, np.dtype[Any]]


def read_wave(path: Path) -> Array:
    """The first channel of a WAV file of 16 bits at 16 kHz."""
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2 or file.getframerate() != RATE:
            raise ValueError(f"{path}: only samples of 16 bits at {RATE} Hz are read")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples[:: file.getnchannels()].astype("float32") / 32768


def without_speech() -> Array:
    """A second each of noise, a tone and silence."""
    time_axis = np.arange(RATE) / RATE
    noise = 0.05 * np.random.default_rng(1).normal(size=RATE)
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_axis)
    return np.concatenate([noise, tone, np.zeros(RATE)]).astype("float32")


def listen(model: Any, sound: Array) -> tuple[Array, float]:
    """The probability of speech in each chunk, and the seconds that a call took."""
    stream = model.stream(sr=RATE)
    padded = np.concatenate([np.zeros(CONTEXT, "float32"), sound])
    probabilities, seconds = [], []
    for at in range(0, len(sound) - CHUNK + 1, CHUNK):
        chunk = padded[None, at : at + CONTEXT + CHUNK]
        start = time.perf_counter()
        probabilities.append(float(stream(chunk)[0, 0]))
        seconds.append(time.perf_counter() - start)
    return np.array(probabilities), float(np.median(seconds))


def segments(probabilities: Array, enter: float = 0.5, leave: float = 0.35) -> list[Array]:
    """Begin and end in seconds: the threshold for beginning is higher than that for continuing."""
    found: list[Array] = []
    begin: int | None = None
    for at, probability in enumerate([*probabilities, 0.0]):
        if begin is None and probability >= enter:
            begin = at
        elif begin is not None and probability < leave:
            found.append(np.array([begin, at]) * CHUNK / RATE)
            begin = None
    return found


def main(arguments: Sequence[str] | None = None) -> list[Array]:
    """Listens, and returns the segments with speech."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input", type=Path, help="a WAV file at 16 kHz")
    options = parser.parse_args(arguments)
    sound = read_wave(options.input) if options.input else without_speech()
    probabilities, seconds = listen(keras.from_onnx(options.model), sound)
    found = segments(probabilities)
    for begin, end in found:
        print(f"speech from {begin:.2f} s to {end:.2f} s")
    if not found:
        print("no speech")
    print(f"{seconds * 1e6:.0f} us a call, for 32 ms of sound")
    return found


if __name__ == "__main__":
    main()
