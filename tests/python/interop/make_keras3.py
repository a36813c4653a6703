"""Writes the files of Keras 3 and what Keras computes with them: `data/keras3.zip`, `keras3.npz`.

Made with Keras 3.15.1 on TensorFlow 2.21.0, h5py 3.14.0, Python 3.12::

    pip install tensorflow keras
    python tests/python/interop/make_keras3.py
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import warnings
from typing import Any

import h5py
import keras as k
import tensorflow as tf

from keras_models import MODELS, inputs_of, predicted, randomize, targets_of, train
from recording import Recorder

COMPILED = ("lstm", "bidirectional", "two_inputs")
LEGACY = ("gru", "bidirectional", "two_inputs", "nested", "options", "convolution")
WEIGHTS = ("gru", "wrappers", "nested", "convolution")


def scaling() -> Any:
    layers = k.layers
    x = k.Input((6, 4))
    y = layers.LSTM(6, return_sequences=True)(x)
    y = layers.GroupNormalization(3)(y)
    y = layers.RMSNormalization()(y)
    y = layers.UnitNormalization()(y)
    y = layers.GaussianNoise(0.1)(layers.GaussianDropout(0.1)(y))
    y = layers.Normalization(mean=[0.1] * 6, variance=[1.3] * 6)(y)
    return k.Model(x, layers.Dense(2)(layers.GlobalMaxPooling1D()(y)))


def bare() -> Any:
    """An embedding and the other options of Keras 3's recurrent layers."""
    layers = k.layers
    return k.Sequential([
        k.Input((None,)), layers.Embedding(9, 5), layers.LSTM(4, return_sequences=True,
        zero_output_for_mask=True, seed=3), layers.GRU(3, unroll=False, dtype="float32"),
        layers.Dense(2, activation="gelu"),
    ])  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    if k.__version__ < "3":
        raise SystemExit(f"this is Keras {k.__version__}")
    tf.config.run_functions_eagerly(True)  # nothing runs often enough to be worth compiling
    record = Recorder(
        "keras3", keras=k.__version__, backend=k.backend.backend(), h5py=h5py.__version__
    )
    for name, build in {**MODELS, "scaling": lambda _: scaling(), "bare": lambda _: bare()}.items():
        add(record, name, build)
    record.write()
    record.pack()


def keep(record: Recorder, case: str, file: str, model: Any, name: str, **about: Any) -> None:
    inputs = inputs_of(model, name)
    outputs = predicted(model, inputs)
    arrays = {f"weight_{i}": value for i, value in enumerate(model.get_weights())}
    names = [weight.path for weight in model.weights]
    record.add(case, file, inputs, outputs, {"weights": names, **about}, arrays)
    if name == "stateful":
        record.cases.arrays[f"{case}/next_0"] = predicted(model, inputs)[0]
        for layer in model.layers:
            if hasattr(layer, "reset_states"):
                layer.reset_states()
            elif hasattr(layer, "reset_state"):
                layer.reset_state()


def add(record: Recorder, name: str, build: Any) -> None:
    """`<name>_keras`, `<name>_h5`, `<name>_weights`: one model, up to three ways."""
    k.backend.clear_session()
    model = build(k)
    randomize(model, name)
    if name in COMPILED:
        model.compile(k.optimizers.Adam(2e-3), "mse")
        train(model, inputs_of(model, name), targets_of(model, name), 3)
    files = {"keras": f"keras3/{name}.keras"}
    model.save(record.path(files["keras"]))
    if name in LEGACY:
        files["h5"] = f"keras3/{name}.h5"
        model.save(record.path(files["h5"]))
    if name in WEIGHTS:
        files["weights"] = f"keras3/{name}.weights.h5"
        model.save_weights(record.path(files["weights"]))
    for suffix, file in files.items():
        about = {"builder": name, "compiled": name in COMPILED}
        keep(record, f"{name}_{suffix}", file, model, name, **about)
    if name in COMPILED:
        losses = train(model, inputs_of(model, name), targets_of(model, name), 2)
        for suffix in files.keys() - {"weights"}:
            record.cases.table[f"{name}_{suffix}"]["next_losses"] = losses


if __name__ == "__main__":
    main()
