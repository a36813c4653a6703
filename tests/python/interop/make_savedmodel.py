"""Writes SavedModels without their graphs: `data/savedmodel.zip`, `savedmodel.npz`.

Kept are `variables/` and `keras_metadata.pb`: `saved_model.pb` is code, and a hundred times larger.
Made with Keras 2.15.0 on TensorFlow 2.15.1, Python 3.11::

    pip install tensorflow-cpu==2.15.1
    python tests/python/interop/make_savedmodel.py
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras as k
import numpy as np
import tensorflow as tf

from keras_models import MODELS, inputs_of, predicted, randomize, targets_of, train
from recording import DATA, Recorder

NAMES = ("lstm", "gru", "bidirectional", "two_inputs")
COMPILED = ("lstm", "two_inputs")


def main() -> None:
    warnings.simplefilter("ignore")
    record = Recorder("savedmodel", keras=k.__version__, tensorflow=tf.__version__)
    for name in NAMES:
        k.backend.clear_session()
        model = MODELS[name](k)
        randomize(model, name)
        if name in COMPILED:
            model.compile(k.optimizers.Adam(2e-3), "mse")
            train(model, inputs_of(model, name), targets_of(model, name), 2)
        write(model, name)
        arrays = {f"weight_{i}": value for i, value in enumerate(model.get_weights())}
        inputs = inputs_of(model, name)
        about = {"weights": [weight.name for weight in model.weights], "builder": name}
        record.add(name, f"savedmodel/{name}", inputs, predicted(model, inputs), about, arrays)
    write_with_an_older_optimizer(record)
    record.write()
    record.pack()


def write_with_an_older_optimizer(record: Recorder) -> None:
    """RMSprop as it was before Keras 2.11, and the losses with which training continues."""
    k.backend.clear_session()
    model = MODELS["lstm"](k)
    randomize(model, "lstm")
    rule = k.optimizers.legacy.RMSprop(1e-3, momentum=0.5, centered=True)
    model.compile(rule, "mse")
    inputs, targets = inputs_of(model, "lstm"), targets_of(model, "lstm")
    train(model, inputs, targets, 3)
    write(model, "older_optimizer")
    before = predicted(model, inputs)
    arrays = {f"weight_{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"target_{i}": value for i, value in enumerate(targets)}
    losses = [float(model.train_on_batch(inputs, targets)) for _ in range(3)]
    arrays["losses"] = np.array(losses)
    about = {"weights": [weight.name for weight in model.weights], "builder": "lstm"}
    record.add("older_optimizer", "savedmodel/older_optimizer", inputs, before, about, arrays)


def write(model: Any, name: str) -> None:
    target = DATA / "savedmodel" / name
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, save_format="tf")
        shutil.copytree(Path(folder, "variables"), target / "variables")
        shutil.copy(Path(folder, "keras_metadata.pb"), target)


if __name__ == "__main__":
    main()
