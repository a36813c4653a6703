"""Golden training runs of users' own code: the loss of 50 steps, by Keras on JAX."""

from __future__ import annotations

import keras
import numpy as np

from custom_models import BATCH, FEATURES, NAMES, TIME, make
from making import Array, Cases, Random

STEPS = 50


def custom_cases(cases: Cases) -> None:
    """Fifty `train_on_batch` calls in float32 with Adam: every loss, and the last weights."""
    keras.config.set_floatx("float32")
    for name in NAMES:
        random = Random(f"custom-{name}")
        model = make(keras, name)
        weights = [random.normal(*w.shape, scale=0.4, dtype="float32") for w in model.get_weights()]
        model.set_weights(weights)
        inputs = random.normal(STEPS, BATCH, TIME, FEATURES, dtype="float32")
        if name == "masked":
            for batch in inputs:
                batch[~random.right_padded(BATCH, TIME)] = 0
        targets = inputs.sum(axis=(2, 3))[:, :, None] / 4
        losses = []
        for x, y in zip(inputs, targets, strict=True):
            model.reset_metrics()
            losses.append(model.train_on_batch(x, y))
        arrays: dict[str, Array] = {
            "inputs": inputs,
            "targets": targets,
            "losses": np.array(losses),
        }
        arrays |= {f"weight_{i}": w for i, w in enumerate(weights)}
        arrays |= {f"trained_{i}": w for i, w in enumerate(model.get_weights())}
        cases.add(name, {}, arrays)
