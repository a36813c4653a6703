"""Writes the files of Keras 2 and what Keras computes with them: `data/keras2.zip`, `keras2.npz`.

Made with Keras 2.15.0 on TensorFlow 2.15.1, h5py 3, Python 3.11::

    pip install tensorflow-cpu==2.15.1
    python tests/python/interop/make_keras2.py

and, into `data/tf_keras.zip` and `tf_keras.npz`, with tf_keras 2.21.0 on TensorFlow 2.21.0::

    pip install tensorflow tf-keras
    python tests/python/interop/make_keras2.py tf_keras
"""

from __future__ import annotations

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import importlib
import warnings
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from keras_models import MODELS, inputs_of, predicted, randomize, targets_of, train
from recording import Recorder

MAKER = "tf_keras" if "tf_keras" in sys.argv else "keras2"
k = importlib.import_module("tf_keras" if MAKER == "tf_keras" else "keras")
legacy = importlib.import_module(f"{k.__name__}.src.saving.legacy.hdf5_format")
COMPILED = ("lstm", "bidirectional", "two_inputs", "convolution")
ARCHIVES = ("gru", "wrappers", "convolution", "two_inputs", "nested", "stateful", "bidirectional")
WEIGHTS = ("gru", "wrappers", "nested", "convolution")


def main() -> None:
    warnings.simplefilter("ignore")
    if k.__version__ >= "3":
        raise SystemExit(f"this is Keras {k.__version__}: see the first lines of this file")
    tf.config.run_functions_eagerly(True)  # nothing runs often enough to be worth compiling
    record = Recorder(MAKER, keras=k.__version__, tensorflow=tf.__version__, h5py=h5py.__version__)
    for name, build in MODELS.items():
        if MAKER == "keras2" or name in ("two_inputs", "convolution", "wrappers"):
            add(record, name, build)
    if MAKER == "keras2":
        add_first_layers(record)
        add_graph_layers(record)
        add_cudnn(record)
        add_chunks(record)
        add_optimizers(record)
        add_custom(record)
    record.write()
    record.pack()


def keep(record: Recorder, case: str, file: str, model: Any, name: str, **about: Any) -> None:
    """Records the outputs of a model that was written to a file."""
    inputs = inputs_of(model, name)
    outputs = predicted(model, inputs)
    arrays = {f"weight_{i}": value for i, value in enumerate(model.get_weights())}
    names = [weight.name for weight in model.weights]
    record.add(case, file, inputs, outputs, {"weights": names, **about}, arrays)
    if name == "stateful":
        record.cases.arrays[f"{case}/next_0"] = predicted(model, inputs)[0]
        model.reset_states()


def add(record: Recorder, name: str, build: Any) -> None:
    """`<name>_h5`, `<name>_keras`, `<name>_weights_h5`, `<name>_weights`: one model, four ways."""
    k.backend.clear_session()
    model = build(k)
    randomize(model, name)
    folder = record.maker
    if name in COMPILED:
        model.compile(k.optimizers.Adam(2e-3), "mse")
        train(model, inputs_of(model, name), targets_of(model, name), 3)
    if MAKER == "keras2":
        model.save(record.path(f"{folder}/{name}.h5"), save_format="h5")
    if name in ARCHIVES:
        model.save(record.path(f"{folder}/{name}.keras"))
    if name in WEIGHTS and MAKER == "keras2":
        model.save_weights(record.path(f"{folder}/{name}_weights.h5"))
        model.save_weights(record.path(f"{folder}/{name}.weights.h5"))
    for suffix, file in (
        ("h5", f"{name}.h5"),
        ("keras", f"{name}.keras"),
        ("weights_h5", f"{name}_weights.h5"),
        ("weights", f"{name}.weights.h5"),
    ):
        if record.path(f"{folder}/{file}").exists():
            about = {"builder": name, "compiled": name in COMPILED}
            keep(record, f"{name}_{suffix}", f"{folder}/{file}", model, name, **about)
    if name in COMPILED and name != "convolution":
        losses = train(model, inputs_of(model, name), targets_of(model, name), 2)
        for suffix in ("h5", "keras"):
            if f"{name}_{suffix}" in record.cases.table:
                record.cases.table[f"{name}_{suffix}"]["next_losses"] = losses


def save(record: Recorder, name: str, model: Any, **about: Any) -> None:
    randomize(model, name)
    model.save(record.path(f"{MAKER}/{name}.h5"), save_format="h5")
    keep(record, name, f"{MAKER}/{name}.h5", model, name, **about)


def add_first_layers(record: Recorder) -> None:
    """Models that say `input_shape` in their first layer, and a layer that is `time_major`."""
    layers = k.layers
    model = k.Sequential([layers.LSTM(5, input_shape=(None, 4)), layers.Dense(2)])
    save(record, "input_shape", model)
    model = k.Sequential([layers.Embedding(11, 4, input_length=7), layers.GRU(5), layers.Dense(2)])
    model.build((None, 7))
    save(record, "input_length", model)
    layer = layers.LSTM(5, time_major=True, return_sequences=True, batch_input_shape=(7, 3, 4))
    save(record, "time_major", k.Sequential([layer, layers.Dense(2)]), time_major=True)


