"""Callbacks, and the files of checkpoints, where a training goes on."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.files.drafts import new_draft
from interrupting import Stop, check, data, small


class TestCallbacks:
    def test_those_of_the_package(self, tmp_path):
        x, y = data()
        best = []

        def fit(made, callbacks):
            kinds = keras.callbacks
            early = kinds.EarlyStopping("mae", patience=2, restore_best_weights=True)
            plateau = kinds.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.5)
            scheduled = kinds.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
            log = kinds.CSVLogger(tmp_path / "log.csv")
            used = [early, plateau, scheduled, log, *callbacks]
            try:
                history = made.fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=used)
            finally:
                log._close()
            best.append((early.best, early.best_epoch, plateau.wait, plateau.best))
            log = (tmp_path / "log.csv").read_text()
            best.append(log)
            return history

        check(tmp_path, small, fit, stops=(9, 14, 23))
        assert len(set(best[2::2])) <= 2  # the second run has another seed
        assert set(best[4::2]) == {best[0]}
        assert set(best[5::2]) == {best[1]}

    def test_those_of_users_by_attributes_or_by_saying(self, tmp_path):
        class Watch(keras.callbacks.Callback):
            def __init__(self, patience):
                super().__init__()
                self.patience, self.seen, self.last = patience, [], None
                self.generator = np.random.default_rng(7)

            def on_train_batch_end(self, batch, logs=None):
                self.seen.append(logs["loss"] + self.generator.random())
                self.last = {"batch": batch, "values": np.array(self.seen[-3:])}

            def on_epoch_end(self, epoch, logs=None):
                logs["seen"] = sum(self.seen)
                logs["last"] = float(self.last["values"].sum())

        class Said(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                self.epochs = frozenset()

            def on_epoch_end(self, epoch, logs=None):
                self.epochs |= {epoch}
                logs["said"] = sum(self.epochs)

            def get_state(self):
                return {"epochs": sorted(self.epochs)}

            def set_state(self, state):
                self.epochs = frozenset(state["epochs"])

        x, y = data()

        def fit(made, callbacks):
            more = [Watch(3), Said()]
            history = made.fit(
                x, y, batch_size=8, epochs=3, verbose=0, callbacks=[*callbacks, *more]
            )
            assert more[0].patience == 3
            return history

        check(tmp_path, small, fit)

    def test_settings_are_those_of_the_program(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
        early = keras.callbacks.EarlyStopping("loss", patience=2)
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, verbose=0, epochs=4, callbacks=[keep, early, Stop(5)])
        early = keras.callbacks.EarlyStopping("loss", patience=9)
        small().fit(x, y, verbose=0, epochs=4, callbacks=[keep, early])
        assert early.patience == 9

    def test_a_state_that_cannot_be_kept_is_named(self, tmp_path):
        class Wrong(keras.callbacks.Callback):
            def get_state(self):
                return {"a": [1, object()]}

        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
        with pytest.raises(
            TypeError, match=r"get_state` of Wrong returns\['a'\]\[1\] must .* object"
        ):
            small().fit(x, y, verbose=0, callbacks=[keep, Wrong()])

    def test_an_end_that_was_reached_is_not_trained_over(self, tmp_path):
        x, y = data()

        class Last(keras.callbacks.Callback):
            def on_train_end(self, logs=None):
                raise KeyboardInterrupt

        def run(*callbacks):
            keras.utils.set_random_seed(1)
            made = small()
            early = keras.callbacks.EarlyStopping("loss", baseline=0.0, patience=2)
            history = made.fit(x, y, epochs=9, verbose=0, callbacks=[early, *callbacks])
            return history.history, made.get_weights()

        expected = run()
        assert len(expected[0]["loss"]) == 2
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run(keep, Last())
        found = run(keep)
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1][0], expected[1][0])


class TestFiles:
    def test_an_error_of_the_disk_is_raised(self, tmp_path):
        (tmp_path / "b").write_text("a file where the folder should be")
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b" / "c")
        with pytest.raises(OSError, match="b"):
            small().fit(*data(), epochs=2, verbose=0, callbacks=[keep])

    def test_what_a_killed_writer_left_is_removed(self, tmp_path):
        folder = tmp_path / "b"
        folder.mkdir()
        for name in ("0.checkpoint", "1.checkpoint"):
            draft, file = new_draft(folder / name)
            file.close()
            assert draft.exists()
        small().fit(*data(), verbose=0, callbacks=[keras.callbacks.BackupAndRestore(folder)])
        assert not folder.exists()

    def test_a_run_that_fails_in_its_first_batch_leaves_no_checkpoint(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        with pytest.raises(ValueError, match="shape"):
            small().fit(x, y[:, [0, 0]], verbose=0, callbacks=[keep])
        assert not (tmp_path / "b").exists()
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, verbose=0, callbacks=[keep, Stop(1)])
        assert [path.name for path in (tmp_path / "b").iterdir()] == ["0.checkpoint"]

    def test_epochs_of_milliseconds_do_not_all_get_a_checkpoint(self, tmp_path, monkeypatch):
        written = []
        write = keras.callbacks.BackupAndRestore._write
        monkeypatch.setattr(
            keras.callbacks.BackupAndRestore,
            "_write",
            lambda keep, loop: (written.append(loop.epoch), write(keep, loop)),
        )
        x, y = data(8)
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        small().fit(x, y, epochs=300, verbose=0, callbacks=[keep])
        assert written[0] == 0
        assert 2 < len(written) < 200
        assert written[-1] == 300  # where training ends is kept, to go further

    def test_files_of_others_stay(self, tmp_path):
        folder = tmp_path / "b"
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        small().fit(*data(), verbose=0, callbacks=[keras.callbacks.BackupAndRestore(folder)])
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]

    def test_checkpoints_that_are_to_stay_let_training_go_further(self, tmp_path):
        x, y = data()

        def run(epochs, *callbacks):
            keras.utils.set_random_seed(1)
            made = small()
            made.fit(x, y, epochs=epochs, verbose=0, callbacks=list(callbacks))
            return made.get_weights()

        keep = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        run(2, keep)
        for one, other in zip(run(5, keep), run(5), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_loop_of_ones_own_has_model_optimizer_and_generators_back(self, tmp_path):
        x, y = data()

        def run(stop=None):
            keras.utils.set_random_seed(1)
            made = small()
            made.optimizer.build(made.trainable_weights)
            keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
            hooks = keras.callbacks.CallbackList([keep], model=made)
            hooks.on_train_begin()
            for epoch in range(made._initial_epoch, 4):
                if epoch == stop:
                    return None
                made.train_on_batch(x[:8], y[:8])
                hooks.on_epoch_end(epoch)
            hooks.on_train_end()
            return made.get_weights()

        expected = run()
        assert run(stop=2) is None
        for one, other in zip(run(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert not (tmp_path / "b").exists()
