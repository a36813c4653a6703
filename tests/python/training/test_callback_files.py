"""Callbacks that write: files of models, backups, averaged weights, TensorBoard, a server."""

import json
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training.resuming.container import unpacked


class Archived(keras.Sequential):
    """A model that keeps its weights in NumPy's files."""

    def save_weights(self, path, overwrite=True):
        with Path(path).open("wb") as file:
            np.savez(file, *self.get_weights())

    def load_weights(self, path):
        with Path(path).open("rb") as file:
            try:
                stored = np.load(file)
                self.set_weights([stored[name] for name in stored.files])
            except ValueError as error:
                raise OSError(f"damaged: {path}") from error


def model(kind=Archived, optimizer="sgd"):
    made = kind([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile(optimizer, loss="mse", metrics=["mae"])
    return made


def data(count=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2))
    return x, x @ np.array([[1.0], [-2.0]])


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch
        if epoch == self.epoch and self.batch is None:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt


class TestModelCheckpoint:
    def test_weights_are_those_of_the_moment(self, tmp_path):
        made, path = model(), tmp_path / "new" / "{epoch}.weights.h5"
        seen = []
        remember = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(made.get_weights()[0])
        )
        keep = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
        made.fit(*data(), epochs=3, verbose=0, callbacks=[keep, remember])
        for epoch, weights in enumerate(seen, 1):
            made.load_weights(tmp_path / "new" / f"{epoch}.weights.h5")
            np.testing.assert_array_equal(made.get_weights()[0], weights)

    def test_says_what_it_does(self, tmp_path, capsys):
        path = str(tmp_path / "w.weights.h5")
        keep = keras.callbacks.ModelCheckpoint(
            path, "loss", save_best_only=True, save_weights_only=True, verbose=1
        )
        keep.set_model(model())
        for epoch, loss in enumerate([0.5, 0.75, 0.25]):
            keep.on_epoch_end(epoch, {"loss": loss})
        said = capsys.readouterr().out.split("\n\n")
        assert said[0] == f"\nEpoch 1: loss improved from None to 0.50000, saving model to {path}"
        assert said[1] == f"Epoch 1: finished saving model to {path}"
        assert said[2] == "Epoch 2: loss did not improve from 0.50000"
        assert said[3].startswith("Epoch 3: loss improved from 0.50000 to 0.25000")

    def test_errors(self, tmp_path):
        checkpoint = keras.callbacks.ModelCheckpoint
        with pytest.raises(ValueError, match=r"must end in `.keras`.*model.ckpt"):
            checkpoint("model.ckpt")
        with pytest.raises(ValueError, match=r"must end in `.weights.h5`"):
            checkpoint("model.keras", save_weights_only=True)
        with pytest.raises(ValueError, match="save_freq: often"):
            checkpoint("model.keras", save_freq="often")
        made = model()
        unknown = checkpoint(tmp_path / "{nothing}.weights.h5", save_weights_only=True)
        with pytest.raises(KeyError, match="Failed to format"):
            made.fit(*data(), verbose=0, callbacks=[unknown])
        folder = tmp_path / "a.weights.h5"
        folder.mkdir()
        with pytest.raises(OSError, match="existing directory"):
            made.fit(*data(), verbose=0, callbacks=[checkpoint(folder, save_weights_only=True)])
        best = checkpoint(tmp_path / "b.weights.h5", save_best_only=True, save_weights_only=True)
        with pytest.warns(UserWarning, match="only with val_loss available"):
            made.fit(*data(), verbose=0, callbacks=[best])

    def test_a_model_without_files_is_named(self, tmp_path):
        class Bare:
            pass

        keep = keras.callbacks.ModelCheckpoint(tmp_path / "a.keras")
        keep.set_model(Bare())
        with pytest.raises(NotImplementedError, match="Bare has no `save`"):
            keep.on_epoch_end(0, {})


