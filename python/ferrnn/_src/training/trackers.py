"""Callbacks for tools that compare trainings: MLflow, Optuna, Weights & Biases."""

from __future__ import annotations

import time
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.rates import rates_if_any

# MLflow's limit on the length of a parameter's value.
_LONGEST_VALUE = 6000


class MlflowCallback(Callback):
    """Logs training to an MLflow run: settings once, losses and metrics after each epoch.

    Needs `pip install ferrnn[mlflow]`. Parameters are the optimizer's settings as
    "optimizer_learning_rate" and so on, "epochs", "steps" and the number of weights; those
    that the run already has are kept. The summary of the model is an artifact.

    Args:
        run: A run, or its id. If None, the active one; if there is none, one is started that ends
            with training.
        log_every_n_steps: If given, "batch_loss" and so on are logged after every n batches.

    Raises:
        ImportError: If MLflow is missing.
        ValueError: If `log_every_n_steps` is not a positive number.
    """

    def __init__(self, run: Any = None, log_every_n_steps: int | None = None) -> None:
        super().__init__()
        mlflow_package()  # raises early if the package is missing
        self.log_every_n_steps = _checked_interval(log_every_n_steps, "log_every_n_steps")
        self._given: str | None = run if run is None or isinstance(run, str) else run.info.run_id
        self.run_id = self._given
        self._started = False
        self._batches = 0

    @property
    def unheard(self) -> frozenset[str]:
        """Hooks without effect, if nothing is logged after batches."""
        return frozenset(() if self.log_every_n_steps else ("on_train_batch_end",))

    def get_state(self) -> int:
        """The number of batches."""
        return self._batches

    def set_state(self, state: int) -> None:
        """Restores the number of batches."""
        self._batches = state

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Finds or starts the run, and logs the settings."""
        mlflow, self._batches = mlflow_package(), 0
        if self._given is None:
            active = mlflow.active_run()
            self._started = active is None
            self.run_id = (active or mlflow.start_run()).info.run_id
        client = mlflow.MlflowClient()
        known = client.get_run(self.run_id).data.params
        new = {name: value for name, value in self._settings().items() if name not in known}
        client.log_batch(
            self.run_id, params=[mlflow.entities.Param(name, new[name]) for name in new]
        )
        lines: list[str] = []
        self.model.summary(print_fn=lambda line, **_: lines.append(str(line)))
        client.log_text(self.run_id, "\n".join(lines), "model_summary.txt")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Logs the running values, every `log_every_n_steps` batches."""
        self._batches += 1
        if self.log_every_n_steps and self._batches % self.log_every_n_steps == 0:
            self._log(
                {f"batch_{name}": value for name, value in (logs or {}).items()}, self._batches
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Logs the values of the epoch, with the learning rate."""
        self._log({**(logs or {}), **rates_if_any(self.model)}, epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Ends the run if it was started here."""
        if self._started:
            mlflow_package().end_run()
            self._started = False

    def _settings(self) -> dict[str, str]:
        optimizer = self.model.optimizer
        config = {} if optimizer is None else optimizer.get_config()
        found = {
            **{f"optimizer_{name}": value for name, value in config.items()},
            **{name: self.params.get(name) for name in ("epochs", "steps")},
            "weights": self.model.count_params(),
        }
        return {name: str(value)[:_LONGEST_VALUE] for name, value in found.items()}

    def _log(self, values: Logs, step: int) -> None:
        mlflow, now = mlflow_package(), int(time.time() * 1000)
        metrics = [
            mlflow.entities.Metric(name, float(value), now, step) for name, value in values.items()
        ]
        mlflow.MlflowClient().log_batch(self.run_id, metrics=metrics)


class OptunaPruningCallback(Callback):
    """Reports a value to an Optuna trial after each epoch, and ends unpromising trials.

    Needs `pip install ferrnn[optuna]`. When the study's pruner says so, `fit` raises
    `optuna.TrialPruned`, which the study expects.

    Args:
        trial: The trial that the objective was given.
        monitor: The value in the logs that the study minimizes or maximizes.
        interval: The number of epochs between two questions to the pruner.

    Raises:
        ImportError: If Optuna is missing.
        TypeError: If `trial` is not a trial.
        ValueError: If `interval` is not a positive number.
    """

    def __init__(self, trial: Any, monitor: str = "val_loss", interval: int = 1) -> None:
        super().__init__()
        optuna_package()
        if not hasattr(trial, "should_prune"):
            raise TypeError(
                f"`trial` must be an Optuna trial, received {type(trial).__name__}: {trial!r}"
            )
        self.trial = trial
        self.monitor = monitor
        self.interval = _checked_interval(interval, "interval") or 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Reports the value, and asks the pruner.

        Raises:
            optuna.TrialPruned: If the trial is to end.
        """
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(
                f"Pruning is conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}."
            )
            return
        self.trial.report(float(value), step=epoch)
        if (epoch + 1) % self.interval == 0 and self.trial.should_prune():
            raise optuna_package().TrialPruned(
                f"The trial was pruned after epoch {epoch}, {self.monitor} = {value:.6g}."
            )


class WandbMetricsLogger(Callback):
    """Logs losses and metrics to a run of Weights & Biases, under the names its own logger uses.

    Needs `pip install ferrnn[wandb]`, and a run: `wandb.init()`, which also sets whether it uses
    the network (`mode="offline"`). After each epoch "epoch/loss" and so on over
    "epoch/epoch", and "epoch/learning_rate"; or after batches "batch/loss" over
    "batch/batch_step".

    Args:
        log_freq: "epoch", "batch", or a number of batches.
        initial_global_step: The number of batches of earlier training runs, at which
            "batch/batch_step" starts.

    Raises:
        ImportError: If wandb is missing.
        RuntimeError: If there is no run.
        ValueError: If `log_freq` is anything else.
    """

    def __init__(self, log_freq: str | int = "epoch", initial_global_step: int = 0) -> None:
        super().__init__()
        if wandb_package().run is None:
            raise RuntimeError("WandbMetricsLogger requires a run: call `wandb.init()` first")
        if log_freq == "batch":
            log_freq = 1
        if isinstance(log_freq, str) and log_freq != "epoch":
            raise ValueError(
                f"`log_freq` must be 'epoch', 'batch' or a number of batches, received {log_freq!r}"
            )
        self.log_freq = None if log_freq == "epoch" else _checked_interval(log_freq, "log_freq")
        self.global_step = initial_global_step
        kind, axis = ("batch", "batch_step") if self.log_freq else ("epoch", "epoch")
        wandb_package().define_metric(f"{kind}/{axis}")
        wandb_package().define_metric(f"{kind}/*", step_metric=f"{kind}/{axis}")

    @property
    def unheard(self) -> frozenset[str]:
        """Hooks without effect, if nothing is logged after batches."""
        return frozenset(() if self.log_freq else ("on_train_batch_end",))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Logs the running values, every `log_freq` batches."""
        if self.log_freq and batch % self.log_freq == 0:
            self._log("batch", "batch_step", self.global_step, logs)
        self.global_step += 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Logs the values of the epoch."""
        if not self.log_freq:
            self._log("epoch", "epoch", epoch, logs)

    def _log(self, kind: str, axis: str, place: int, logs: Logs | None) -> None:
        values = {**(logs or {}), **rates_if_any(self.model)}
        named = {f"{kind}/{name}": value for name, value in values.items()}
        wandb_package().log({**named, f"{kind}/{axis}": place})


def _checked_interval(value: Any, name: str) -> int | None:
    """A positive number of epochs or batches; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive number, received {value!r}")
    return value


def _missing(package: str) -> ImportError:
    return ImportError(
        f"This needs the package `{package}`, which the extra of that name installs: pip install "
        f"'ferrnn[{package}]'"
    )


def mlflow_package() -> Any:
    """MLflow, loaded on first use."""
    try:
        import mlflow  # noqa: PLC0415
    except ImportError:
        raise _missing("mlflow") from None
    return mlflow


def optuna_package() -> Any:
    """Optuna, loaded on first use."""
    try:
        import optuna  # noqa: PLC0415
    except ImportError:
        raise _missing("optuna") from None
    return optuna


def wandb_package() -> Any:
    """The package of Weights & Biases, loaded on first use."""
    try:
        import wandb  # noqa: PLC0415
    except ImportError:
        raise _missing("wandb") from None
    return wandb
