"""Writes keras_api.json: Keras' public names and their arguments. Run once, with Keras installed.

    KERAS_BACKEND=jax python tests/python/golden/make_api.py

Made with Keras 3.15.1 on JAX 0.10.2.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras

from signatures import table_of


def main() -> None:
    """Writes the file beside this one, a line for each module or class."""
    table = table_of("keras")
    lines = [
        f"{json.dumps(path)}: {json.dumps(names, separators=(',', ':'), sort_keys=True)}"
        for path, names in table.items()
    ]
    version = f'"version": {json.dumps(keras.__version__)}'
    path = Path(__file__).parent / "keras_api.json"
    path.write_text("{\n" + ",\n".join([version, *lines]) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