class TestBackupAndRestore:
    def train(self, folder, epochs=5, made=None, interrupt=None, **options):
        made = made or model()
        made.set_weights([np.full((2, 1), 0.5), np.zeros(1)])
        callbacks = [keras.callbacks.BackupAndRestore(folder, **options)]
        callbacks += [interrupt] if interrupt else []
        return made, made.fit(*data(), epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)

    def test_goes_on_where_it_was_interrupted(self, tmp_path):
        folder = tmp_path / "backup"
        whole, expected = self.train(tmp_path / "other")
        with pytest.raises(KeyboardInterrupt):
            self.train(folder, interrupt=Interrupt(3))
        again, history = self.train(folder)
        assert history.epoch == [0, 1, 2, 3, 4]
        assert history.history == expected.history
        np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])
        assert not folder.exists()
        assert again.fit(*data(), epochs=2, verbose=0).epoch == [0, 1]

    def test_batches(self, tmp_path):
        whole, _ = self.train(tmp_path / "other")
        with pytest.raises(KeyboardInterrupt):
            self.train(tmp_path / "b", interrupt=Interrupt(0, 0), save_freq=1)
        again, history = self.train(tmp_path / "b", save_freq=1)
        assert history.epoch == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])

    @pytest.mark.parametrize("damage", ["cut", "other", "bit"])
    def test_a_damaged_file_has_one_before_it(self, tmp_path, damage):
        folder = tmp_path / "backup"
        whole, expected = self.train(tmp_path / "other")
        with pytest.raises(KeyboardInterrupt):
            self.train(folder, interrupt=Interrupt(3))
        newest = max(folder.iterdir(), key=lambda path: unpacked(path.read_bytes())["number"])
        content = newest.read_bytes()
        bit = bytearray(content)
        bit[len(content) // 2] ^= 4
        newest.write_bytes({"cut": content[:-7], "other": b"nothing", "bit": bytes(bit)}[damage])
        with pytest.warns(
            UserWarning, match=r"The checkpoint `.*`: .* goes on from .* after epoch [0-2] "
        ):
            again, history = self.train(folder, delete_checkpoint=False)
        assert history.history == expected.history
        np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])
        for path in folder.iterdir():
            path.write_bytes(b"nothing")
        with pytest.raises(keras.saving.FileError, match=r"`.*\.checkpoint`: it must begin with"):
            self.train(folder)

    def test_errors(self, tmp_path):
        with pytest.raises(ValueError, match="Empty `backup_dir`"):
            keras.callbacks.BackupAndRestore("")
        unbuilt = keras.callbacks.BackupAndRestore(tmp_path)
        unbuilt.set_model(keras.Sequential([keras.layers.Dense(1)]))
        with pytest.raises(ValueError, match="must be built before"):
            unbuilt.on_train_begin()


class TestSwapEMAWeights:
    def averaging(self):
        # With a momentum of 1 the averages stay what they are, but for the very first update.
        made = model()
        made.compile(keras.optimizers.SGD(use_ema=True, ema_momentum=1.0), loss="mse")
        made.optimizer.build(made.trainable_weights)
        made.optimizer.iterations.assign(5)
        averages = [each for each in made.optimizer.variables if each.name == "average"]
        for average in averages:
            average.assign(np.full(average.shape, 7.0))
        return made, averages

    def test_tests_and_predicts_with_averages(self):
        made, averages = self.averaging()
        before = made.get_weights()[0]
        swap = keras.callbacks.SwapEMAWeights()
        x, _ = data()
        predicted = made.predict(x, verbose=0, callbacks=[swap])
        np.testing.assert_allclose(predicted[:, 0], x.sum(1) * 7 + 7, rtol=1e-5)
        np.testing.assert_array_equal(made.get_weights()[0], before)
        assert float(averages[0].numpy()[0, 0]) == 7

    def test_ends_epochs_with_averages_if_asked(self):
        made, averages = self.averaging()
        seen = []
        look = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(made.get_weights()[0][0, 0]),
            on_epoch_begin=lambda epoch, logs: seen.append(made.get_weights()[0][0, 0]),
        )
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        made.fit(*data(), epochs=2, verbose=0, callbacks=[swap, look])
        assert [value == 7 for value in seen] == [False, True, False, True]
        assert float(averages[0].numpy()[0, 0]) == 7

    def test_needs_averages(self):
        with pytest.raises(ValueError, match="use_ema=True"):
            model().predict(data()[0], verbose=0, callbacks=[keras.callbacks.SwapEMAWeights()])


