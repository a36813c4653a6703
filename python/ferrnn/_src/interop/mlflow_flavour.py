"""The flavor `ferrnn` of MLflow models, which any program can open through `mlflow.pyfunc`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.interop.load_model import load_model as load_file
from ferrnn._src.interop.save_model import save_model as save_file
from ferrnn._src.models.rows import score_frame
from ferrnn._src.training.trackers import mlflow_package
from ferrnn._version import __version__

_FLAVOUR = "ferrnn"
_FILE = "model.safetensors"
_BATCH = 256


def save_model(model: Any, path: str | os.PathLike[str], **options: Any) -> None:
    """Saves a model to an MLflow folder, with the flavors `ferrnn` and `python_function`.

    Args:
        model: A built model.
        path: The folder, which must not exist yet.
        **options: Arguments of `mlflow.pyfunc.save_model`: `input_example`, `signature` (that
            of the example if not given), `pip_requirements` (this version of ferrnn if not given),
            `metadata` and others.

    Raises:
        ImportError: If MLflow is missing.
        TypeError: If `model` is not a model.
        mlflow.MlflowException: If the folder exists, or an option is wrong.
    """
    mlflow = mlflow_package()
    if not hasattr(model, "predict_on_batch"):
        raise TypeError(f"`model` must be a model, received {type(model).__name__}: {model!r}")
    if "conda_env" not in options:
        options.setdefault("pip_requirements", [f"ferrnn=={__version__}"])
    example = options.get("input_example")
    if example is not None and options.get("signature") is None:
        outputs = _Predictor(model).predict(example)
        options["signature"] = mlflow.models.infer_signature(example, outputs)
    described = options.pop("mlflow_model", None) or mlflow.models.Model()
    described.add_flavor(_FLAVOUR, ferrnn_version=__version__, data=f"data/{_FILE}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, _FILE)
        save_file(model, file)
        mlflow.pyfunc.save_model(
            os.fspath(path),
            loader_module="ferrnn.mlflow",
            data_path=os.fspath(file),
            mlflow_model=described,
            **options,
        )


def log_model(model: Any, name: str = "model", **options: Any) -> Any:
    """Logs a model to the active MLflow run; one is started if there is none.

    Args:
        model: A built model.
        name: The name of the model.
        **options: Arguments of `save_model`, and of `mlflow.models.Model.log`:
            `registered_model_name`, `params`, `tags`, `step` and others.

    Returns:
        The `ModelInfo` of MLflow, whose `model_uri` opens the model.

    Raises:
        ImportError: If MLflow is missing.
    """
    return mlflow_package().models.Model.log(
        artifact_path=None, name=name, flavor=sys.modules["ferrnn.mlflow"], model=model, **options
    )


def load_model(model_uri: str, **options: Any) -> Any:
    """Opens a model that `log_model` or `save_model` wrote, as a model of ferrnn.

    Args:
        model_uri: A folder, or an address such as `models:/...` or `runs:/...`.
        **options: Arguments of `ferrnn.load_model`, such as `custom_objects`.

    Raises:
        ImportError: If MLflow is missing.
        ValueError: If the model has no flavor `ferrnn`.
    """
    mlflow = mlflow_package()
    folder = mlflow.artifacts.download_artifacts(artifact_uri=model_uri)
    flavours = mlflow.models.Model.load(folder).flavors
    if _FLAVOUR not in flavours:
        raise ValueError(
            f"`model_uri` must be a model with the flavor {_FLAVOUR!r}, received {model_uri!r} "
            f"with {sorted(flavours)}"
        )
    return load_file(Path(folder, flavours[_FLAVOUR]["data"]), **options)


def _load_pyfunc(path: str) -> _Predictor:
    """Called by MLflow to open the flavor `python_function`."""
    return _Predictor(load_file(path))


class _Predictor:
    """A model for MLflow's scoring: returns frames for frames, and arrays for arrays."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The outputs; `params` may have the `batch_size`."""
        size = int((params or {}).get("batch_size", _BATCH))
        if hasattr(data, "columns"):
            return score_frame(self.model, data, list(data.columns), size)
        given = np.asarray(data) if isinstance(data, list) else data
        return self.model.predict(given, batch_size=size, verbose=0)

    def get_raw_model(self) -> Any:
        """The ferrnn model, for `mlflow.pyfunc.PyFuncModel.get_raw_model()`."""
        return self.model
