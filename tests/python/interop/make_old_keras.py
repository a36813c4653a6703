"""Writes the files of Keras 1: `data/keras1/`, `keras1.npz`.

These need a Python and a NumPy too old for this script, so they run in an interpreter of their own.
Made with Keras 1.2.2 on TensorFlow 1.15.5, Python 3.7::

    python3.7 -m venv old && old/bin/pip install keras==1.2.2 tensorflow==1.15.5 "h5py<3" \
        "protobuf<3.21" "numpy<1.19" "scipy<1.6" pyyaml
    python tests/python/interop/make_old_keras.py keras1 old/bin/python
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from recording import DATA, Recorder


def main() -> None:
    maker, interpreter = sys.argv[1:]
    script = Path(__file__).parent / f"{maker}_models.py"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter, str(script), folder], check=True)
        with np.load(Path(folder, "numbers.npz")) as stored:
            numbers = {key: stored[key] for key in stored.files}
        (DATA / maker).mkdir(exist_ok=True)
        for path in Path(folder).glob("*.*5"):
            shutil.copy(path, DATA / maker / path.name)
    record = Recorder(maker, **json.loads(str(numbers.pop("versions"))))
    for key in list(numbers):
        if key.endswith("/about"):
            add(record, key.removesuffix("/about"), numbers)
    record.write()


def add(record: Recorder, name: str, numbers: dict[str, np.ndarray]) -> None:
    about = json.loads(str(numbers[f"{name}/about"]))
    file = f"{record.maker}/{about.pop('file')}"
    arrays = {
        key.removeprefix(f"{name}/"): value
        for key, value in numbers.items()
        if key.startswith(f"{name}/") and not key.endswith("/about")
    }
    if about.get("refused"):
        record.refused(name, file, about["refused"])
    else:
        record.add(name, file, [], [], about, arrays)


if __name__ == "__main__":
    main()
