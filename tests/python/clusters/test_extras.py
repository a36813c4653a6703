"""What is missing is named, with the extra that brings it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("statement", "package"),
    [
        ("from ferrnn.dask import predict", "dask"),
        ("from ferrnn.ray import predict", "ray"),
        ("import ferrnn.mlflow; ferrnn.mlflow.load_model('here')", "mlflow"),
    ],
)
def test_an_error_names_the_extra(statement, package):
    code = f"import sys; sys.modules[{package!r}] = None; {statement}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert f"pip install 'ferrnn[{package}]'" in result.stderr.splitlines()[-1]