def events(folder):
    """Tags, steps and values of all scalars in a folder of TensorBoard's files."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found, other = [], []
    for path in sorted(Path(folder).iterdir()):
        stored, at = path.read_bytes(), 0
        while at < len(stored):
            (size,) = struct.unpack_from("<Q", stored, at)
            event = event_pb2.Event.FromString(stored[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.append((value.tag, event.step, value.simple_value))
                else:
                    other.append(value.tag)
    return found, other


class TestTensorBoard:
    def test_writes_epochs(self, tmp_path):
        pytest.importorskip("tensorboardX")
        made = model()
        board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=2)
        history = made.fit(
            *data(), epochs=3, verbose=0, validation_split=0.25, callbacks=[board]
        ).history
        train, other = events(tmp_path / "train")
        named = {tag: [value for t, _, value in train if t == tag] for tag, _, _ in train}
        assert named["epoch_loss"] == pytest.approx(history["loss"])
        assert named["epoch_mae"] == pytest.approx(history["mae"])
        assert named["epoch_learning_rate"] == pytest.approx([0.01] * 3)
        assert [step for tag, step, _ in train if tag == "epoch_loss"] == [0, 1, 2]
        kernel = made.weights[0].path
        assert other.count(f"{kernel}/histogram") == 2
        assert any(tag.startswith("keras") for tag in other)
        tested, _ = events(tmp_path / "validation")
        values = [value for tag, _, value in tested if tag == "epoch_loss"]
        assert values == pytest.approx(history["val_loss"])
        updates = [step for tag, step, _ in tested if tag == "evaluation_loss_vs_iterations"]
        assert updates == [1, 2, 3]

    def test_writes_pictures_of_weights(self, tmp_path):
        pytest.importorskip("tensorboardX")
        pytest.importorskip("PIL")
        made = model()
        board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_images=True)
        made.fit(*data(), epochs=2, verbose=0, callbacks=[board])
        _, other = events(tmp_path / "train")
        assert other.count(f"{made.weights[0].path}/image") == 2

    def test_writes_batches(self, tmp_path):
        pytest.importorskip("tensorboardX")
        board = keras.callbacks.TensorBoard(
            tmp_path, update_freq=2, write_graph=False, write_steps_per_second=True
        )
        model().fit(*data(10), batch_size=2, verbose=0, callbacks=[board])
        train, _ = events(tmp_path / "train")
        assert [step for tag, step, _ in train if tag == "batch_loss"] == [2, 4]
        assert {"batch_steps_per_second", "epoch_steps_per_second"} <= {tag for tag, *_ in train}

    def test_is_not_asked_after_batches_that_it_does_not_write(self):
        pytest.importorskip("tensorboardX")
        board = keras.callbacks.TensorBoard("logs")
        assert "on_train_batch_end" in board.unheard
        assert not keras.callbacks.TensorBoard("logs", update_freq="batch").unheard

    def test_names_the_extra(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
        with pytest.raises(ImportError, match=r"pip install ferrnn\[tensorboard\]"):
            model().fit(*data(), verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path)])
        with pytest.raises(ValueError, match="profile_batch=2"):
            keras.callbacks.TensorBoard(profile_batch=2)
        with pytest.raises(NotImplementedError, match="embeddings_freq"):
            keras.callbacks.TensorBoard(embeddings_freq=1)


class TestRemoteMonitor:
    def posting(self, monkeypatch, error=None):
        posts = []

        class UnreachableError(Exception):
            pass

        def post(address, **options):
            if error:
                raise UnreachableError
            posts.append((address, options))

        fake = types.SimpleNamespace(
            post=post, exceptions=types.SimpleNamespace(RequestException=UnreachableError)
        )
        monkeypatch.setitem(sys.modules, "requests", fake)
        return posts

    def test_posts_each_epoch(self, monkeypatch):
        posts = self.posting(monkeypatch)
        remote = keras.callbacks.RemoteMonitor("http://x", headers={"a": "b"})
        remote.on_epoch_end(1, {"loss": np.float32(0.5), "f1": np.array([1.0, 2.0])})
        sent = {"epoch": 1, "loss": 0.5, "f1": [1.0, 2.0]}
        options = {"headers": {"a": "b"}, "data": {"data": json.dumps(sent)}}
        assert posts == [("http://x/publish/epoch/end/", options)]
        keras.callbacks.RemoteMonitor("http://x", send_as_json=True).on_epoch_end(0, {})
        assert posts[1][1] == {"headers": None, "json": {"epoch": 0}}

    def test_warns_and_names_what_it_needs(self, monkeypatch):
        self.posting(monkeypatch, error=True)
        with pytest.warns(UserWarning, match="Could not reach"):
            keras.callbacks.RemoteMonitor().on_epoch_end(0, {})
        monkeypatch.setitem(sys.modules, "requests", None)
        with pytest.raises(ImportError, match="`requests`"):
            keras.callbacks.RemoteMonitor().on_epoch_end(0, {})


def test_a_table_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        logger = keras.callbacks.CSVLogger(path, append=True)
        model().fit(*data(), epochs=2, verbose=0, validation_split=0.5, callbacks=[logger])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "0", "1"]
    logger.on_train_begin()
    logger.on_epoch_end(5, {"loss": [1, 2]})
    logger.on_train_end()
    assert path.read_text().splitlines()[-1] == '5,"""[1, 2]""",NA'


def test_a_plateau_without_its_monitor_is_named():
    with pytest.warns(UserWarning, match="`val_loss` which is not available.*learning_rate"):
        model().fit(*data(), verbose=0, callbacks=[keras.callbacks.ReduceLROnPlateau()])
    with pytest.raises(ValueError, match=r"factor=1\.5"):
        keras.callbacks.ReduceLROnPlateau(factor=1.5)
    with pytest.raises(ValueError, match=r"should be a float\. Got: 1"):
        model().fit(
            *data(), verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(lambda e, r: 1)]
        )


def test_a_changed_rate_is_told(capsys):
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.25, verbose=1)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.5, 0, verbose=1, min_delta=100)
    model().fit(*data(), epochs=2, verbose=0, callbacks=[schedule, plateau])
    said = capsys.readouterr().out
    assert "\nEpoch 1: LearningRateScheduler setting learning rate to 0.25.\n" in said
    assert "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.125.\n" in said
