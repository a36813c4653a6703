"""Callbacks for MLflow, Optuna and Weights & Biases, with the real packages where they are."""

import copy
import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from ferrnn.callbacks import MlflowCallback, OptunaPruningCallback, WandbMetricsLogger
from ferrnn.layers import GRU, Dense, Input

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]


def network(units=3, rate=0.01):
    model = ferrnn.Sequential([Input((6, 2)), GRU(units), Dense(1)])
    model.compile(ferrnn.optimizers.Adam(rate), loss="mse", metrics=["mae"])
    return model


def samples(count=37):
    x = np.random.default_rng(2).normal(size=(count, 6, 2))
    return x, x[:, -1:, 0] * x[:, -3:-2, 1]


def fitted(callback, epochs=3, **options):
    model = network()
    x, y = samples()
    options = {"batch_size": 8, "validation_split": 0.3, "verbose": 0, **options}
    return model, model.fit(x, y, epochs=epochs, callbacks=[callback], **options)


MAKING = {
    "mlflow": "MlflowCallback()",
    "optuna": "OptunaPruningCallback(None)",
    "wandb": "WandbMetricsLogger()",
}
WITHOUT_THEM = f"""
import sys
sys.modules.update(dict.fromkeys({list(MAKING)}))
from ferrnn.callbacks import *
for made in {list(MAKING.values())}:
    try:
        eval(made)
    except ImportError as error:
        print(error)
"""


def test_a_missing_package_is_named_with_its_extra():
    command = [sys.executable, "-c", WITHOUT_THEM]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for package in MAKING:
        assert f"This needs the package `{package}`" in told
        assert f"pip install 'ferrnn[{package}]'" in told


class TestMlflow:
    @pytest.fixture(autouse=True)
    def store(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        self.mlflow = pytest.importorskip("mlflow")
        monkeypatch.chdir(tmp_path)
        self.mlflow.set_tracking_uri((tmp_path / "store").as_uri())
        yield
        while self.mlflow.active_run():
            self.mlflow.end_run()

    def history(self, run, name):
        found = self.mlflow.MlflowClient().get_metric_history(run, name)
        return [(each.step, each.value) for each in found]

    def test_settings_epochs_and_summary_are_in_the_run(self):
        with self.mlflow.start_run() as active:
            _, history = fitted(MlflowCallback())
        run = self.mlflow.get_run(active.info.run_id)
        for name in ("loss", "mae", "val_loss", "val_mae"):
            logged = self.history(run.info.run_id, name)
            assert logged == list(enumerate(history.history[name]))
        assert self.history(run.info.run_id, "learning_rate")[0][1] == pytest.approx(0.01)
        assert float(run.data.params["optimizer_learning_rate"]) == pytest.approx(0.01)
        assert run.data.params["optimizer_name"] == "adam"
        assert run.data.params["epochs"] == "3"
        assert run.data.params["weights"] == str(network().count_params())
        text = self.mlflow.artifacts.load_text(f"{run.info.artifact_uri}/model_summary.txt")
        assert "gru" in text

    def test_a_second_training_goes_on_in_the_run(self):
        with self.mlflow.start_run() as active:
            model, _ = fitted(MlflowCallback(), epochs=2)
            x, y = samples()
            model.fit(x, y, epochs=4, initial_epoch=2, callbacks=[MlflowCallback()], verbose=0)
        assert [step for step, _ in self.history(active.info.run_id, "loss")] == [0, 1, 2, 3]

    def test_a_run_that_was_started_here_ends_with_the_training(self):
        callback = MlflowCallback()
        fitted(callback)
        assert self.mlflow.active_run() is None
        assert self.mlflow.get_run(callback.run_id).info.status == "FINISHED"

    def test_the_run_may_be_given_and_stays_as_it_is(self):
        run = self.mlflow.MlflowClient().create_run("0")
        for given in (run, run.info.run_id):
            fitted(MlflowCallback(given), epochs=1)
        assert self.mlflow.active_run() is None
        assert self.mlflow.get_run(run.info.run_id).info.status == "RUNNING"
        assert len(self.history(run.info.run_id, "loss")) == 2

    def test_batches_are_logged_every_so_many(self):
        callback = MlflowCallback(log_every_n_steps=2)
        fitted(callback, epochs=2)  # 25 samples of training: 4 batches each
        assert [step for step, _ in self.history(callback.run_id, "batch_loss")] == [2, 4, 6, 8]

    def test_a_copy_and_a_pickle_log_to_the_same_run(self):
        run = self.mlflow.MlflowClient().create_run("0").info.run_id
        callback = MlflowCallback(run, log_every_n_steps=3)
        for made in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
            assert made.log_every_n_steps == 3
            fitted(made, epochs=1)
        assert len(self.history(run, "loss")) == 2

    @pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "epoch"])
    def test_a_wrong_number_of_steps_is_named(self, wrong):
        with pytest.raises(ValueError, match="`log_every_n_steps`"):
            MlflowCallback(log_every_n_steps=wrong)


