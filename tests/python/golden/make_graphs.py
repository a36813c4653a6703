"""Golden cases of functional models: fifty steps of training, and the tables of `summary`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from graph_models import GRAPHS
from making import Array, Cases, Random

STEPS = 50


def graph_cases(cases: Cases) -> None:
    """Losses of fifty `train_on_batch` calls in float32, the last weights, and the table."""
    keras.config.set_floatx("float32")
    for name, build in GRAPHS.items():
        random = Random(name)
        keras.utils.clear_session()
        model = build(keras)
        weights = [random.normal(*w.shape, scale=0.4, dtype="float32") for w in model.get_weights()]
        model.set_weights(weights)
        arrays: dict[str, Any] = {}
        for place, tensor in enumerate(model.inputs):
            shape = (STEPS, 8, *tensor.shape[1:])
            arrays[f"inputs_{place}"] = random.normal(*shape, dtype="float32")
        targets = _targets(name, arrays)
        arrays |= {f"targets_{place}": target for place, target in enumerate(targets)}
        arrays |= {f"weight_{place}": weight for place, weight in enumerate(weights)}
        losses = []
        for step in range(STEPS):
            x = [arrays[f"inputs_{place}"][step] for place in range(len(model.inputs))]
            y = [target[step] for target in targets]
            model.reset_metrics()
            y = y[0] if len(y) == 1 else y
            losses.append(model.train_on_batch(x, y, return_dict=True)["loss"])
        arrays["losses"] = np.array(losses)
        arrays |= {f"trained_{i}": w for i, w in enumerate(model.get_weights())}
        cases.add(name, {"summary": _table(model)}, arrays)


def _table(model: Any) -> str:
    lines: list[str] = []
    model.summary(line_length=76, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines)


def _targets(name: str, arrays: dict[str, Array]) -> list[Array]:
    """Targets that can be learned from the inputs."""
    first, second = arrays["inputs_0"], arrays["inputs_1"]
    if name == "several_inputs":
        kind = (second[..., 0] > 0).astype("int32") + (second[..., 1] > 0)
        return [first.sum(axis=(2, 3))[..., None] / 4, kind]
    if name == "encoder_decoder":
        later = (first[:, :, 1:, 0] > 0).astype("int32") + (second[..., 0] > 0)
        return [later]
    return [(first[..., 0].sum(-1) - second[..., 0].sum(-1))[..., None] / 4]
