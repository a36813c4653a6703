"""Golden reports of models with several outputs, by Keras on JAX: names, values, their order."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from reports import CASES, report

if __name__ == "__main__":
    found = {name: report(keras, name) for name in CASES}
    table = {"versions": {"keras": keras.__version__}, "reports": found}
    path = Path(__file__).parent / "reports.json"
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
