"""Models of several outputs and what they are compiled with: what they report, in which order."""

from __future__ import annotations

from typing import Any

import numpy as np

BIASES = {"price": 3.0, "load": 1.0, "more": 2.0}
LISTED, KEYED = ["mse", "mae", "mse"], {"more": "mse", "price": "mae", "load": "mse"}
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "dict-losses": ("dict", {"price": "mse", "load": "mse", "more": "mae"}, {}),
    "dict-losses-turned": ("dict", KEYED, {}),
    "dict-losses-of-some": ("dict", {"more": "mse", "load": "mae"}, {}),
    "dict-one-loss": ("dict", "mse", {}),
    "dict-listed-losses": ("dict", LISTED, {}),
    "dict-metrics": (
        "dict",
        KEYED,
        {
            "metrics": {"price": ["mae", "mse"], "load": ["mae"]},
            "weighted_metrics": {"price": ["mae"]},
        },
    ),
    "list-losses": ("list", KEYED, {}),
    "list-listed-losses": ("list", LISTED, {"metrics": [["mae", "mse"], ["mae"], ["mse"]]}),
    "list-weighted-losses": ("list", ["mse", "mse", "mse"], {"loss_weights": [1.0, 0.5, 2.0]}),
    "single": ("single", "mse", {"metrics": ["mse", "mae"], "weighted_metrics": ["mape"]}),
}


def report(keras: Any, name: str) -> dict[str, Any]:
    """What a model reports about itself and about four samples."""
    structure, loss, options = CASES[name]
    inputs = keras.Input((2,))
    heads = {key: _head(keras, key)(inputs) for key in BIASES}
    outputs: Any = heads if structure == "dict" else list(heads.values())
    zeros = np.zeros((4, 1), "float32")
    targets: Any = dict.fromkeys(BIASES, zeros) if structure == "dict" else [zeros] * 3
    if structure == "single":
        outputs, targets = heads["price"], zeros + 1.0
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), loss, **options)
    x = np.ones((4, 2), "float32")
    fresh = model.metrics_names
    found = {
        "names_before": fresh,
        "evaluate": model.evaluate(x, targets, verbose=0),
        "names": model.metrics_names,
        "kinds": [type(metric).__name__ for metric in model.metrics],
        "test_on_batch": model.test_on_batch(x, targets),
        "train_on_batch": model.train_on_batch(x, targets),
        "logs": model.evaluate(x, targets, verbose=0, return_dict=True),
    }
    history = model.fit(x, targets, verbose=0, validation_data=(x, targets)).history
    found["history"] = {key: values[0] for key, values in history.items()}
    as_floats: dict[str, Any] = keras.tree.map_structure(
        lambda value: value if isinstance(value, str) else float(value), found
    )
    return as_floats


def _head(keras: Any, name: str) -> Any:
    bias = keras.initializers.Constant(BIASES[name])
    return keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=bias, name=name)
