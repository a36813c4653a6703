"""Copies of whatever the package offers go on with the bits of the original."""

import copy
import importlib
import pickle

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers

cloudpickle = pytest.importorskip("cloudpickle")
joblib = pytest.importorskip("joblib")


def through_joblib(obj, path="/dev/null"):
    import io

    buffer = io.BytesIO()
    joblib.dump(obj, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "old pickle": lambda obj: pickle.loads(pickle.dumps(obj, protocol=2)),
    "cloudpickle": lambda obj: pickle.loads(cloudpickle.dumps(obj)),
    "joblib": through_joblib,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

generator = np.random.default_rng(7)
STEPS = generator.normal(size=(6, 5, 3)).astype("float32")
ROWS = generator.normal(size=(6, 4)).astype("float32")
IDS = generator.integers(0, 7, (6, 5))
WORDS = np.array([["the cat"], ["a dog sat"], ["the end"], ["cat"], ["dog dog"], ["a"]])


def classes(*modules):
    """The public classes of modules, each once."""
    found = {}
    for name in modules:
        members = vars(importlib.import_module(f"ferrnn.{name}"))
        kinds = {k: v for k, v in members.items() if isinstance(v, type) and k[0] != "_"}
        found.update({kind: name for kind in kinds.values()})
    return list(found)


def adapted(layer, data):
    layer.adapt(data)
    return layer


def doubled(x):
    return x * 2


# How to make each layer, and what it reads.
LAYERS = {
    layers.ELU: (layers.ELU, STEPS),
    layers.Activation: (lambda: layers.Activation("gelu"), STEPS),
    layers.LeakyReLU: (layers.LeakyReLU, STEPS),
    layers.PReLU: (layers.PReLU, STEPS),
    layers.ReLU: (layers.ReLU, STEPS),
    layers.Softmax: (layers.Softmax, STEPS),
    layers.AdditiveAttention: (lambda: layers.AdditiveAttention(dropout=0.2), [STEPS, STEPS]),
    layers.Attention: (lambda: layers.Attention(use_scale=True), [STEPS, STEPS]),
    layers.Bidirectional: (
        lambda: layers.Bidirectional(layers.GRU(3, recurrent_dropout=0.3)),
        STEPS,
    ),
    layers.CategoryEncoding: (lambda: layers.CategoryEncoding(7), IDS),
    layers.Discretization: (lambda: adapted(layers.Discretization(num_bins=3), ROWS), ROWS),
    layers.Conv1D: (lambda: layers.Conv1D(4, 2, activation="relu"), STEPS),
    layers.ConvLSTM1D: (lambda: layers.ConvLSTM1D(2, 2, dropout=0.2), STEPS[..., None]),
    layers.Normalization: (lambda: adapted(layers.Normalization(), ROWS), ROWS),
    layers.Dense: (
        lambda: layers.Dense(4, kernel_regularizer="l2", bias_constraint="max_norm"),
        STEPS,
    ),
    layers.Dropout: (lambda: layers.Dropout(0.3), STEPS),
    layers.GaussianDropout: (lambda: layers.GaussianDropout(0.3), STEPS),
    layers.GaussianNoise: (lambda: layers.GaussianNoise(0.3), STEPS),
    layers.SpatialDropout1D: (lambda: layers.SpatialDropout1D(0.3), STEPS),
}
