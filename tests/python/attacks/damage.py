"""Files of models, damaged in every way that is cheap to think of, and the outcome of loading
them."""

import copy
import io
import json
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

import ferrnn
from ferrnn.layers import GRU, LSTM, Bidirectional, Concatenate, Dense, Dropout, Input

# What replaces something in a configuration.
WRONG = (None, True, -1, 0, 1.5, 1e300, float("nan"), 10**12, "x", "", [], {}, [[[1]]], [{}])
ABSENT = object()


def graph():
    """A model with several calls, a wrapper, a schedule, metrics: much that can be damaged."""
    words = Input((6, 3), name="words")
    shared = GRU(4, name="shared", return_sequences=True)
    once = Dropout(0.25, name="dropout")(shared(words))
    twice = Bidirectional(LSTM(2, name="inner"), name="both")(once)
    joined = Concatenate(name="joined")([twice, once[:, -1]])
    outputs = Dense(2, kernel_regularizer="l2", name="outputs")(joined)
    model = ferrnn.Model(words, outputs, name="graph")
    rate = ferrnn.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)
    model.compile(ferrnn.optimizers.Adam(rate), "mse", metrics=["mae", "auc"])
    return model


def chain():
    """A small chain of layers."""
    layers = [Input((5, 3)), LSTM(4, name="lstm"), Dense(2, name="dense")]
    model = ferrnn.Sequential(layers, name="chain")
    model.compile("adam", "mse")
    return model


def trained(model, rng):
    """The model after a step of training, so that the optimizer has something to remember."""
    shape = model.input_shape[1:]
    model.fit(rng.normal(size=(8, *shape)), rng.normal(size=(8, 2)), verbose=0)
    return model


def state(model):
    """All numbers of a model that a file keeps."""
    optimizer = [] if model.optimizer is None else model.optimizer.variables
    return [*model.get_weights(), *(variable.numpy() for variable in optimizer)]


def same(found, expected):
    return len(found) == len(expected) and all(
        np.array_equal(one, other, equal_nan=True)
        for one, other in zip(found, expected, strict=True)
    )


def outcome(load, expected):
    """The outcome of loading in a word: "right" if all numbers are those that were saved."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = state(load())
    except Exception as error:  # noqa: BLE001 - the kind is counted
        return type(error).__name__
    if same(found, expected):
        return "right"
    return "told by a warning" if said else "WRONG"


def loader(path, fresh):
    """How to load the file: into a model like it if it holds weights alone."""

    def load():
        if path.name.endswith((".keras", ".safetensors")):
            return ferrnn.saving.load_model(path)
        model = fresh()
        model.optimizer.build(model.trainable_weights)
        model.load_weights(path)
        return model

    return load


def save(model, path):
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)


def flipped(content, rng):
    """The bytes with one bit changed."""
    damaged = bytearray(content)
    damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def damaged_files(folder, suffix, damages, fresh=chain):
    """Counts the outcomes of loading files with damaged bytes."""
    rng = np.random.default_rng(3)
    path = Path(folder, f"model{suffix}")
    model = trained(fresh(), rng)
    save(model, path)
    content, expected = path.read_bytes(), None
    load = loader(path, fresh)
    expected = state(load())
    found = Counter()
    for damage in damages:
        path.write_bytes(damage(content))
        found[outcome(load, expected)] += 1
    return found


def flips(times, seed=5):
    rng = np.random.default_rng(seed)
    return [lambda content: flipped(content, rng) for _ in range(times)]


def truncations(parts=50):
    return [lambda content, at=at: content[: len(content) * at // parts] for at in range(parts)]


# Configurations.


def places(value, at=()):
    """The places of a configuration."""
    yield at
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for key, part in inner.items() if isinstance(inner, dict) else ():
        yield from places(part, (*at, key))


def replaced(config, place, value):
    """The configuration with another value at a place."""
    if not place:
        return value
    changed = copy.deepcopy(config)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def without(config, place):
    """The configuration without the entry at a place."""
    changed = copy.deepcopy(config)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


def changed_configs(config, every=1):
    """The configuration with something else, or nothing, at each place; one of `every` of them."""
    wrong = [(place, value) for place in places(config) for value in (*WRONG, ABSENT)]
    for place, value in wrong[::every]:
        if value is not ABSENT:
            yield place, value, replaced(config, place, value)
        elif place:
            yield place, "absent", without(config, place)


def with_config(content, config):
    """A `.keras` archive with another configuration."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            text = config if isinstance(config, bytes) else json.dumps(config).encode()
            new.writestr(name, text if name == "config.json" else old.read(name))
    return made.getvalue()


def config_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("config.json"))