def add_graph_layers(record: Recorder) -> None:
    """The layers of `tf.compat.v1`, whose recurrent activation is the old hard_sigmoid."""
    layers = tf.compat.v1.keras.layers
    model = k.Sequential([
        k.Input((None, 4)), layers.LSTM(5, return_sequences=True),
        layers.GRU(4, return_sequences=True), k.layers.Bidirectional(layers.LSTM(3)),
        k.layers.Dense(2),
    ])  # fmt: skip
    save(record, "graph_layers", model)


def add_cudnn(record: Recorder) -> None:
    """Layers of cuDNN, which no CPU runs: the outputs are those of the plain layers.

    Keras itself loads the written weights into the plain layers, converting the layout.
    """
    layers = tf.compat.v1.keras.layers

    def build(plain: bool) -> Any:
        many = {"recurrent_activation": "sigmoid"} if plain else {}
        lstm = layers.LSTM if plain else layers.CuDNNLSTM
        gru = layers.GRU if plain else layers.CuDNNGRU
        reset = {"reset_after": True, **many} if plain else {}
        return k.Sequential([
            k.Input((None, 4)), lstm(5, return_sequences=True, **many),
            k.layers.Bidirectional(gru(3, return_sequences=True, **reset)),
            gru(4, **reset), k.layers.Dense(2),
        ])  # fmt: skip

    model = build(plain=False)
    randomize(model, "cudnn")
    plain = build(plain=True)
    for case, write in (("cudnn", model.save), ("cudnn_weights", model.save_weights)):
        path = record.path(f"{MAKER}/{case}.h5")
        write(path, save_format="h5")
        plain.load_weights(path)
        keep(record, case, f"{MAKER}/{case}.h5", plain, "cudnn")


def add_chunks(record: Recorder) -> None:
    """Lists of names in several attributes: the limit that cuts them is lowered to 96 bytes."""
    limit = legacy.HDF5_OBJECT_HEADER_LIMIT
    legacy.HDF5_OBJECT_HEADER_LIMIT = 96
    try:
        save(record, "chunked_names", MODELS["nested"](k), builder="nested")
    finally:
        legacy.HDF5_OBJECT_HEADER_LIMIT = limit
    with h5py.File(record.path(f"{MAKER}/chunked_names.h5")) as file:
        if "layer_names1" not in file["model_weights"].attrs:
            raise ValueError("the names were not cut")


def add_optimizers(record: Recorder) -> None:
    """The state of other optimizers, the older ones of `optimizers.legacy` among them."""
    table = {
        "sgd": k.optimizers.SGD(0.05, momentum=0.8, nesterov=True),
        "rmsprop": k.optimizers.RMSprop(2e-3, rho=0.8),
        "adam_legacy": k.optimizers.legacy.Adam(2e-3, decay=1e-3),
        "adamw_clipped": k.optimizers.AdamW(2e-3, weight_decay=0.01, clipnorm=0.5),
    }
    for name, optimizer in table.items():
        k.backend.clear_session()
        model = k.Sequential([k.Input((None, 3)), k.layers.GRU(4), k.layers.Dense(2)])
        randomize(model, name)
        model.compile(optimizer, k.losses.Huber(0.8), metrics=["mae"])
        inputs, targets = inputs_of(model, name), targets_of(model, name)
        train(model, inputs, targets, 3)
        file = f"{MAKER}/optimizer_{name}.h5"
        model.save(record.path(file), save_format="h5")
        keep(record, f"optimizer_{name}", file, model, name)
        losses = train(model, inputs, targets, 2)
        record.cases.table[f"optimizer_{name}"] |= {"next_losses": losses}


def add_custom(record: Recorder) -> None:
    """A layer of the user's, registered and not; and a Lambda, which no reader should run."""

    class Scale(k.layers.Layer):
        """Multiplies by a trained vector, and by a number of its config."""

        def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    def build() -> Any:
        return k.Sequential(
            [k.Input((None, 4)), Scale(0.7), k.layers.LSTM(3), Scale(1.3), k.layers.Dense(2)]
        )

    save(record, "custom", build(), custom="Scale: inputs * scale * factor")
    k.saving.register_keras_serializable("lab")(Scale)
    model = build()
    randomize(model, "custom_registered")
    for suffix in ("h5", "keras"):
        file = f"{MAKER}/custom_registered.{suffix}"
        model.save(record.path(file))
        keep(record, f"custom_registered_{suffix}", file, model, "custom_registered",
             custom="lab>Scale: inputs * scale * factor")  # fmt: skip
    model = k.Sequential(
        [k.Input((4,)), k.layers.Dense(3), k.layers.Lambda(lambda x: x * np.float32(2))]
    )
    for suffix in ("h5", "keras"):
        model.save(record.path(f"{MAKER}/lambda.{suffix}"))
        record.refused(f"lambda_{suffix}", f"{MAKER}/lambda.{suffix}", "a Lambda holds code")


if __name__ == "__main__":
    main()
