"""Tests what works with other packages against the newest of them, in an environment of its own.

They are heavy, and want versions of their own of what the tests of ferrnn use: `dev` has none.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import requires
from pathlib import Path
from site import getsitepackages

# With Java, what the recipe for Spark in docs/clusters.md needs.
SPARK = ["pandas", "pyarrow", "pyspark"] if shutil.which("java") else []
EXTRAS = {"dask", "mlflow", "optuna", "ray", "sktime", "wandb"}
TESTS = [
    "tests/python/clusters",
    "tests/python/forecasting/test_sktime_adapter.py",
    "tests/python/interop/test_mlflow.py",
    "tests/python/test_documents.py",
    "tests/python/training/test_trackers.py",
]
_SITE = "import site; print(site.getsitepackages()[0])"


def packages() -> list[str]:
    """What the extras bring."""
    found = []
    for requirement in requires("ferrnn") or []:
        name, _, condition = requirement.partition(";")
        if EXTRAS & set(re.findall(r"extra == [\"'](\w+)", condition)):
            found.append(name.strip())
    return found


def main() -> int:
    """Makes the environment above the one this runs in; the status of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        own = subprocess.run([python, "-c", _SITE], check=True, capture_output=True, text=True)
        below = f"import site; site.addsitedir({getsitepackages()[0]!r})\n"
        Path(own.stdout.strip(), "below.pth").write_text(below, encoding="utf-8")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages(), *SPARK], check=True)
        tests = [python, "-m", "pytest", "-q", *TESTS]
        environment = {**os.environ, "FERRNN_DEEP": "1"}
        return subprocess.run(tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
