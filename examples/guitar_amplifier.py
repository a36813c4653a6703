"""Plays a guitar through an amplifier that a small LSTM or GRU learned, sample by sample.

Reads two formats that plugins for music use: the JSON of RTNeural (layers of Keras, or a state dict
of PyTorch) and the `.nam` of Neural Amp Modeler. Each is a page of Python here, since all that a
reader has to know is the order of the weights. Without an input file, it plucks a string.

    python examples/guitar_amplifier.py MODEL.json
    python examples/guitar_amplifier.py MODEL.nam --input dry.wav --output wet.wav

Prints the time per sample, beside the 21 microseconds that 48 kHz allow.
"""

from __future__ import annotations

import argparse
import json
import time
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers

RATE = 48_000

Array = np.ndarray[Any, np.dtype[Any]]


def read_model(path: Path) -> tuple[keras.Sequential, dict[str, Array]]:
    """The model of a file, and the states that its stream begins with (none: zeros)."""
    data = json.loads(path.read_text())
    if "architecture" in data:
        return read_nam(data)
    return (read_layers(data) if "layers" in data else read_state_dict(data)), {}


def read_layers(data: Mapping[str, Any]) -> keras.Sequential:
    """RTNeural's JSON of a Keras model: each layer has Keras' own arrays."""
    model = keras.Sequential([keras.Input((None, data["in_shape"][-1]))])
    kinds = {"lstm": layers.LSTM, "gru": layers.GRU}
    for layer in data["layers"]:
        units, function = layer["shape"][-1], layer.get("activation") or None
        kind = layer["type"].removeprefix("time-distributed-")
        if kind in kinds:
            model.add(kinds[kind](units, return_sequences=True))
        elif kind == "dense":
            model.add(layers.Dense(units, activation=function))
        else:
            raise ValueError(f"a layer {layer['type']!r} is not read, but dense, lstm and gru")
        model.layers[-1].set_weights([np.asarray(each, "float32") for each in layer["weights"]])
    return model


def read_state_dict(data: Mapping[str, Any]) -> keras.Sequential:
    """RTNeural's JSON of a PyTorch model: its state dict, the modules in their order."""
    state = {key: np.asarray(value, "float32") for key, value in data.items()}
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    return keras.from_torch(state, layers=modules)


def read_nam(data: Mapping[str, Any]) -> tuple[keras.Sequential, dict[str, Array]]:
    """An LSTM of Neural Amp Modeler: one list of numbers, in PyTorch's order.

    For each layer the rows `[W_ih, W_hh]` of the gates i, f, g, o, a bias, h and c; then the head.
    """
    if data["architecture"] != "LSTM":
        raise ValueError(f"the architecture {data['architecture']!r} is not read, but LSTM")
    config, left = data["config"], np.asarray(data["weights"], "float32")
    units = config["hidden_size"]
    model, states = keras.Sequential([keras.Input((None, config["input_size"]))]), {}

    def take(*shape: int) -> Array:
        nonlocal left
        count = int(np.prod(shape))
        taken, left = left[:count], left[count:]
        return taken.reshape(shape)

    for number in range(config["num_layers"]):
        features = units if number else config["input_size"]
        both = take(4 * units, features + units).T
        layer = layers.LSTM(units, return_sequences=True, name=f"lstm_{number}")
        model.add(layer)
        layer.set_weights([both[:features], both[features:], take(4 * units)])
        states |= {f"{layer.name}/{state}": take(1, units) for state in "hc"}
    model.add(layers.Dense(1))
    model.layers[-1].set_weights([take(units, 1), take(1)])
    if left.size:
        raise ValueError(f"{left.size} numbers are left over: the file is of another model")
    return model, states


def pluck(seconds: float, pitch: float = 110.0) -> Array:
    """A plucked string after Karplus and Strong: noise that circulates, ever softer."""
    period = round(RATE / pitch)
    sound = np.zeros(int(RATE * seconds) + period + 1, "float32")
    sound[:period] = np.random.default_rng(1).uniform(-0.5, 0.5, period)
    for at in range(period + 1, len(sound), period - 1):
        end = min(at + period - 1, len(sound))
        earlier = sound[at - period - 1 : end - period]
        sound[at:end] = 0.498 * (earlier[1:] + earlier[:-1])
    return sound[: int(RATE * seconds)]


def read_wave(path: Path) -> Array:
    """The first channel of a WAV file of 16 bits."""
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path}: only samples of 16 bits are read")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples[:: file.getnchannels()].astype("float32") / 32768


def write_wave(path: Path, sound: Array) -> None:
    """Writes 16 bits, as loud as they can be."""
    loud = sound / max(float(np.abs(sound).max()), 1e-9)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((loud * 32767).astype("<i2").tobytes())


def play(model: keras.Sequential, states: Mapping[str, Array], dry: Array) -> tuple[Array, float]:
    """The output, and the seconds per sample."""
    stream = model.stream()
    stream.state = {**stream.state, **states}
    wet = np.empty((len(dry), 1), "float32")
    inputs = dry.reshape(-1, 1)
    start = time.perf_counter()
    for sample, out in zip(inputs, wet, strict=True):
        stream(sample, out=out)
    return wet[:, 0], (time.perf_counter() - start) / max(len(dry), 1)


def main(arguments: Sequence[str] | None = None) -> Array:
    """Plays, and returns the output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input", type=Path, help="a WAV file; without, a plucked string")
    parser.add_argument("--output", type=Path, help="where to write what comes out")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the plucked string")
    options = parser.parse_args(arguments)
    model, states = read_model(options.model)
    dry = read_wave(options.input) if options.input else pluck(options.seconds)
    wet, seconds = play(model, states, dry)
    print(f"{options.model.name}: {model.count_params()} weights")
    print(f"{seconds * 1e6:.2f} us per sample, of {1e6 / RATE:.1f} us at {RATE // 1000} kHz")
    if options.output:
        write_wave(options.output, wet)
        print(f"Written: {options.output}")
    return wet


if __name__ == "__main__":
    main()
