"""Trainings that go on from a checkpoint, by kind of model, data and callback."""

import itertools
import random

import numpy as np
import pytest

import ferrnn as keras

layers = keras.layers


class Stop(keras.callbacks.Callback):
    """Interrupts after so many batches."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt

    def get_state(self):
        return None

    def set_state(self, state):
        pass


def data(count=44, time=4):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, time, 3)).astype("float32")
    return x, x.sum((1, 2))[:, None]


def small():
    made = keras.Sequential([keras.Input((4, 3)), layers.GRU(3, dropout=0.3), layers.Dense(1)])
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return made


def check(tmp_path, make, fit, *, stops=(3, 7, 13), save_freqs=(1, 4, "epoch")):
    """`fit(model, callbacks)` ends with the same bits, wherever it is interrupted."""

    def run(*callbacks, seed=2):
        keras.utils.set_random_seed(seed)
        made = make()
        history = fit(made, list(callbacks))
        variables = [each.numpy() for each in made.optimizer.variables]
        return [*made.get_weights(), *variables], history.history, history.epoch

    expected = run()
    assert any((one != other).any() for one, other in zip(expected[0], run(seed=3)[0], strict=True))
    for save_freq, stop in itertools.product(save_freqs, stops):
        folder = tmp_path / f"{save_freq}-{stop}"
        keep = keras.callbacks.BackupAndRestore(folder, save_freq=save_freq)
        with pytest.raises(KeyboardInterrupt):
            run(keep, Stop(stop))
        if folder.exists():
            found = run(keras.callbacks.BackupAndRestore(folder, save_freq=save_freq), seed=9)
            assert not folder.exists()
            for one, other in zip(found[0], expected[0], strict=True):
                np.testing.assert_array_equal(one, other)
            np.testing.assert_equal(found[1:], expected[1:])


class TestModels:
    def test_several_outputs_and_every_kind_of_metric(self, tmp_path):
        def make():
            inputs = keras.Input((4, 3))
            hidden = layers.LSTM(3, recurrent_dropout=0.2)(layers.SpatialDropout1D(0.2)(inputs))
            ends = [layers.Dense(1, name="a")(hidden), layers.Dense(2, "softmax", name="b")(hidden)]
            made = keras.Model(inputs, ends)
            metrics = {"a": ["mae", keras.metrics.R2Score()], "b": ["accuracy", "AUC", "F1Score"]}
            made.compile("nadam", {"a": "mse", "b": "crossentropy"}, metrics=metrics)
            return made

        x, y = data()
        hot = np.eye(2)[(y[:, 0] > 0).astype(int)]

        def fit(made, callbacks):
            return made.fit(x, [y, hot], batch_size=8, epochs=3, verbose=0, callbacks=callbacks)

        check(tmp_path, make, fit)

    def test_states_that_layers_carry(self, tmp_path):
        def make():
            made = keras.Sequential(
                [
                    keras.Input((4, 3), batch_size=4),
                    layers.Bidirectional(layers.LSTM(3, stateful=True, return_sequences=True)),
                    layers.GRU(2, stateful=True),
                    layers.Dense(1),
                ]
            )
            made.compile("rmsprop", "mse")
            return made

        x, y = data()
        check(
            tmp_path,
            make,
            lambda made, callbacks: made.fit(
                x, y, batch_size=4, epochs=3, verbose=0, shuffle=False, callbacks=callbacks
            ),
        )

    def test_a_model_with_two_optimizers_counters_and_generators(self, tmp_path):
        class Pair(keras.Model):
            def __init__(self):
                super().__init__()
                self.one, self.other = layers.Dense(2), layers.Dense(1)
                self.second = keras.optimizers.SGD(0.05, momentum=0.9)
                self.scales = [keras.Variable(1.0), {"last": keras.Variable(2.0, trainable=False)}]
                self.rng = np.random.default_rng()
                self.dice = random.Random()
                self.steps = 0
                self.gathered = keras.metrics.Mean(name="gathered")

            def call(self, inputs):
                return self.other(self.one(inputs[:, 0]))

            def train_step(self, data):
                x, y = data
                self.steps += 1
                noise = self.rng.normal() + self.dice.random() + np.random.normal()  # noqa: NPY002
                loss, grads = self.value_and_gradients(
                    lambda: keras.ops.mean((self(x) - y - noise / self.steps) ** 2)
                )
                turn = self.optimizer if self.steps % 2 else self.second
                turn.apply(grads, tuple(self.trainable_weights))
                self.scales[1]["last"].assign(loss)
                self.gathered.update_state(loss + self.scales[1]["last"].numpy())
                return {"loss": loss, "gathered": self.gathered.result()}

        def make():
            made = Pair()
            made.rng = np.random.default_rng(np.random.randint(99))  # noqa: NPY002
            made.dice.seed(np.random.randint(99))  # noqa: NPY002
            made.build((None, 4, 3))
            made.compile(keras.optimizers.Adam(0.01), "mse")
            return made

        x, y = data()
        check(
            tmp_path,
            make,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks
            ),
        )

    def test_averages_accumulation_and_swaps(self, tmp_path):
        def make():
            made = small()
            optimizer = keras.optimizers.AdamW(
                0.01, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=3
            )
            made.compile(optimizer, "mse", metrics=["mae"])
            return made

        x, y = data()

        def fit(made, callbacks):
            swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
            return made.fit(
                x,
                y,
                batch_size=8,
                epochs=3,
                verbose=0,
                validation_split=0.2,
                callbacks=[*callbacks, swap],
            )

        check(tmp_path, make, fit)

    def test_another_model_is_refused(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, verbose=0, epochs=3, callbacks=[keep, Stop(3)])
        wider = keras.Sequential([keras.Input((4, 3)), layers.GRU(4), layers.Dense(1)])
        wider.compile("adam", "mse")
        with pytest.raises(
            ValueError, match=r"of another model: .* has the shape \(3, 9\).* \(3, 12\)"
        ):
            wider.fit(x, y, verbose=0, epochs=3, callbacks=[keep])
        longer = keras.Sequential(
            [keras.Input((4, 3)), layers.GRU(3), layers.Dense(1), layers.Dense(1)]
        )
        longer.compile("adam", "mse")
        with pytest.raises(ValueError, match="of another model"):
            longer.fit(x, y, verbose=0, epochs=3, callbacks=[keep])
        other = small()
        other.compile(keras.optimizers.SGD(), "mse")
        with pytest.raises(ValueError, match="made with another optimizer"):
            other.fit(x, y, verbose=0, epochs=3, callbacks=[keep])


class TestData:
    def test_epochs_shorter_than_the_data(self, tmp_path):
        x, y = data()
        check(
            tmp_path,
            small,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, steps_per_epoch=3, epochs=5, verbose=0, callbacks=callbacks
            ),
        )

    def test_shuffled_in_blocks(self, tmp_path):
        x, y = data()
        check(
            tmp_path,
            small,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, shuffle="batch", epochs=3, verbose=0, callbacks=callbacks
            ),
        )

    def test_streams_of_windows(self, tmp_path):
        series = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
        rng = np.random.default_rng()

        def noisy(x, y):
            return x + rng.normal(size=x.shape).astype("float32"), y

        def fit(made, callbacks):
            seed = np.random.randint(9)  # noqa: NPY002
            rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
            windows = keras.utils.timeseries_dataset_from_array(
                series, series[4:, :1], 4, batch_size=8, shuffle=True
            )
            return made.fit(
                windows.map(noisy).skip(1),
                validation_data=windows.take(2),
                epochs=3,
                verbose=0,
                callbacks=callbacks,
            )

        check(tmp_path, small, fit)

    def test_a_generator_is_gone_through_again(self, tmp_path):
        def batches(x, y, rng):
            order = np.arange(len(x))
            while True:
                rng.shuffle(order)
                yield x[order[:8]], y[order[:8]]

        def fit(made, callbacks):
            rng = np.random.default_rng(np.random.randint(99))  # noqa: NPY002
            own = np.random.default_rng(4)
            return made.fit(
                batches(*data(), rng),
                validation_data=batches(*data(), own),
                steps_per_epoch=5,
                validation_steps=2,
                epochs=3,
                verbose=0,
                callbacks=callbacks,
            )

        check(tmp_path, small, fit)

    def test_a_dataset_goes_on_by_index(self, tmp_path):
        asked = []

        class Ordered(keras.utils.PyDataset):
            def __init__(self):
                super().__init__()
                self.x, self.y = data()
                self.frame = {"rows": list(np.arange(44))}  # no plain attribute: NumPy's integers

            def __len__(self):
                return 5

            def __getitem__(self, index):
                asked.append(index)
                rows = np.array(self.frame["rows"][8 * index : 8 * index + 8])
                return self.x[rows], self.y[rows] + np.random.normal()  # noqa: NPY002

            def on_epoch_begin(self):
                self.frame["rows"] = self.frame["rows"][1:] + self.frame["rows"][:1]

            def on_epoch_end(self):
                random.shuffle(self.frame["rows"])

        def fit(made, callbacks):
            return made.fit(Ordered(), epochs=4, verbose=0, callbacks=callbacks)

        check(tmp_path, small, fit, stops=(3, 5, 7, 13))
        keep = [keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=3)]
        with pytest.raises(KeyboardInterrupt):
            small().fit(Ordered(), epochs=2, verbose=0, callbacks=[*keep, Stop(4)])
        asked.clear()
        small().fit(Ordered(), epochs=1, verbose=0, callbacks=keep)
        assert asked[-2:] == [3, 4]
        assert asked[:-2] in ([], [0])  # the first one may be looked at for its shape

    def test_data_may_say_how_it_stands(self, tmp_path):
        class Walk(keras.utils.PyDataset):
            def __init__(self):
                super().__init__()
                self.seen = set()

            def __len__(self):
                return 5

            def __getitem__(self, index):
                self.seen.add(len(self.seen))
                return data(8)[0] * len(self.seen) / 9, data(8)[1]

            def on_epoch_end(self):
                self.seen.add(-1)

            def get_state(self):
                return sorted(self.seen)

            def set_state(self, state):
                self.seen = set(state)

        def fit(made, callbacks):
            return made.fit(Walk(), epochs=3, verbose=0, callbacks=callbacks)

        check(tmp_path, small, fit)

    def test_other_data_in_the_middle_of_an_epoch_is_refused(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=2)
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, batch_size=8, verbose=0, epochs=3, callbacks=[keep, Stop(3)])
        with pytest.raises(ValueError, match=r"batch_size 8, shuffle True, now .* batch_size 4"):
            small().fit(x, y, batch_size=4, verbose=0, epochs=3, callbacks=[keep])


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
            TypeError, match=r"get_state` of Wrong gives\['a'\]\[1\] must .* object"
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
        (folder / f".{'0' * 32}.tmp").write_bytes(b"half")
        small().fit(*data(), verbose=0, callbacks=[keras.callbacks.BackupAndRestore(folder)])
        assert not folder.exists()

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
