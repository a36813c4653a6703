"""Has Keras open the files that ferrnn writes, and records what it finds; and files by Keras.

It needs both packages in one environment, Keras on its JAX backend::

    pip install keras==3.15.1 jax==0.10.2 h5py && maturin develop
    python tests/python/golden/make_files.py

Each model of `file_models.py` is written by ferrnn, trained for one step; Keras opens it, predicts,
and trains for a second step: its predictions, losses and the names it found go into `files.json`.
Each is written by Keras as well, to `<name>.keras`.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import ferrnn
from file_models import MODELS, data, weights

HERE = Path(__file__).parent


def main() -> None:
    found: dict[str, Any] = {"keras": keras.__version__}
    for name, build in MODELS.items():
        x, y = data(name)
        ours = trained(build(ferrnn), x, y)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            ours.save(path)
            theirs = keras.models.load_model(path)
            ours.save_weights(Path(folder, "model.weights.h5"))
            again = build(keras)
            again.build_from_config({"input_shape": None})
            again.load_weights(Path(folder, "model.weights.h5"))
            with h5py.File(Path(folder, "model.weights.h5")) as file:
                layout: list[str] = []
                file.visit(layout.append)
        predicted = listed(theirs.predict_on_batch(x))
        for one, other in zip(predicted, listed(again.predict_on_batch(x)), strict=True):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(predicted, listed(ours.predict_on_batch(x)), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
        found[name] = {
            "predicted": [np.asarray(part).tolist() for part in predicted],
            "layout": sorted(layout),
            "second_loss": float(theirs.train_on_batch(x, y, return_dict=True)["loss"]),
            "second_predicted": [p.tolist() for p in listed(theirs.predict_on_batch(x))],
            "weights": [weight.path.split("/")[-1] for weight in theirs.weights],
            "config": names_in(theirs.get_config()),
        }
        trained(build(keras), x, y).save(HERE / f"{name}.keras")
    (HERE / "files.json").write_text(json.dumps(found, indent=None) + "\n", encoding="utf-8")


def trained(model: Any, x: Any, y: Any) -> Any:
    """The model with fixed weights, after one step without dropout."""
    for layer in model.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    model.set_weights(weights([weight.shape for weight in model.weights]))
    model.train_on_batch(x, y)
    return model


def listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def names_in(config: Any) -> list[str]:
    return [layer["config"]["name"] for layer in config["layers"]]


if __name__ == "__main__":
    main()