class TestOptuna:
    @pytest.fixture(autouse=True)
    def package(self):
        self.optuna = pytest.importorskip("optuna")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)

    def test_trials_report_each_epoch_and_the_hopeless_are_pruned(self):
        optuna = self.optuna

        def objective(trial):
            rate = trial.suggest_categorical("rate", [0.03, 0.0])
            ferrnn.utils.set_random_seed(1)
            model = network(rate=rate)
            x, y = samples(60)
            model.fit(x, y, epochs=6, callbacks=[OptunaPruningCallback(trial, "loss")], verbose=0)
            return model.history.history["loss"][-1]

        study = optuna.create_study(
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=2),
            sampler=optuna.samplers.GridSampler({"rate": [0.03, 0.0]}, seed=0),
        )
        study.enqueue_trial({"rate": 0.03})
        study.enqueue_trial({"rate": 0.0})
        study.optimize(objective, n_trials=2)
        good, bad = study.trials
        assert good.state == optuna.trial.TrialState.COMPLETE
        assert list(good.intermediate_values) == list(range(6))
        assert good.intermediate_values[5] == good.value
        assert bad.state == optuna.trial.TrialState.PRUNED
        assert list(bad.intermediate_values) == [0, 1, 2]

    def test_the_pruner_is_asked_every_so_many_epochs(self):
        trial = self.optuna.trial.FixedTrial({})
        asked = []
        trial.should_prune = lambda: asked.append(True) or len(asked) == 2
        with pytest.raises(self.optuna.TrialPruned, match="epoch 5"):
            fitted(OptunaPruningCallback(trial, interval=3), epochs=9)

    def test_a_model_can_be_trained_after_its_trial_was_pruned(self):
        trial = self.optuna.trial.FixedTrial({})
        trial.should_prune = lambda: True
        model = network()
        with pytest.raises(self.optuna.TrialPruned):
            model.fit(*samples(), callbacks=[OptunaPruningCallback(trial, "loss")], verbose=0)
        assert len(model.fit(*samples(), epochs=2, verbose=0).epoch) == 2

    def test_a_value_that_is_not_there_is_warned_of(self):
        trial = self.optuna.trial.FixedTrial({})
        with pytest.warns(UserWarning, match="`val_f1` which is not available"):
            fitted(OptunaPruningCallback(trial, "val_f1"), epochs=1)

    def test_errors_name_the_argument(self):
        with pytest.raises(TypeError, match="`trial` must be an Optuna trial, received NoneType"):
            OptunaPruningCallback(None)
        with pytest.raises(ValueError, match="`interval`"):
            OptunaPruningCallback(self.optuna.trial.FixedTrial({}), interval=0)


def records_of(content):
    """The records of a file of W&B, a log of LevelDB: blocks of 32 KiB, headers of 7 bytes."""
    at, parts = 7, []
    while at < len(content):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if at > len(content):
            return
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


class TestWandb:
    @pytest.fixture(autouse=True)
    def package(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_SILENT", "true")
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        self.wandb = pytest.importorskip("wandb")

    def logged(self, **options):
        """What a training offline has in the file of its run, row by row."""
        messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
        with self.wandb.init(mode="offline", project="ferrnn") as run:
            _, history = fitted(WandbMetricsLogger(**options))
            folder = Path(run.dir).parent
        found = []
        for _ in range(200):  # the file is written by another process
            contents = records_of(next(folder.glob("*.wandb")).read_bytes())
            found = [messages.Record.FromString(each) for each in contents]
            if found and found[-1].WhichOneof("record_type") == "exit":
                break
            time.sleep(0.1)
        lists = [record.history.item for record in found if record.history.item]
        rows = [
            {each.key or ".".join(each.nested_key): json.loads(each.value_json) for each in items}
            for items in lists
        ]
        return rows, history.history

    def test_epochs_are_in_the_file_of_the_run(self):
        rows, history = self.logged()
        assert [row["epoch/epoch"] for row in rows] == [0, 1, 2]
        for name in ("loss", "mae", "val_loss", "val_mae"):
            assert [row[f"epoch/{name}"] for row in rows] == history[name]
        assert rows[0]["epoch/learning_rate"] == pytest.approx(0.01)

    def test_batches_are_in_the_file_of_the_run(self):
        rows, _ = self.logged(log_freq=2, initial_global_step=100)
        assert [row["batch/batch_step"] for row in rows] == [100, 102, 104, 106, 108, 110]
        assert all(row["batch/loss"] > 0 for row in rows)

    def test_a_copy_and_a_pickle_log_as_the_first_does(self):
        with self.wandb.init(mode="offline", project="ferrnn") as run:
            callback = WandbMetricsLogger(log_freq=3, initial_global_step=5)
            for made in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
                assert (made.log_freq, made.global_step) == (3, 5)
                fitted(made, epochs=1)
            assert run.summary["batch/batch_step"] == 8  # batches 5 to 8, of which 5 and 8 are told

    def test_a_run_is_wanted(self):
        with pytest.raises(RuntimeError, match=r"wandb.init\(\)"):
            WandbMetricsLogger()

    def test_a_wrong_frequency_is_named(self):
        with self.wandb.init(mode="offline"):
            for wrong in ("week", 0, 1.5):
                with pytest.raises(ValueError, match="`log_freq`"):
                    WandbMetricsLogger(wrong)
